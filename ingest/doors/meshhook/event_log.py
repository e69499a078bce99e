"""Reads MeshHook's event log, each row once: by its ids, with a list of those that a transaction may still commit.

Ids come from a sequence, before the commit: «greater than the last one seen» would lose late ones. So every id below
the position that wasn't visible is remembered as a gap, and looked for until all transactions that could hold it have
ended.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.database import Connection
from ingest.doors.meshhook.runs import Event
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__.replace("event_log.py", "intake.py"))
_NEW, _LATE = (filled(_SQL[name], event=_SQL["event"].decode()) for name in ("new_events", "late_events"))
# An id is drawn a moment before its transaction gets a number of its own: a gap stays for at least that long.
_LEAST_AGE = timedelta(seconds=30)
_LAST_ID = 2**63 - 1
_FIRST_MOMENT, _LAST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids from `start` up to, not including, `end` weren't visible at `since`; transactions below `xmax` may hold
    them."""

    start: int
    end: int
    xmax: int
    since: datetime

    def as_json(self) -> list[Any]:
        """For the connection's row."""
        return [self.start, self.end, self.xmax, self.since.isoformat()]

    @classmethod
    def of_json(cls, value: Sequence[Any]) -> "Gap":
        """What `as_json` made."""
        return cls(value[0], value[1], value[2], datetime.fromisoformat(value[3]))


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: events by id, and the position after them."""

    events: list[Event]
    next_id: int
    gaps: list[Gap]
    is_at_end: bool


def read_on(
    connection: Connection,
    next_id: int,
    gaps: Sequence[Gap],
    horizon: int,
    now: datetime,
    rows: int,
    until: int | None,
    *,
    with_late: bool = True,
) -> Read:
    """The next events, at most `rows` of them, and as many of those that have filled a gap. `horizon`: every
    transaction below it had ended before this was called. `until`: the last id to read. `with_late`: whether to look
    into the gaps."""
    late = _late_events(connection, gaps, rows) if with_late else []
    knows_late = with_late and len(late) < rows
    last = _LAST_ID if until is None else until + 1
    values = {"from_id": next_id, "to_id": last, "rows": rows}
    fresh = [_event(row) for row in connection.execute(_NEW, values)]
    young = now - _LEAST_AGE
    open_gaps = [gap for gap in gaps if gap.xmax > horizon or gap.since > young or not knows_late]
    open_gaps = _without(open_gaps, [event.id for event in late])
    open_gaps += _between(next_id, [event.id for event in fresh], _snapshot_end(connection) if fresh else 0, now)
    position = fresh[-1].id + 1 if fresh else next_id
    return Read(
        sorted(late + fresh, key=lambda event: event.id), position, open_gaps, max(len(fresh), len(late)) < rows
    )


def read_range(connection: Connection, start: int, end: int, rows: int) -> list[Event]:
    """Events with ids from `start` up to, not including, `end`, oldest first, at most `rows` of them."""
    values = {"from_id": start, "to_id": end, "rows": rows}
    return [_event(row) for row in connection.execute(_NEW, values)]


def _late_events(connection: Connection, gaps: Sequence[Gap], rows: int) -> list[Event]:
    if not gaps:
        return []
    values = {"from_ids": [gap.start for gap in gaps], "to_ids": [gap.end for gap in gaps], "rows": rows}
    return [_event(row) for row in connection.execute(_LATE, values)]


def _snapshot_end(connection: Connection) -> int:
    row = connection.execute(_SQL["snapshot_end"]).fetchone()
    assert row is not None
    return int(row[0])


def _between(start: int, ids: Iterable[int], xmax: int, now: datetime) -> list[Gap]:
    gaps = []
    for known in ids:
        if known > start:
            gaps.append(Gap(start, known, xmax, now))
        start = known + 1
    return gaps


def _without(gaps: Sequence[Gap], ids: Iterable[int]) -> list[Gap]:
    """The gaps without what was found in them."""
    found = sorted(ids)
    left = []
    for gap in gaps:
        inside = found[bisect_left(found, gap.start) : bisect_left(found, gap.end)]
        left += _between(gap.start, [*inside, gap.end], gap.xmax, gap.since)
    return left


def _event(row: Sequence[Any]) -> Event:
    event_id, run_id, at, kind, node, node_type, attempt, most, error = row
    return Event(event_id, run_id, at, kind, node, node_type, whole(attempt), whole(most), error)


def moment(text: str) -> datetime:
    """A time as Postgres writes it into JSON, within the bounds that the statements set to times of MeshHook's. Raises
    ValueError and TypeError for what is none."""
    if text == "-infinity" or text.endswith(" BC"):
        return _FIRST_MOMENT
    if text == "infinity" or text.partition("-")[0] >= "9000" or len(text.partition("-")[0]) > 4:
        return _LAST_MOMENT
    return max(datetime.fromisoformat(text), _FIRST_MOMENT).astimezone(UTC)


def whole(value: Any) -> int | None:
    """A whole number that makes sense as a count; None for anything else that a payload may hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None
