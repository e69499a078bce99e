"""Messages and ways through a program of many ecosystems, two by two: the same, or not."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.fingerprint.frames import steps_of
from ingest.fingerprint.templates import essence

HERE = Path(__file__).parent


def listed(name: str) -> list[Any]:
    """Each pair, named by its line."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [pytest.param(json.loads(line), id=f"line {number}") for number, line in enumerate(lines, 1)]


@pytest.mark.parametrize("pair", listed("messages.jsonl"))
def test_messages_are_told_apart_by_what_they_say_alone(pair: dict[str, Any]) -> None:
    assert (essence(pair["one"]) == essence(pair["other"])) is pair["same"]


@pytest.mark.parametrize("pair", listed("ways.jsonl"))
def test_ways_are_told_apart_by_what_a_program_calls_itself(pair: dict[str, Any]) -> None:
    one, other = (
        steps_of(tuple((*frame, "")[:3] for frame in pair[side]), are_ours=True)  # type: ignore[misc]
        for side in ("one", "other")
    )
    assert (one == other) is pair["same"]
