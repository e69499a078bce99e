"""What the hall costs: each error of the labelled set, again and again, as errors come; and the first time."""

import gc
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from ingest.hall import Hall

_SET = Path(__file__).parents[1] / "labelled" / "errors"
_TIMES = 200


def microseconds() -> tuple[float, float, int]:
    """Median over the set of an error that repeats, and of one that is new; and how many errors that are."""
    events = [
        json.loads(line)["event"] for path in sorted(_SET.glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    now, hall = datetime.now(UTC), Hall()
    gc.disable()
    try:
        first = [_lasts(hall, [_sent(event, now)], now) for event in events]
        again = [_lasts(hall, [_sent(event, now) for _ in range(_TIMES)], now) for event in events]
    finally:
        gc.enable()
    return statistics.median(again), statistics.median(first), len(events)


def _sent(event: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {**event, "error_id": str(uuid4()), "timestamp": now.isoformat(), "run_id": str(uuid4())}


def _lasts(hall: Hall, raws: list[dict[str, Any]], now: datetime) -> float:
    """Microseconds for each, from what a door has parsed to the line that goes to Postgres."""
    began = time.perf_counter_ns()
    for raw in raws:
        hall.row(raw, now)
    return (time.perf_counter_ns() - began) / len(raws) / 1_000
