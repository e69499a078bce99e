"""Questions that the pages and the API ask: plain values in, a frame out, complete to the second.

Short recent ranges are answered from the 10-second rollup in Postgres, longer ones from the lake (its rollups where
they fit, see `reading`) and what Postgres has above the lake's watermark. All give the same numbers: a range is widened
to whole buckets of its interval.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from analytics.exceptions import BadRequest
from analytics.filters import Filters
from analytics.freshness import complete_to
from analytics.lake import Dataset
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
    with ThreadPoolExecutor(1) as beside:  # what each waits for, the other works on
        asked = beside.submit(_trials, store, start, end, interval_seconds, filters, group_by)
        errors, read = _counted(store, "errors", start, end, interval_seconds, filters, group_by)
        executions, read_too = asked.result()
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


def _trials(
    store: Store, start: datetime, end: datetime, interval: int, filters: Filters, group_by: str | None
) -> tuple[pl.DataFrame, Sequence[Source]]:
    """The executions per bucket; none where they don't know the group's column."""
    if group_by is not None and group_by not in columns_of("executions"):
        return pl.DataFrame(schema=_counted_schema("executions")), ()
    return _counted(store, "executions", start, end, interval, filters, group_by)


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
    schema = _counted_schema(dataset)
    if _is_live(start, end):
        return ask_postgres(store, filled(_SQL[f"live_{dataset}"], **slots), values, schema), ()
    listing = store.listing(dataset)  # before Postgres is asked: see the invariants of the lake
    question = Question(dataset, start, end, interval, _columns(filters, group_by, dataset))
    rollups = store.rollups(listing, question)
    sources = plan(listing, rollups, question)
    values["watermark"] = listing.watermark
    tail = ask_postgres(store, filled(_SQL[f"tail_{dataset}"], **slots), values, schema)
    if not sources:
        return tail, ()
    clause, values = duckdb_clause(filters, dataset)
    values |= {"interval_us": interval * 1_000_000}
    statement = filled(_LAKE_SQL[dataset], filters=clause, group=slots["group"])
    history, read = read_sources(store, question, listing, rollups, sources, statement, values)
    both = pl.concat([history.cast(schema), tail])
    return both.group_by("bucket", "group").agg(pl.col(_MEASURES[dataset]).sum()), read


def _counted_schema(dataset: Dataset) -> pl.Schema:
    return pl.Schema({"bucket": _UTC, "group": pl.String(), **dict.fromkeys(_MEASURES[dataset], pl.Int64())})


def _columns(filters: Filters, group_by: str | None, dataset: Dataset) -> frozenset[str]:
    """What is filtered and grouped by, as far as the dataset knows it."""
    asked = {*filters.active(), *([group_by] if group_by else [])}
    return frozenset(asked & {*columns_of(dataset)})


def ask_postgres(store: Store, statement: bytes, values: Mapping[str, Any], schema: pl.Schema) -> pl.DataFrame:
    """The rows of a statement as a frame of `schema`."""
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
        return ask_postgres(store, filled(_SQL["live_groups"], filters=clause), values, _GROUP_SCHEMA)
    groups = _history_groups(store, start, end, filters, clause, values)
    return groups if limit is None else groups.head(limit)


def _history_groups(
    store: Store, start: datetime, end: datetime, filters: Filters, clause: str, values: dict[str, Any]
) -> pl.DataFrame:
    listing = store.listing("errors")
    question = Question("errors", start, end, None, _columns(filters, "fingerprint", "errors"))
    rollups = store.rollups(listing, question)
    sources = plan(listing, rollups, question)
    values = values | {"watermark": listing.watermark}
    frames = [ask_postgres(store, filled(_SQL["tail_groups"], filters=clause), values, _GROUP_SCHEMA)]
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
    titles = ask_postgres(store, _SQL["group_titles"], {"fingerprints": list(fingerprints)}, schema)
    return titles.group_by("fingerprint").agg(pl.col("title", "last_seen").sort_by("last_seen").last())


def filter_choices(store: Store, since: timedelta = timedelta(days=7)) -> dict[str, list[str]]:
    """The values of `source`, `error_type`, `severity`, `workflow_id` and `project_id` that occurred lately, sorted."""
    schema = pl.Schema(dict.fromkeys(("source", "error_type", "workflow_id", "project_id"), pl.String()))
    frame = ask_postgres(store, _SQL["known_values"], {"since": datetime.now(UTC) - since}, schema)
    choices = {name: frame[name].drop_nulls().unique().sort().to_list() for name in schema}
    return choices | {"severity": list(SEVERITIES)}


def has_errors(store: Store) -> bool:
    """Whether any error was ever stored."""
    if store.listing("errors").files:
        return True
    with store.connection() as connection:
        return connection.execute(_SQL["any_error"]).fetchone() is not None
