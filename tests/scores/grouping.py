"""How well fingerprints keep the same cause together, and different causes apart: labelled pairs of errors."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.classification import Classifier
from ingest.hall import Hall
from tests.scores.marks import Score, is_seen

PAIRS = Path(__file__).parents[1] / "labelled" / "pairs"
TARGET = 0.97
_RECEIVED = datetime(2026, 11, 25, tzinfo=UTC)
_CLASSIFIER = Classifier()  # making one takes milliseconds
Event = dict[str, Any]


def pairs() -> list[dict[str, Any]]:
    """Every labelled pair: `id`, `same`, `why`, `a` and `b`."""
    lines = [line for path in sorted(PAIRS.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines if line.strip()]


def group_of(event: Event) -> str:
    """The group that the hall gives an event."""
    return Hall(_CLASSIFIER).normalise(dict(event), _RECEIVED).fingerprint


def wrong() -> set[str]:
    """The ids of the pairs that are grouped otherwise than they are labelled."""
    return {pair["id"] for pair in pairs() if (group_of(pair["a"]) == group_of(pair["b"])) is not pair["same"]}


def scores() -> list[Score]:
    """For each half of the pairs, as a whole and by kind."""
    found: list[Score] = []
    listed = pairs()
    missed = wrong()
    for half in ("seen", "unseen"):
        chosen = [pair for pair in listed if is_seen(pair["id"]) is (half == "seen")]
        for what, of, target in (
            ("grouping", chosen, TARGET),
            ("grouping: one cause", [pair for pair in chosen if pair["same"]], None),
            ("grouping: different causes", [pair for pair in chosen if not pair["same"]], None),
        ):
            found.append(Score(what, half, sum(pair["id"] not in missed for pair in of), len(of), target))
    return found
