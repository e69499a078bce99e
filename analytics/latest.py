"""The newest errors, by reading little of what there is."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl

from analytics.evolution import parts_in_sql
from analytics.filters import Filters
from analytics.lake import Listing
from analytics.narrowing import duckdb_clause, postgres_clause
from analytics.queries import ask_postgres, counted, whole_buckets
from analytics.store import Store, asked_again
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__.replace("latest.py", "queries.py"))
_LAKE_SQL = load_statements(__file__.replace("latest.py", "lake_queries.py"))
_UTC = pl.Datetime("us", "UTC")
_EVENT_SCHEMA = pl.Schema(
    {
        "error_id": pl.String(),
        "timestamp": _UTC,
        "source": pl.String(),
        "error_type": pl.String(),
        "severity": pl.String(),
        "workflow_id": pl.String(),
        "project_id": pl.String(),
        "title": pl.String(),
        "fingerprint": pl.String(),
        "stands_for": pl.Int64(),
    }
)
_DETAILS = pl.Schema({"run_id": pl.String(), "metadata": pl.String()})
_DAY = 86_400
_FIRST_DAYS = 1
_COUNTED_AT_ONCE = 30  # days: a rare group fills a list from them, and more files cost more
_RECENT = timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)
_AFTER_ALL_IDS = UUID(int=2**128 - 1)


@asked_again
def latest_errors(
    store: Store,
    start: datetime,
    end: datetime,
    filters: Filters,
    limit: int = 50,
    *,
    before: tuple[datetime, UUID] | None = None,
    with_metadata: bool = False,
) -> pl.DataFrame:
    """The newest errors in `[start, end)`, those before the cursor `before` if given, newest first: the contract's
    columns but `run_id` (no two are alike, so that reading it costs as much as half of the others), and that and
    `metadata` as JSON text if asked for."""
    before_time, before_id = before or (end, _AFTER_ALL_IDS)
    position = {"before": before_time, "limit": limit, "start": start, "end": end}
    schema = pl.Schema({**_EVENT_SCHEMA, **(_DETAILS if with_metadata else {})})
    listing = store.listing("errors")
    clause, values = postgres_clause(filters)
    values |= position | {"watermark": listing.watermark, "before_id": before_id}
    details = ", run_id::text, metadata::text" if with_metadata else ""
    tail = ask_postgres(store, filled(_SQL["tail_events"], filters=clause, details=details), values, schema)
    history = _history_events(store, listing, filters, position | {"before_id": str(before_id)}, schema)
    newest_first = {"descending": [True, True]}
    return pl.concat([tail, *history]).sort("timestamp", "error_id", **newest_first).head(limit)  # type: ignore[arg-type]


def _history_events(
    store: Store, listing: Listing, filters: Filters, position: dict[str, Any], schema: pl.Schema
) -> list[pl.DataFrame]:
    """The lake's share, read piece by piece from the newest, until there are enough."""
    clause, values = duckdb_clause(filters)
    details = ", run_id, metadata" if "metadata" in schema else ""
    frames: list[pl.DataFrame] = []
    found = 0
    for days, start, end in _pieces(store, listing, filters, position):
        paths = [path for day in days for path in listing.paths(day, day)]
        parts, read = parts_in_sql("errors", paths)
        statement = filled(_LAKE_SQL["events"], filters=clause, details=details, parts=parts)
        asked = values | position | read | {"start": start, "end": end, "limit": position["limit"] - found}
        frame = store.read_lake(statement, asked)
        frames.append(frame.select(list(schema)).cast(schema))
        found += frame.height
        if found >= position["limit"]:
            break
    return frames


def _pieces(
    store: Store, listing: Listing, filters: Filters, position: dict[str, Any]
) -> Iterator[tuple[list[date], datetime, datetime]]:
    """The range in pieces, the newest first: days, and from when to when. A day's last hour comes before its rest,
    because the row groups of its last hours are few; a group's rows lie together, so those of the day are as few. Where
    filters leave the first days without enough, counts tell which days have such errors at all, and how many of them
    are enough."""
    start, end = position["start"], min(position["before"] + _MICROSECOND, position["end"])
    days = [day for day in listing.days() if start.date() <= day <= end.date()]
    at_once = _FIRST_DAYS if filters.active() else len(days)
    for day in days[:at_once]:
        first, last = max(start, _midnight(day)), min(end, _midnight(day) + timedelta(days=1))
        recent = first if filters.fingerprint else max(first, last - _RECENT)
        if recent < last:
            yield [day], recent, last
        if first < recent:
            yield [day], first, recent
    if days[at_once:]:
        rest = min(end, _midnight(days[at_once]) + timedelta(days=1))
        yield from _days_with_such(store, filters, days[at_once:], start, rest, position["limit"])


def _days_with_such(
    store: Store, filters: Filters, days: list[date], start: datetime, end: datetime, limit: int
) -> Iterator[tuple[list[date], datetime, datetime]]:
    """Days together that have `limit` errors between them, and so on."""
    chosen: list[date] = []
    enough = 0
    for index in range(0, len(days), _COUNTED_AT_ONCE):
        some = days[index : index + _COUNTED_AT_ONCE]
        first, last = max(start, _midnight(some[-1])), min(end, _midnight(some[0]) + timedelta(days=1))
        counts = counted(store, "errors", *whole_buckets(first, last, _DAY), _DAY, filters, None)
        errors = {bucket.date(): number for bucket, number in counts.select("bucket", "errors").iter_rows()}
        for day in filter(errors.get, some):
            chosen.append(day)
            enough += errors[day]
            if enough >= limit:
                yield chosen, start, end
                chosen, enough = [], 0
    if chosen:
        yield chosen, start, end


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)
