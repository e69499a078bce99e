"""Retiring: rows leave the lake by age, the accounts stay whole, and the rollups tell on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from analytics.filters import Filters
from analytics.lake import list_parts
from analytics.queries import error_series
from analytics.store import Store
from ingest.database import Connection
from jobs.erasing import request
from jobs.housekeeping import keep_house
from jobs.mirror import Mirror
from jobs.selection import Selection
from jobs.tally import Tally
from jobs.verify import verify
from tests.seeding import insert_error, insert_report, now

NOON = datetime.combine(now().date(), datetime.min.time(), tzinfo=UTC) + timedelta(hours=12)
OLD = NOON - timedelta(days=20)
BEFORE = (NOON - timedelta(days=10)).date()
GONE = UUID(int=7)


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path) -> Iterator[Mirror]:
    """Five errors of long ago, one of today; Postgres has none of the old ones any more."""
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    for minutes in range(4):
        insert_error(connection, timestamp=OLD + timedelta(minutes=minutes))
    insert_error(connection, timestamp=OLD, project_id=GONE)
    insert_report(connection, 9, 2, timestamp=OLD)
    job.tick(everything=True)
    job.seal()
    drop_everything(connection, lake_dir)
    insert_error(connection, timestamp=NOON)
    job.tick(everything=True)
    yield job
    job.stop()


def drop_everything(connection: Connection, lake_dir: Path) -> None:
    """As housekeeping does ten days later."""
    Tally(connection).tick()
    ahead = now().date() + timedelta(days=10)
    assert len(keep_house(connection, lake_dir, ahead, postgres_days=7, counts_days=30)) >= 2


def rows(lake_dir: Path) -> int:
    return int(duckdb.sql(f"select count(*) from '{lake_dir}/errors/**/*.parquet'").fetchall()[0][0])


def series(store: Store, **filters: tuple[UUID, ...]) -> int:
    frame = error_series(store, OLD - timedelta(hours=13), now() + timedelta(hours=13), 3600, Filters(**filters))
    return int(frame["errors"].sum())


@pytest.fixture
def store(database_url: str, lake_dir: Path) -> Iterator[Store]:
    reading = Store(database_url, lake_dir)
    yield reading
    reading.close()


def test_a_retired_day_has_no_rows_and_all_its_figures(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    before, watermark = series(store), list_parts(lake_dir, "errors").watermark
    retired = mirror.retire(BEFORE)
    assert [(day.dataset, day.day, day.rows) for day in retired] == [
        ("errors", OLD.date(), 5),
        ("executions", OLD.date(), 1),
    ]
    assert (rows(lake_dir), series(store), list_parts(lake_dir, "errors").watermark) == (1, before, watermark)
    report = verify(connection, lake_dir)
    assert report.is_equal, report.problems
    assert mirror.retire(BEFORE) == []
    known = connection.execute("select dataset, day, rows, counted from retired_days order by 1").fetchall()
    assert known == [("errors", OLD.date(), 5, 5), ("executions", OLD.date(), 1, 9)]


def test_what_comes_late_for_a_retired_day_stays_until_postgres_has_dropped_it(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    mirror.retire(BEFORE)
    insert_error(connection, timestamp=OLD)
    mirror.tick(everything=True)
    assert mirror.retire(BEFORE) == []
    report = verify(connection, lake_dir)
    assert (report.is_equal, rows(lake_dir), series(store)) == (True, 2, 7), report.problems
    mirror.seal(now() + timedelta(days=2))
    connection.execute("delete from error_metrics")  # as a partition's drop does
    assert [day.rows for day in mirror.retire(BEFORE)] == [1]
    report = verify(connection, lake_dir)
    assert (report.is_equal, rows(lake_dir), series(store)) == (True, 1, 7), report.problems
    assert connection.execute("select rows from retired_days where dataset = 'errors'").fetchone() == (6,)


def test_what_is_erased_is_gone_from_what_a_retired_day_still_tells(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    mirror.retire(BEFORE)
    assert (series(store, project_id=(GONE,)), series(store)) == (1, 6)
    request(connection, Selection("project", (str(GONE),)), "somebody")
    mirror.erase()
    assert (series(store, project_id=(GONE,)), series(store)) == (0, 5)
    report = verify(connection, lake_dir)
    assert report.is_equal, report.problems


def test_the_mirror_retires_in_its_turns_only_where_that_is_set(connection: Connection, lake_dir: Path) -> None:
    for days, left in ((0, 1), (10, 0)):
        job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300, lake_days=days)
        if days == 0:
            insert_error(connection, timestamp=OLD)
            job.tick(everything=True)
            drop_everything(connection, lake_dir)
        job.turn()
        job.stop()
        assert rows(lake_dir) == left
