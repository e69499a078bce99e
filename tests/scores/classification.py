"""How well the shipped rules tell type and severity of labelled errors of many ecosystems."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.classification import Classifier, Verdict
from ingest.hall import Hall
from tests.scores.marks import Score, is_seen

SET = Path(__file__).parents[1] / "labelled" / "errors"
TYPE_TARGET, SEVERITY_TARGET = 0.95, 0.90
_NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Labelled:
    """An error, and what people say that it is."""

    id: str
    ecosystem: str
    event: dict[str, Any]
    error_type: str
    severity: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An error and what the rules say, as the whole hall gives it."""

    entry: Labelled
    verdict: Verdict

    @property
    def is_type_right(self) -> bool:
        return self.entry.error_type == self.verdict.error_type

    @property
    def is_severity_right(self) -> bool:
        return self.entry.severity == self.verdict.severity


def labelled_errors() -> Iterator[Labelled]:
    """The whole set, each entry once."""
    ids: set[str] = set()
    for path in sorted(SET.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                entry = Labelled(**json.loads(line))
                assert entry.id not in ids, f"{path.name}: {entry.id} stands twice"
                ids.add(entry.id)
                yield entry


def judged_errors() -> list[Judged]:
    """The set through the hall, by the rules that come along."""
    hall = Hall(Classifier())
    judged = []
    for entry in labelled_errors():
        event = hall.normalise(entry.event, _NOW)
        rule = json.loads(event.metadata)["classified_by"]
        judged.append(Judged(entry, Verdict(event.error_type, event.severity, rule)))
    return judged


def classification_scores() -> list[Score]:
    """Type and severity, of each half."""
    judged = judged_errors()
    scores = []
    for half, is_this in (("seen", True), ("unseen", False)):
        of_half = [item for item in judged if is_seen(item.entry.id) is is_this]
        if of_half:
            right_types = sum(item.is_type_right for item in of_half)
            right_severities = sum(item.is_severity_right for item in of_half)
            scores += [
                Score("error type", half, right_types, len(of_half), TYPE_TARGET),
                Score("severity", half, right_severities, len(of_half), SEVERITY_TARGET),
            ]
    return scores
