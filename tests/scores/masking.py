"""How much of what is secret the hall hides, and how much that isn't it leaves alone: the planted corpus."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ingest.classification import Classifier
from ingest.exceptions import InvalidEvent
from ingest.hall import Hall
from tests.labelled.plants import Event, Innocent, Planted, Search, innocent, planted
from tests.scores.marks import Score

HIDDEN, UNTOUCHED = 1.0, 0.98  # targets
RECEIVED = datetime(2026, 11, 25, 12, tzinfo=UTC)
OURS = ("classified_by", "fingerprint_before")  # what the hall adds to metadata
_CLASSIFIER = Classifier()  # making one takes milliseconds


def fresh_hall() -> Hall:
    """A hall that has seen nothing yet."""
    return Hall(_CLASSIFIER)


def said_of(hall: Hall, event: Event) -> dict[str, Any]:
    """Each column that the hall makes of an event, and its row's line; of a refused one what its sender is told."""
    try:
        made = hall.normalise(dict(event), RECEIVED)
        row = hall.row(dict(event), RECEIVED)
    except InvalidEvent as refusal:
        return {"refusal": str(refusal)}
    return made._asdict() | {"metadata": json.loads(made.metadata), "row": row.line.decode()}


def leaks(planted_events: Iterable[Planted]) -> dict[str, str]:
    """The name of each planted event of which a secret is left, and where."""
    events = list(planted_events)
    search = Search(events)
    found: dict[str, str] = {}
    for plant in events:
        for column, value in said_of(fresh_hall(), plant.event).items():
            text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
            if plant.name not in found and search.found(text):
                found[plant.name] = column
    return found


def touched(form: Innocent) -> bool:
    """Whether masking changed an innocent event."""
    metadata = said_of(fresh_hall(), form.event)["metadata"]
    for name in OURS:
        metadata.pop(name, None)
    given = {"message": form.event["message"]} if "message" in form.event else {}
    return bool(metadata != given | form.event.get("metadata", {}))


def scores() -> list[Score]:
    """Both shares, over the whole corpus."""
    secrets, texts = planted(), innocent()
    clean = sum(not any(touched(form) for form in forms) for forms in texts)
    return [
        Score("masking: secrets hidden", "all", len(secrets) - len(leaks(secrets)), len(secrets), HIDDEN),
        Score("masking: innocents untouched", "all", clean, len(texts), UNTOUCHED),
    ]
