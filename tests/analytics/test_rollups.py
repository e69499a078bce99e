"""Rollups: whatever of them there is, every answer is the one that the rows give."""

import secrets
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.groups import breakdown
from analytics.lake import list_parts
from analytics.queries import error_series, group_counts, read_series
from analytics.reading import Question, plan
from analytics.rollups import GRAINS, NO_ROLLUPS, list_rollups, rollup_columns
from analytics.store import Store
from ingest.database import Connection
from jobs.mirror import Mirror
from tests.seeding import insert_error, insert_many, insert_report, now

HOUR = timedelta(hours=1)
MIDNIGHT = datetime.combine(now().date(), datetime.min.time(), tzinfo=UTC)
PROJECT = UUID(int=7)


def every_rollup(lake_dir: Path) -> list[Path]:
    return sorted((lake_dir / "rollups").glob("*/*/day=*/*.parquet"))


def fill(connection: Connection, mirror: Mirror) -> None:
    """Ten days of errors and trials in parts, some days sealed, some with late events beside; a few rows not yet in the
    lake."""
    for turn in range(3):
        insert_many(connection, 150, over=timedelta(days=10))
        for hours in range(0, 200, 13):
            moment = now() - timedelta(hours=hours, minutes=7 * turn)
            insert_report(connection, 10 + turn, turn, timestamp=moment, project_id=PROJECT if turn else None)
            insert_error(connection, timestamp=moment, project_id=PROJECT, severity="high", fingerprint="own/rare")
        connection.execute("update error_metrics set stands_for = 3 where fingerprint = '1-2' and stands_for = 1")
        mirror.tick(everything=True)
        if turn == 1:
            mirror.seal(now() - timedelta(days=4))
    insert_many(connection, 40, over=timedelta(days=8))
    insert_report(connection, 5, 5, timestamp=now() - timedelta(days=2))


_moments = st.integers(0, 11 * 86_400).map(lambda seconds: MIDNIGHT - timedelta(days=10) + timedelta(seconds=seconds))
_filters = st.builds(
    Filters,
    source=st.sampled_from([(), ("worker",), ("worker", "system")]),
    severity=st.sampled_from([(), ("high",)]),
    workflow_id=st.sampled_from([(), (UUID(int=3),)]),
    project_id=st.sampled_from([(), (PROJECT,)]),
    fingerprint=st.sampled_from([(), ("1-2", "own/rare")]),
)
_groups = st.sampled_from([None, "source", "error_type", "severity", "workflow_id", "project_id", "fingerprint"])


def test_every_answer_is_that_of_the_rows_whatever_rollups_there_are(
    connection: Connection, lake_dir: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    fill(connection, mirror)
    # Some files have all their rollups, some a few, some none.
    read: Counter[str] = Counter()
    for number, path in enumerate(every_rollup(lake_dir)):
        if number % 7 == 0:
            path.unlink()
    kept = list_parts(lake_dir, "errors")
    assert kept.seals
    assert len({file.day for file in kept.parts} & {seal.day for seal in kept.seals}) > 2

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        _moments,
        st.integers(6 * 3600 + 60, 11 * 86_400),
        st.sampled_from([10, 60, 120, 600, 3600, 7200, 86_400]),
        _filters,
        _groups,
    )
    @example(MIDNIGHT - timedelta(days=9), 8 * 86_400, 3600, Filters(), "severity")
    @example(MIDNIGHT - timedelta(days=9), 8 * 86_400, 3600, Filters(workflow_id=(UUID(int=3),)), None)
    @example(MIDNIGHT - timedelta(days=9), 8 * 86_400, 86_400, Filters(workflow_id=(UUID(int=3),)), None)
    def check(start: datetime, seconds: int, interval: int, filters: Filters, group_by: str | None) -> None:
        end = start + timedelta(seconds=seconds)
        if (end - start).total_seconds() / interval > 19_000:
            interval = 60
        answer = read_series(store, start, end, interval, filters, group_by)
        groups = group_counts(store, start, end, filters)
        parted = breakdown(store, start, end, filters, "workflow_id")
        read.update(answer.reading.sources)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "rollups", lambda *_: NO_ROLLUPS)
            assert answer.frame.equals(error_series(store, start, end, interval, filters, group_by))
            assert groups.equals(group_counts(store, start, end, filters))
            assert parted.equals(breakdown(store, start, end, filters, "workflow_id"))

    check()
    assert {"day rollups", "hour outlines", "hour rollups", "minute rollups", "single rows"} <= set(read)


def test_a_torn_rollup_costs_time_and_nothing_else(connection: Connection, lake_dir: Path, store: Store) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    fill(connection, mirror)
    start, end = now() - timedelta(days=10), now() + HOUR
    before = error_series(store, start, end, 3600, Filters())
    next(path for path in every_rollup(lake_dir) if path.parts[-4] == "outline").write_bytes(b"PAR1 torn PAR1")
    after = read_series(store, start, end, 3600, Filters())
    assert after.frame.equals(before)
    assert "single rows" in after.reading.sources


