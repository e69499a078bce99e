"""Questions that the pages and the API ask: plain values in, a frame out, complete to the second.

Short recent ranges are answered from the 10-second rollup in Postgres, longer ones from the lake (its rollups where
they fit, see `reading`) and what Postgres has above the lake's watermark. All give the same numbers: a range is widened
to whole buckets of its interval.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl

from analytics.evolution import parts_in_sql
from analytics.exceptions import BadRequest
from analytics.filters import Filters
from analytics.freshness import complete_to
from analytics.lake import Dataset, Listing
from analytics.narrowing import (
    check_group,
    columns_of,
    duckdb_clause,
    group_expression,
    postgres_clause,
)
from analytics.reading import Question, Reading, Source, plan
from analytics.sources import read_sources
from analytics.store import Store, asked_again
from ingest.models import SEVERITIES
from ingest.statements import filled, load_statements

LIVE_RANGE = timedelta(hours=6)
SMALLEST_INTERVAL = 10
MOST_BUCKETS = 20_000
_LONGEST_INTERVAL = 366 * 86_400

_SQL = load_statements(__file__)
_LAKE_SQL = load_statements(__file__.replace("queries.py", "lake_queries.py"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC = pl.Datetime("us", "UTC")
ONE_TRY = r" \((?:try \d+ of \d+|\d+ of \d+ tries(?:, again)?)\)$"  # a group is about all of them
_MEASURES: dict[Dataset, tuple[str, ...]] = {"errors": ("errors",), "executions": ("finished", "failed")}


@dataclass(frozen=True, slots=True)
class Series:
    """What `error_series` answers, and what that was read from."""

    frame: pl.DataFrame
    reading: Reading


def read_series(
    store: Store,
    start: datetime,
    end: datetime,
    interval_seconds: int,
    filters: Filters,
    group_by: str | None = None,
) -> Series:
    """The same as `error_series`, and what it was read from."""
    with store.connection() as connection:
        complete = complete_to(connection, datetime.now(UTC))
    return Series(*_series(store, start, end, interval_seconds, filters, group_by, complete))


def error_series(
    store: Store,
    start: datetime,
    end: datetime,
    interval_seconds: int,
    filters: Filters,
    group_by: str | None = None,
) -> pl.DataFrame:
    """Errors and trials per bucket: `bucket` (UTC), the group's column if any, `errors`, `finished`, `failed`,
    `error_rate` (failed ÷ finished, null where nothing finished: unknown).

    Without `group_by` every bucket of the range stands in the answer. Trials know source, workflow and project alone:
    filters on other columns leave them as they are, and groups by other columns carry none. Raises BadRequest.
    """
    return _series(store, start, end, interval_seconds, filters, group_by, _EPOCH)[0]


def _series(
    store: Store,
    start: datetime,
    end: datetime,
    interval_seconds: int,
    filters: Filters,
    group_by: str | None,
    complete: datetime,
) -> tuple[pl.DataFrame, Reading]:
    check_group(group_by)
    start, end = whole_buckets(start, end, interval_seconds)
    errors, read = _counted(store, "errors", start, end, interval_seconds, filters, group_by)
    executions, read_too = _counted(store, "executions", start, end, interval_seconds, filters, group_by)
    if group_by is not None and group_by not in columns_of("executions"):
        executions = executions.clear()
    frame = errors.join(executions, on=["bucket", "group"], how="full", coalesce=True, nulls_equal=True)
    if group_by is None:
        every = pl.datetime_range(start, end, f"{interval_seconds}s", closed="left", time_unit="us", eager=True)
        frame = pl.DataFrame({"bucket": every}).join(frame, on="bucket", how="left").drop("group")
    else:
        frame = frame.rename({"group": group_by})
    measures = [pl.col(name).fill_null(0) for name in ("errors", "finished", "failed")]
    ordered = frame.columns[: 1 + (group_by is not None)]
    frame = frame.with_columns(measures).with_columns(_error_rate()).sort(ordered)
    return frame, Reading.of([*read, *read_too], complete, is_live=_is_live(start, end))


def _error_rate() -> pl.Expr:
    known = pl.when(pl.col("finished") > 0)
    return known.then(pl.col("failed") / pl.col("finished")).otherwise(None).alias("error_rate")


def whole_buckets(start: datetime, end: datetime, interval_seconds: int) -> tuple[datetime, datetime]:
    """The range widened to whole buckets. Raises BadRequest for one that can't be answered."""
    if interval_seconds < SMALLEST_INTERVAL or interval_seconds % SMALLEST_INTERVAL:
        raise BadRequest("The interval must be a multiple of 10 seconds.")
    if interval_seconds > _LONGEST_INTERVAL:
        raise BadRequest("The interval can't be longer than 366 days.")
    if end <= start:
        raise BadRequest("The end of the range must be after its start.")
    size = timedelta(seconds=interval_seconds)
    first = (start - _EPOCH) // size
    last = -((_EPOCH - end) // size)
    if last - first > MOST_BUCKETS:
        raise BadRequest(
            f"This range has {last - first} buckets of that length; at most {MOST_BUCKETS} are answered. "
            "Choose a longer interval, or a shorter range."
        )
    return _EPOCH + first * size, _EPOCH + last * size


def _is_live(start: datetime, end: datetime) -> bool:
    """Whether the rollup answers: it is exact, and its cost follows the length of the range."""
    return end - start <= LIVE_RANGE and start >= datetime.now(UTC) - 2 * LIVE_RANGE


def counted(
    store: Store,
    dataset: Dataset,
    start: datetime,
    end: datetime,
    interval: int,
    filters: Filters,
    group_by: str | None,
) -> pl.DataFrame:
    """`bucket`, `group` (null where `group_by` is) and the dataset's measures, without empty buckets. The range has to
    be one of `whole_buckets`, or the interval of whole hours."""
    return _counted(store, dataset, start, end, interval, filters, group_by)[0]


@asked_again
def _counted(
    store: Store,
    dataset: Dataset,
    start: datetime,
    end: datetime,
    interval: int,
    filters: Filters,
    group_by: str | None,
) -> tuple[pl.DataFrame, Sequence[Source]]:
    """The same, and what was read."""
    clause, values = postgres_clause(filters, dataset)
    values |= {"start": start, "end": end, "interval": interval}
    slots = {"filters": clause, "group": group_expression(group_by, dataset), "columns": ", ".join(columns_of(dataset))}
    measures = dict.fromkeys(_MEASURES[dataset], pl.Int64())
    schema = pl.Schema({"bucket": _UTC, "group": pl.String(), **measures})
    if _is_live(start, end):
        return _postgres(store, filled(_SQL[f"live_{dataset}"], **slots), values, schema), ()
    listing = store.listing(dataset)  # before Postgres is asked: see the invariants of the lake
    rollups = store.rollups(dataset, listing, start, end)
    question = Question(dataset, start, end, interval, _columns(filters, group_by, dataset))
    sources = plan(listing, rollups, question)
    values["watermark"] = listing.watermark
    tail = _postgres(store, filled(_SQL[f"tail_{dataset}"], **slots), values, schema)
    if not sources:
        return tail, ()
    clause, values = duckdb_clause(filters, dataset)
    values |= {"interval_us": interval * 1_000_000}
    statement = filled(_LAKE_SQL[dataset], filters=clause, group=slots["group"])
    history, read = read_sources(store, question, listing, rollups, sources, statement, values)
    both = pl.concat([history.cast(schema), tail])
    return both.group_by("bucket", "group").agg(pl.col(_MEASURES[dataset]).sum()), read


def _columns(filters: Filters, group_by: str | None, dataset: Dataset) -> frozenset[str]:
    """What is filtered and grouped by, as far as the dataset knows it."""
    asked = {*filters.active(), *([group_by] if group_by else [])}
    return frozenset(asked & {*columns_of(dataset)})


def _postgres(store: Store, statement: bytes, values: Mapping[str, Any], schema: pl.Schema) -> pl.DataFrame:
    with store.connection() as connection:
        rows = connection.execute(statement, values).fetchall()
    return pl.DataFrame(rows, schema=schema, orient="row")


_GROUP_SCHEMA = pl.Schema(
    {"fingerprint": pl.String(), "errors": pl.Int64(), "severity": pl.String(), "last_seen": _UTC}
)


def top_groups(store: Store, start: datetime, end: datetime, filters: Filters, limit: int = 10) -> pl.DataFrame:
    """The groups with most errors: `fingerprint`, `title`, `severity` (the highest), `errors`, `last_seen`."""
    groups = group_counts(store, start, end, filters, limit)
    titles = _titles(store, groups["fingerprint"].to_list())
    return (
        groups.join(titles, on="fingerprint", how="left", suffix="_seen")
        .with_columns(
            pl.coalesce(pl.col("title").str.replace(ONE_TRY, ""), "fingerprint").alias("title"),
            # A bucket of the rollup knows its start only; the group itself knows the second.
            pl.when(pl.col("last_seen_seen").is_between("last_seen", pl.col("last_seen") + timedelta(seconds=10)))
            .then("last_seen_seen")
            .otherwise("last_seen")
            .alias("last_seen"),
        )
        .select("fingerprint", "title", "severity", "errors", "last_seen")
        .sort("errors", "fingerprint", descending=[True, False])
    )


@asked_again
def group_counts(
    store: Store, start: datetime, end: datetime, filters: Filters, limit: int | None = None
) -> pl.DataFrame:
    """What each fingerprint came to in the range, those with most errors first: `fingerprint`, `errors`, `severity`
    (the highest), `last_seen` (from the rollup: the start of its last bucket)."""
    start, end = whole_buckets(start, end, SMALLEST_INTERVAL) if _is_live(start, end) else (start, end)
    clause, values = postgres_clause(filters)
    values |= {"start": start, "end": end, "limit": limit}
    if _is_live(start, end):
        return _postgres(store, filled(_SQL["live_groups"], filters=clause), values, _GROUP_SCHEMA)
    groups = _history_groups(store, start, end, filters, clause, values)
    return groups if limit is None else groups.head(limit)


def _history_groups(
    store: Store, start: datetime, end: datetime, filters: Filters, clause: str, values: dict[str, Any]
) -> pl.DataFrame:
    listing = store.listing("errors")
    rollups = store.rollups("errors", listing, start, end)
    question = Question("errors", start, end, None, _columns(filters, "fingerprint", "errors"))
    sources = plan(listing, rollups, question)
    values = values | {"watermark": listing.watermark}
    frames = [_postgres(store, filled(_SQL["tail_groups"], filters=clause), values, _GROUP_SCHEMA)]
    if sources:
        lake_clause, lake_values = duckdb_clause(filters)
        statement = filled(_LAKE_SQL["groups"], filters=lake_clause)
        history, _ = read_sources(store, question, listing, rollups, sources, statement, lake_values)
        severity = pl.col("rank").replace_strict({1: "low", 2: "medium", 3: "high"}, return_dtype=pl.String)
        frames.append(history.with_columns(severity.alias("severity")).select(list(_GROUP_SCHEMA)).cast(_GROUP_SCHEMA))
    rank = pl.col("severity").replace_strict(dict(zip(SEVERITIES, range(3), strict=True)), return_dtype=pl.Int8)
    return (
        pl.concat(frames)
        .group_by("fingerprint")
        .agg(pl.col("errors").sum(), pl.col("severity").sort_by(rank).last(), pl.col("last_seen").max())
        .sort("errors", "fingerprint", descending=[True, False])
    )


def _titles(store: Store, fingerprints: Sequence[str]) -> pl.DataFrame:
    schema = pl.Schema({"fingerprint": pl.String(), "title": pl.String(), "last_seen": _UTC})
    if not fingerprints:
        return pl.DataFrame(schema=schema)
    titles = _postgres(store, _SQL["group_titles"], {"fingerprints": list(fingerprints)}, schema)
    return titles.group_by("fingerprint").agg(pl.col("title", "last_seen").sort_by("last_seen").last())


_EVENT_SCHEMA = pl.Schema(
    {
        "error_id": pl.String(),
        "timestamp": _UTC,
        "source": pl.String(),
        "error_type": pl.String(),
        "severity": pl.String(),
        "workflow_id": pl.String(),
        "project_id": pl.String(),
        "run_id": pl.String(),
        "title": pl.String(),
        "fingerprint": pl.String(),
        "stands_for": pl.Int64(),
    }
)
_DAY = 86_400
_FIRST_DAYS = 3
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
    columns, and `metadata` as JSON text if asked for."""
    before_time, before_id = before or (end, _AFTER_ALL_IDS)
    position = {"before": before_time, "limit": limit, "start": start, "end": end}
    schema = pl.Schema({**_EVENT_SCHEMA, **({"metadata": pl.String()} if with_metadata else {})})
    listing = store.listing("errors")
    clause, values = postgres_clause(filters)
    metadata = "metadata::text" if with_metadata else "null"
    values |= position | {"watermark": listing.watermark, "before_id": before_id}
    statement = filled(_SQL["tail_events"], filters=clause, metadata=metadata)
    tail = _postgres(store, statement, values, pl.Schema({**_EVENT_SCHEMA, "metadata": pl.String()})).select(
        list(schema)
    )
    history = _history_events(store, listing, filters, position | {"before_id": str(before_id)}, schema)
    newest_first = {"descending": [True, True]}
    return pl.concat([tail, *history]).sort("timestamp", "error_id", **newest_first).head(limit)  # type: ignore[arg-type]


def _history_events(
    store: Store, listing: Listing, filters: Filters, position: dict[str, Any], schema: pl.Schema
) -> list[pl.DataFrame]:
    """The lake's share, read from the newest day back, and a day's last hour before its rest, until there are enough:
    files are sorted by the hour."""
    clause, values = duckdb_clause(filters)
    metadata = "metadata" if "metadata" in schema else "null as metadata"
    frames: list[pl.DataFrame] = []
    found = 0
    for start, end in _pieces(store, listing, filters, position):
        if found >= position["limit"]:
            break
        parts, read = parts_in_sql("errors", listing.paths(start.date(), start.date()))
        statement = filled(_LAKE_SQL["events"], filters=clause, metadata=metadata, parts=parts)
        asked = values | position | read | {"start": start, "end": end, "limit": position["limit"] - found}
        frame = store.read_lake(statement, asked)
        frames.append(frame.select(list(schema)).cast(schema))
        found += frame.height
    return frames


def _pieces(
    store: Store, listing: Listing, filters: Filters, position: dict[str, Any]
) -> Iterator[tuple[datetime, datetime]]:
    """The range in pieces of one day each, the newest first. Where filters leave the first days empty, only the days
    that have such errors follow."""
    start, end = position["start"], min(position["before"] + _MICROSECOND, position["end"])
    asked: set[date] | None = None
    days = [day for day in listing.days() if start.date() <= day <= end.date()]
    for number, day in enumerate(days):
        if number == _FIRST_DAYS and filters.active():
            counts = counted(store, "errors", *whole_buckets(start, end, _DAY), _DAY, filters, None)
            asked = {bucket.date() for bucket in counts["bucket"]}
        if asked is not None and day not in asked:
            continue
        midnight = datetime.combine(day, datetime.min.time(), tzinfo=UTC)
        first, last = max(start, midnight), min(end, midnight + timedelta(days=1))
        recent = max(first, last - _RECENT)
        if recent < last:
            yield recent, last
        if first < recent:
            yield first, recent


def filter_choices(store: Store, since: timedelta = timedelta(days=7)) -> dict[str, list[str]]:
    """The values of `source`, `error_type`, `severity`, `workflow_id` and `project_id` that occurred lately, sorted."""
    schema = pl.Schema(dict.fromkeys(("source", "error_type", "workflow_id", "project_id"), pl.String()))
    frame = _postgres(store, _SQL["known_values"], {"since": datetime.now(UTC) - since}, schema)
    choices = {name: frame[name].drop_nulls().unique().sort().to_list() for name in schema}
    return choices | {"severity": list(SEVERITIES)}


def has_errors(store: Store) -> bool:
    """Whether any error was ever stored."""
    if store.listing("errors").files:
        return True
    with store.connection() as connection:
        return connection.execute(_SQL["any_error"]).fetchone() is not None
