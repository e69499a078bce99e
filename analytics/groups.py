"""Groups as readers see them: the list with its spark lines, one group whole, and how often groups were new or back.

A **group** is one fingerprint or several: a **head**, which bears state, assignee and title, and its **members**, which
were merged into it by hand or carry it on under a later version of the fingerprint. Numbers are those of all members
together. Everything is complete to the second, as in `queries`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import polars as pl

from analytics.exceptions import BadRequest, NotFound
from analytics.filters import Filters
from analytics.narrowing import check_group, postgres_clause
from analytics.queries import LIVE_RANGE, ONE_TRY, SMALLEST_INTERVAL, counted, group_counts, whole_buckets
from analytics.store import Store
from ingest.database import Connection
from ingest.statements import filled, load_statements

State = Literal["open", "regressed", "resolved", "ignored"]
STATES: dict[State, str] = {"open": "Open", "regressed": "Came back", "resolved": "Resolved", "ignored": "Ignored"}
Sort = Literal["last_seen", "errors", "first_seen"]
SORTS: dict[Sort, str] = {"last_seen": "Last seen", "errors": "Errors in range", "first_seen": "First seen"}
NOBODY = ""
MOST_GROUPS = 200
MOST_POINTS = 200
_MOST_PAGES = 100_000
_MOST_HISTORY = 200
_ANY_HOURS = 86_400  # where buckets are added up afterwards

_RAW = load_statements(__file__)
_EVERY = _RAW["every"].decode()
_SQL = {name: filled(statement, every=_EVERY) for name, statement in _RAW.items()}
_VERSIONED = re.compile(r"([0-9]{1,4})-[0-9a-f]{16}")
_UTC = pl.Datetime("us", "UTC")
_TEXT = pl.String()
_DESCRIBED = pl.Schema(
    {
        "fingerprint": _TEXT,
        "title": _TEXT,
        "state": _TEXT,
        "resolved_at": _UTC,
        "ignored_until": _UTC,
        "ignored_until_errors": pl.Int64(),
        "assignee": _TEXT,
        "changed_at": _UTC,
        "changed_by": _TEXT,
        "source": _TEXT,
        "error_type": _TEXT,
        "severity": _TEXT,
        "project_id": _TEXT,
        "workflow_id": _TEXT,
        "first_seen": _UTC,
        "last_seen": _UTC,
        "total": pl.Int64(),
        "members": pl.List(_TEXT),
    }
)
_CANDIDATE = pl.Schema(
    {
        "fingerprint": _TEXT,
        "head": _TEXT,
        "first_seen": pl.Int64(),
        "last_seen": pl.Int64(),
        "state": _TEXT,
        "matches": pl.Boolean(),
    }
)


@dataclass(frozen=True, slots=True)
class GroupFilters:
    """Which groups: each empty field accepts everything.

    `state`: any of them. `assignee`: a user's name, NOBODY for groups that nobody has. `text`: part of the title in any
    case, or a whole fingerprint. `dimensions`: groups that have such errors in the range, of which those alone count.
    """

    state: tuple[State, ...] = ()
    assignee: str | None = None
    text: str = ""
    dimensions: Filters = field(default_factory=Filters)


@dataclass(frozen=True, slots=True)
class GroupList:
    """One page. `groups` has a row for each: `fingerprint` (its head), `title`, `state`, `resolved_at`,
    `ignored_until`, `ignored_until_errors`, `assignee` (a name), `changed_at`, `changed_by`, `source`, `error_type`,
    `severity` (the highest), `project_id`, `workflow_id` (of the newest error), `first_seen`, `last_seen`, `total`
    (errors for ever), `members` (fingerprints), `errors` (in the range), `series` (errors per bucket of the range).

    `matching` is how many groups there are on all pages, `by_state` how many of each state, asked for or not. `buckets`
    are the starts of the series' buckets, each `interval_seconds` long.
    """

    groups: pl.DataFrame
    matching: int
    by_state: dict[str, int]
    buckets: list[datetime]
    interval_seconds: int


def list_groups(
    store: Store,
    start: datetime,
    end: datetime,
    filters: GroupFilters | None = None,
    *,
    sort: Sort = "last_seen",
    limit: int = 50,
    page: int = 1,
    points: int = 24,
    idle: bool = False,
) -> GroupList:
    """Groups with errors in `[start, end)`, or with `idle` all of them, sorted from the newest or most.

    `page` begins at 1. The series has about `points` buckets of whole tens of seconds; the range is widened to whole
    ones. Raises BadRequest.
    """
    _check_page(limit, page, points)
    asked = filters or GroupFilters()
    interval = _interval(start, end, points)
    first, last = whole_buckets(start, end, interval)
    with ThreadPoolExecutor(1) as beside:  # Postgres tells of the groups while the lake is read
        known = beside.submit(_candidates, store, asked)
        counts = group_counts(store, first, last, asked.dimensions).select("fingerprint", "errors")
        members = known.result().join(counts, on="fingerprint", how="left")
    found = members.group_by("head").agg(
        pl.col("errors").sum(),
        pl.col("first_seen").min(),
        pl.col("last_seen").max(),
        pl.col("state").first(),
        pl.col("matches").any(),
    )
    found = found.filter((pl.col("errors") > 0) | (pl.col("matches") if idle else pl.lit(value=False)))
    by_state = dict(found.group_by("state").len().iter_rows())
    if asked.state:
        found = found.filter(pl.col("state").is_in(asked.state))
    ordered = found.sort(sort, "head", descending=[True, False])
    heads = ordered["head"].slice((page - 1) * limit, limit).to_list()
    buckets = pl.datetime_range(first, last, f"{interval}s", closed="left", time_unit="us", eager=True).to_list()
    head_of = dict(members.filter(pl.col("head").is_in(heads)).select("fingerprint", "head").iter_rows())
    series = _series(store, first, last, interval, asked.dimensions, head_of, buckets)
    with store.connection() as connection:
        described = _described(connection, heads)
    position = pl.DataFrame(
        {"fingerprint": heads, "position": range(len(heads))}, schema_overrides={"fingerprint": _TEXT}
    )
    groups = (
        position.join(described, on="fingerprint")
        .join(found.select(pl.col("head").alias("fingerprint"), "errors"), on="fingerprint")
        .join(series, on="fingerprint")
        .sort("position")
        .drop("position")
    )
    return GroupList(groups, found.height, by_state, buckets, interval)


def _check_page(limit: int, page: int, points: int) -> None:
    for name, value, most in (
        ("limit", limit, MOST_GROUPS),
        ("page", page, _MOST_PAGES),
        ("points", points, MOST_POINTS),
    ):
        if not 1 <= value <= most:
            raise BadRequest(f"{name} must be between 1 and {most:,}.")


def _interval(start: datetime, end: datetime, points: int) -> int:
    """The length in seconds of about `points` buckets of the range."""
    if end <= start:
        raise BadRequest("The end of the range must be after its start.")
    tens = -(-int((end - start).total_seconds()) // (points * SMALLEST_INTERVAL))
    seconds = SMALLEST_INTERVAL * max(1, tens)
    # Long ones are of whole minutes or hours, for which the lake has rollups.
    whole = next((size for size in (3600, 60) if seconds >= 10 * size), SMALLEST_INTERVAL)
    return -(-seconds // whole) * whole


def _candidates(store: Store, asked: GroupFilters) -> pl.DataFrame:
    clause, values = postgres_clause(asked.dimensions)
    values |= {"assignee": asked.assignee, "text": asked.text}
    with store.connection() as connection:
        rows = connection.execute(filled(_SQL["candidates"], filters=clause), values).fetchall()
    return pl.DataFrame(rows, schema=_CANDIDATE, orient="row")


def _series(
    store: Store,
    start: datetime,
    end: datetime,
    interval: int,
    dimensions: Filters,
    head_of: Mapping[str, str],
    buckets: Sequence[datetime],
) -> pl.DataFrame:
    """`fingerprint` (the head) and `series`, for all heads of these fingerprints at once."""
    lines = {head: [0] * len(buckets) for head in head_of.values()}
    if head_of:
        wanted = [name for name in dimensions.fingerprint or head_of if name in head_of]
        chosen = Filters(**{**dimensions.active(), "fingerprint": tuple(wanted)})  # type: ignore[arg-type]
        place = {bucket: index for index, bucket in enumerate(buckets)}
        frame = counted(store, "errors", start, end, interval, chosen, "fingerprint")
        for bucket, member, errors in frame.select("bucket", "group", "errors").iter_rows():
            lines[head_of[member]][place[bucket]] += errors
    schema = {"fingerprint": _TEXT, "series": pl.List(pl.Int64())}
    return pl.DataFrame({"fingerprint": list(lines), "series": list(lines.values())}, schema=schema)


def _described(connection: Connection, heads: Sequence[str]) -> pl.DataFrame:
    rows = connection.execute(_SQL["described"], {"heads": list(heads)}).fetchall()
    frame = pl.DataFrame(rows, schema=_DESCRIBED, orient="row")
    return frame.with_columns(pl.coalesce(pl.col("title").str.replace(ONE_TRY, ""), "fingerprint").alias("title"))


@dataclass(frozen=True, slots=True)
class Member:
    """A fingerprint of a group. `version` is that of the algorithm that made it, None for one that a caller gave.
    `joined` is `head` for the group's own, `merged` or `continues`."""

    fingerprint: str
    version: int | None
    joined: str
    title: str
    total: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class GroupDetails:
    """A group whole: `group` has the columns of a row of `GroupList.groups`, but `errors` and `series`; `notes` are
    dicts of `id`, `at`, `author`, `note`, `fingerprint`; `history` of `at`, `kind`, `by`, `detail`, `fingerprint`,
    `member`; both the newest first."""

    group: dict[str, Any]
    members: list[Member]
    notes: list[dict[str, Any]]
    history: list[dict[str, Any]]

    def filters(self) -> Filters:
        """For `error_series`, `latest_errors` and all others that take filters: the errors of all members."""
        return Filters(fingerprint=tuple(member.fingerprint for member in self.members))