def test_a_range_is_read_from_hours_its_edges_from_minutes_and_rows(
    connection: Connection, lake_dir: Path, store: Store
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 500, over=timedelta(days=3))
    mirror.tick(everything=True)
    listing = list_parts(lake_dir, "errors")
    rollups = list_rollups(lake_dir, "errors", listing.days())
    start = MIDNIGHT - timedelta(days=2) + timedelta(minutes=61, seconds=5)
    end = MIDNIGHT - timedelta(minutes=1, seconds=30)
    pieces = [
        (source.kind, source.start, source.end)
        for source in plan(listing, rollups, Question("errors", start, end, None))
    ]
    assert pieces == [
        ("rows", start, start + timedelta(seconds=55)),
        ("minute", start + timedelta(seconds=55), MIDNIGHT - timedelta(hours=46)),
        ("hour", MIDNIGHT - timedelta(hours=46), MIDNIGHT - HOUR),
        ("minute", MIDNIGHT - HOUR, MIDNIGHT - timedelta(minutes=2)),
        ("rows", MIDNIGHT - timedelta(minutes=2), end),
    ]


@pytest.mark.parametrize(
    ("interval", "kinds"), [(10, {"rows"}), (90, {"rows"}), (300, {"minute"}), (3600, {"hour"}), (7200, {"hour"})]
)
def test_the_interval_decides_which_rollup_fits(
    connection: Connection, lake_dir: Path, interval: int, kinds: set[str]
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 50, over=timedelta(days=3))
    mirror.tick(everything=True)
    listing = list_parts(lake_dir, "errors")
    rollups = list_rollups(lake_dir, "errors", listing.days())
    question = Question("errors", MIDNIGHT - timedelta(days=2), MIDNIGHT, interval)
    sources = plan(listing, rollups, question)
    assert {source.kind for source in sources} == kinds


@pytest.mark.parametrize(
    ("interval", "columns", "kinds"),
    [
        (3600, (), {"outline"}),
        (86_400, ("severity", "project_id"), {"outline"}),
        (3600, ("workflow_id",), {"hour"}),
        (86_400, ("workflow_id",), {"day"}),
        (172_800, ("fingerprint", "source"), {"day"}),
        (None, ("fingerprint",), {"day"}),
        (60, (), {"minute"}),
    ],
)
def test_sealed_days_are_read_from_what_has_the_fewest_rows_and_knows_the_columns(
    connection: Connection, lake_dir: Path, interval: int | None, columns: tuple[str, ...], kinds: set[str]
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 200, over=timedelta(days=6))
    mirror.tick(everything=True)
    mirror.seal()
    listing = list_parts(lake_dir, "errors")
    rollups = list_rollups(lake_dir, "errors", listing.days())
    start, end = MIDNIGHT - timedelta(days=5), MIDNIGHT - timedelta(days=2)
    sources = plan(listing, rollups, Question("errors", start, end, interval, frozenset(columns)))
    assert {source.kind for source in sources} == kinds


def test_a_lake_without_rollups_is_read_as_it_was(connection: Connection, lake_dir: Path, store: Store) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 300, over=timedelta(days=3))
    mirror.tick(everything=True)
    for path in every_rollup(lake_dir):
        path.unlink()
    answer = read_series(store, now() - timedelta(days=4), now() + HOUR, 3600, Filters())
    assert (answer.frame["errors"].sum(), answer.reading.sources) == (300, ("single rows",))


def test_a_rollup_of_a_file_that_doesn_t_stand_is_never_read(
    connection: Connection, lake_dir: Path, store: Store
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 300, over=timedelta(days=3))
    mirror.tick(everything=True)
    for path in every_rollup(lake_dir):
        stem, of = path.name[:-30], path.name[-30:]
        assert of.endswith(".parquet")
        path.with_name(stem.replace("part-", "part-9", 1) + of).write_bytes(path.read_bytes())
        stranger = f"sealed-{0:020d}-{10**15:020d}-{secrets.token_hex(8)}-{secrets.token_hex(8)}.parquet"
        path.with_name(stranger).write_bytes(path.read_bytes())
    answer = read_series(store, now() - timedelta(days=4), now() + HOUR, 3600, Filters())
    assert (answer.frame["errors"].sum(), answer.reading.sources) == (300, ("hour rollups",))


def test_it_is_told_that_only_postgres_was_read(connection: Connection, store: Store) -> None:
    insert_error(connection, timestamp=now() - timedelta(days=1))
    answer = read_series(store, now() - timedelta(days=2), now(), 3600, Filters())
    assert answer.reading.sources == ()
    live = read_series(store, now() - HOUR, now(), 60, Filters())
    assert live.reading.sources == ("10-second counts",)
    assert now() - answer.reading.complete_to < timedelta(seconds=20)


def test_the_columns_of_a_rollup_are_those_that_are_documented(connection: Connection, mirror_rows: list[Path]) -> None:
    assert {path.parts[-4] for path in mirror_rows} == set(GRAINS)
    for path in mirror_rows:
        frame = pl.read_parquet(path, hive_partitioning=False)
        assert frame.schema == rollup_columns("errors" if path.parts[-3] == "errors" else "executions", path.parts[-4])  # type: ignore[arg-type]


@pytest.fixture
def mirror_rows(connection: Connection, lake_dir: Path) -> list[Path]:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    fill(connection, mirror)
    mirror.seal()
    days = {date.fromisoformat(path.parent.name[4:]) for path in every_rollup(lake_dir)}
    assert len(days) > 8
    return every_rollup(lake_dir)
