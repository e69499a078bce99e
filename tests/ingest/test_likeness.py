"""What is remembered of errors that tell the same: never of another one, never for other rules, never without end."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.classification import Classifier, Rule, StoredRule, facts_of
from ingest.fingerprint import fingerprint
from ingest.hall import Hall
from ingest.likeness import Likenesses, telling
from ingest.titles import title_of

SEEN = Path(__file__).parents[1] / "labelled" / "errors" / "seen.jsonl"
TAGS = frozenset(("host", "sqlstate"))
BASE: dict[str, Any] = {
    "message": "HTTP 502",
    "exception": {"type": "HTTPError", "module": "requests", "value": "HTTP 502 from crm"},
    "frames": [{"file": "steps/send.py", "function": "send", "module": "steps.send", "line": 3, "in_app": True}],
    "node": "createContact",
    "node_type": "http_call",
    "http_status": 502,
    "attempt": 1,
    "max_attempts": 3,
    "tags": {"host": "crm.example", "request": "a"},
}
OTHER: dict[str, Any] = {
    "message": "connect ECONNREFUSED",
    "exception": {"type": "TypeError", "value": "x is undefined"},
    "frames": [{"file": "steps/read.py", "function": "read", "in_app": True}],
    "causes": [{"type": "OSError", "value": "reset"}],
    "stack": "Error: HTTP 502\n    at send (/srv/app/send.js:3:1)",
    "node": "syncOrders",
    "node_type": "database",
    "http_status": 404,
    "code": "ECONNRESET",
    "attempt": 3,
    "max_attempts": 9,
    "handled": False,
    "logger": "billing",
    "tags": {"sqlstate": "23505"},
}


class Recorded(dict[str, Any]):
    """Remembers which of its entries somebody asked for."""

    def __init__(self, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self.asked.add("all of it")
        return super().__iter__()


def likeness(known: Likenesses, metadata: dict[str, Any], title: str = "", source: str = "worker") -> Any:
    return known.of(source, metadata, len(json.dumps(metadata)), title, TAGS)


def test_every_part_that_is_read_of_an_error_tells_it_apart() -> None:
    read: set[str] = set()
    told: set[str] = set()
    events = [json.loads(line)["event"] for line in SEEN.open(encoding="utf-8")]
    for event in [*(event.get("metadata", {}) | event for event in events), BASE, OTHER, {}, {"stack": "Error: a"}]:
        for entries in (event, {name: value for name, value in event.items() if name != "frames"}):
            reader, teller = Recorded(entries), Recorded(entries)
            facts_of("worker", reader, TAGS)
            fingerprint("worker", reader, title_of(reader))
            telling("worker", teller, "", TAGS)
            read |= reader.asked
            told |= teller.asked
    assert read
    assert read <= told


@pytest.mark.parametrize("name", sorted(OTHER))
def test_an_error_that_differs_in_one_part_is_read_anew(name: str) -> None:
    known = Likenesses()
    likeness(known, BASE)
    other = {**BASE, name: OTHER[name]}
    assert likeness(known, other) == likeness(Likenesses(), other)
    assert len(known) == 2


def test_source_and_given_title_tell_errors_apart() -> None:
    known = Likenesses()
    first = likeness(known, {})
    assert likeness(known, {}, source="webhook").group != first.group
    assert likeness(known, {}, "A title").title == "A title"
    assert likeness(known, {}, "A title").group != first.group


def test_what_is_remembered_is_what_would_be_read() -> None:
    rng = random.Random(1)
    known = Likenesses()
    for _ in range(2_000):
        entries = {name: rng.choice((BASE, OTHER)).get(name) for name in {**BASE, **OTHER} if rng.random() < 0.9}
        assert likeness(known, entries) == likeness(Likenesses(), entries)


def test_tags_that_nobody_asks_for_and_other_entries_share_a_memory() -> None:
    known = Likenesses()
    for request in ("a", "b"):
        likeness(known, {**BASE, "tags": {"host": "crm.example", "request": request}, "extra": request})
    assert len(known) == 1


def test_rules_that_ask_for_another_tag_are_obeyed_at_once() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    hall = Hall(Classifier())
    raw = {"message": "boom", "metadata": {"tags": {"shop": "7"}}}
    assert hall.normalise(raw, now).error_type == "execution"
    rule = Rule.model_validate({"name": "shop", "error_type": "billing", "when": {"tags": {"shop": ["7"]}}})
    hall.classifier.replace([StoredRule(rule)])
    assert hall.normalise(raw, now).error_type == "billing"


def test_ever_new_errors_and_long_ones_dont_fill_the_memory() -> None:
    known = Likenesses()
    for number in range(5_000):
        likeness(known, {"message": f"order {number}"})
    assert 0 < len(known) <= 2_048
    before = len(known)
    for size in (5_000, 100_000):
        long = {"message": "x" * size}
        assert likeness(known, long) == likeness(Likenesses(), long)
    assert len(known) == before