def group_details(store: Store, fingerprint: str) -> GroupDetails:
    """The group that `fingerprint` belongs to, whether it is its head or a member. Raises NotFound."""
    with store.connection() as connection:
        row = connection.execute(_SQL["head_of"], {"fingerprint": fingerprint}).fetchone()
        if row is None:
            raise NotFound("No group has this fingerprint.")
        values = {"fingerprint": row[0], "limit": _MOST_HISTORY}
        members = [_member(*found) for found in connection.execute(_SQL["members"], values)]
        return GroupDetails(
            _described(connection, [row[0]]).to_dicts()[0],
            members,
            _dicts(connection, "notes", values),
            _dicts(connection, "history", values),
        )


def _member(
    fingerprint: str,
    title: str,
    merged_into: str | None,
    continues: str | None,
    total: int,
    first_seen: datetime,
    last_seen: datetime,
) -> Member:
    joined = "merged" if merged_into else "continues" if continues else "head"
    return Member(fingerprint, version_of(fingerprint), joined, title, total, first_seen, last_seen)


def version_of(fingerprint: str) -> int | None:
    """The version of the algorithm that made a fingerprint; None for a caller's own."""
    match = _VERSIONED.fullmatch(fingerprint)
    return int(match[1]) if match else None


def _dicts(connection: Connection, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = connection.execute(_SQL[statement], values)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def members_of(connection: Connection, fingerprints: Iterable[str]) -> tuple[str, ...]:
    """All fingerprints of the groups that these belong to, themselves included: for a filter on whole groups."""
    rows = connection.execute(_SQL["members_of"], {"given": list(fingerprints)})
    return tuple(row[0] for row in rows)


def breakdown(
    store: Store, start: datetime, end: datetime, filters: Filters, column: str, limit: int = 10
) -> pl.DataFrame:
    """Errors in the range by the values of `column` (one of the filters' names), most first: `value` (null for
    errors without one), `errors`. Raises BadRequest."""
    check_group(column)
    if end <= start:
        raise BadRequest("The end of the range must be after its start.")
    if (
        end - start <= LIVE_RANGE
    ):  # the rollup may answer, whose buckets are whole; longer ranges are read to the second
        start, end = whole_buckets(start, end, SMALLEST_INTERVAL)
    frame = counted(store, "errors", start, end, _ANY_HOURS, filters, column)
    grouped = frame.group_by(pl.col("group").alias("value")).agg(pl.col("errors").sum())
    return grouped.sort("errors", "value", descending=[True, False], nulls_last=True).head(limit)


def group_event_series(store: Store, start: datetime, end: datetime, kind: str, filters: Filters) -> pl.DataFrame:
    """`bucket` and `events` for every 10 seconds of the range: how many groups were `new` or had `regressed` then."""
    start, end = whole_buckets(start, end, SMALLEST_INTERVAL)
    clause, values = postgres_clause(filters)
    values |= {"kind": kind, "start": start, "end": end}
    with store.connection() as connection:
        rows = connection.execute(filled(_SQL["events"], filters=clause), values).fetchall()
    known = pl.DataFrame(rows, schema={"bucket": _UTC, "events": pl.Int64()}, orient="row")
    every = pl.datetime_range(start, end, "10s", closed="left", time_unit="us", eager=True)
    frame = pl.DataFrame({"bucket": every}).join(known, on="bucket", how="left")
    return frame.with_columns(pl.col("events").fill_null(0))


def group_events(
    store: Store, start: datetime, end: datetime, kind: str, filters: Filters, limit: int = 10
) -> list[str]:
    """The fingerprints of the groups that were `new` or had `regressed` in the range, the latest first."""
    clause, values = postgres_clause(filters)
    values |= {"kind": kind, "start": start, "end": end, "limit": limit}
    with store.connection() as connection:
        return [row[0] for row in connection.execute(filled(_SQL["event_groups"], filters=clause), values)]


def whole_group(store: Store, filters: Filters) -> Filters:
    """The same filters, with each fingerprint widened to the group that it belongs to."""
    if not filters.fingerprint:
        return filters
    with store.connection() as connection:
        fingerprints = members_of(connection, filters.fingerprint)
    return Filters(**{**filters.active(), "fingerprint": fingerprints})  # type: ignore[arg-type]
