"""What happened before MeshHook was connected, taken in from its event log on request: step by step, at a bounded
speed, each step with its mark of what was covered in one transaction, so that it goes on where it was interrupted."""

import time
from collections.abc import Iterator
from datetime import datetime

from ingest.database import Connection
from ingest.doors.meshhook.event_log import read_range
from ingest.doors.meshhook.intake import MOST_ROWS, Intake
from ingest.statements import load_statements

_SQL = load_statements(__file__)


def open_ranges(connection: Connection, intake: Intake, since: datetime) -> list[tuple[int, int]]:
    """Ranges of ids, from and up to but not including, that happened since then and weren't taken in yet."""
    with connection.transaction():
        position = intake.position()
    if position is None or not position.has_events:
        return []
    row = connection.execute(_SQL["oldest_since"], {"since": since, "first_id": position.first_id}).fetchone()
    if row is None or row[0] is None:
        return []
    return [(low, high) for low, high in connection.execute(_SQL["open_ranges"], {"from_id": row[0]})]


def backfill(
    connection: Connection, intake: Intake, start: int, end: int, events_per_second: float, rows: int = MOST_ROWS
) -> Iterator[int]:
    """Take in the events with ids from `start` up to, not including, `end`; yields after each step how many ids are
    done. At most half of the time is spent working, so that MeshHook has the other."""
    at = start
    while at < end:
        began = time.monotonic()
        reached, events = _step(connection, intake, at, end, rows)
        yield reached - start
        at = reached
        worked = time.monotonic() - began
        if at < end:
            time.sleep(max(worked, events / events_per_second - worked))


def _step(connection: Connection, intake: Intake, start: int, end: int, rows: int) -> tuple[int, int]:
    with connection.transaction():
        position = intake.position()
        if position is None or not position.has_events:
            return end, 0
        events = read_range(connection, start, end, rows)
        batch = intake.batch(position, events)
        intake.follow(batch, events, position)
        failed = intake.missing([event for event in events if event.type == "step_failed"])
        intake.tell(batch, failed, position)
        intake.write(batch)
        reached = events[-1].id + 1 if len(events) == rows else end
        connection.execute(_SQL["cover"], {"from_id": start, "to_id": reached})
    return reached, len(events)
