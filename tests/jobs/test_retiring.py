"""Retiring: rows leave the lake by age, the accounts stay whole, and the rollups tell on."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import polars as pl
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
from tests.jobs.test_cli import command
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


def test_no_row_is_retired_whose_rollup_can_t_be_kept(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    before = series(store)
    directory = lake_dir / "rollups" / "hour" / "errors" / f"day={OLD.date()}"
    shutil.rmtree(directory)
    directory.write_text("in the way")
    assert [day.dataset for day in mirror.retire(BEFORE)] == ["executions"]
    assert (rows(lake_dir), series(store)) == (6, before)
    directory.unlink()
    assert [day.dataset for day in mirror.retire(BEFORE)] == ["errors"]
    report = verify(connection, lake_dir)
    assert (report.is_equal, rows(lake_dir), series(store)) == (True, 1, before), report.problems


def the_kept_rollup(lake_dir: Path) -> Path:
    (found,) = (lake_dir / "rollups" / "hour" / "errors" / f"day={OLD.date()}").glob("*-kept.parquet")
    return found


def with_minutes_forgotten(lake_dir: Path) -> None:
    for path in (lake_dir / "rollups" / "minute" / "errors" / f"day={OLD.date()}").glob("*"):
        path.unlink()


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_kept_rollup_that_somebody_deleted_is_told_of_and_put_back_from_a_backup(
    connection: Connection, database_url: str, mirror: Mirror, lake_dir: Path, is_noted: bool
) -> None:
    mirror.retire(BEFORE)
    with_minutes_forgotten(lake_dir)
    if not is_noted:  # the mirror died just before, or this is another database
        connection.execute("delete from retired_days")
    assert verify(connection, lake_dir).is_equal
    rollup = the_kept_rollup(lake_dir)
    kept = rollup.read_bytes()
    rollup.unlink()
    (problem,) = verify(connection, lake_dir).problems
    for told in (str(OLD.date()), "errors", str(rollup.parent), "is gone", "5 errors", "from a backup"):
        assert told in problem
    answer = command("verify", DATABASE_URL=database_url, LAKE_URL=str(lake_dir))
    assert (answer.returncode, problem in answer.stdout + answer.stderr) == (1, True)
    mirror.rebuild_rollups()
    assert not verify(connection, lake_dir).is_equal  # what is made of no rows isn't what is missing
    rollup.write_bytes(kept)
    assert verify(connection, lake_dir).is_equal


def test_a_day_that_an_earlier_version_retired_is_known_to_lack_its_rollup(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    """Its footer doesn't tell, the table of retired days does."""
    mirror.retire(BEFORE)
    seal = next(file.path for file in list_parts(lake_dir, "errors").seals if file.day == OLD.date())
    footer = {name: value for name, value in pl.read_parquet_metadata(seal).items() if name != "meshhook_errors.kept"}
    pl.read_parquet(seal, hive_partitioning=False).write_parquet(seal, metadata=footer)
    assert verify(connection, lake_dir).is_equal
    the_kept_rollup(lake_dir).unlink()
    (problem,) = verify(connection, lake_dir).problems
    assert "5 errors" in problem


def test_a_kept_rollup_that_tells_of_less_or_is_torn_is_found(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    mirror.retire(BEFORE)
    rollup = the_kept_rollup(lake_dir)
    shorten(rollup)
    (problem,) = verify(connection, lake_dir).problems
    assert "tells of 5 errors" in problem
    tear(rollup)
    (problem,) = verify(connection, lake_dir).problems
    assert "can't be read" in problem and "from a backup" in problem


def lose(rollup: Path) -> None:
    rollup.unlink()


def tear(rollup: Path) -> None:
    rollup.write_bytes(rollup.read_bytes()[:100])


def shorten(rollup: Path) -> None:
    footer = {name: value for name, value in pl.read_parquet_metadata(rollup).items() if name.startswith("mesh")}
    rows = pl.read_parquet(rollup, hive_partitioning=False).filter(pl.col("project_id").is_null())
    assert rows["errors"].sum() == 4
    rows.write_parquet(rollup, metadata=footer)


@pytest.mark.parametrize("harm", [lose, tear, shorten])
def test_a_day_without_its_kept_rollup_waits_so_that_a_backup_of_it_still_fits(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store, harm: Callable[[Path], None]
) -> None:
    mirror.retire(BEFORE)
    with_minutes_forgotten(lake_dir)
    insert_error(connection, timestamp=OLD)
    mirror.tick(everything=True)
    rollup = the_kept_rollup(lake_dir)
    kept = rollup.read_bytes()
    harm(rollup)
    assert OLD.date() not in [sealed.day for sealed in mirror.seal(now() + timedelta(days=2))]
    connection.execute("delete from error_metrics")
    insert_report(connection, 4, timestamp=OLD)
    mirror.tick(everything=True)
    connection.execute("delete from execution_metrics")
    assert [retired.dataset for retired in mirror.retire(BEFORE)] == ["executions"]  # the others don't wait for it
    assert mirror.mend(7).days == []
    rollup.write_bytes(kept)
    assert [day.rows for day in mirror.retire(BEFORE)] == [1]
    assert (verify(connection, lake_dir).problems, series(store)) == ([], 7)


@pytest.mark.parametrize(("harm", "said"), [(lose, "is gone"), (shorten, "comes to 5")])
def test_erasing_goes_on_without_a_kept_rollup_and_hides_no_loss(
    connection: Connection, mirror: Mirror, lake_dir: Path, harm: Callable[[Path], None], said: str
) -> None:
    mirror.retire(BEFORE)
    with_minutes_forgotten(lake_dir)
    insert_error(connection, timestamp=OLD, project_id=GONE)
    insert_error(connection, timestamp=OLD)
    mirror.tick(everything=True)
    harm(the_kept_rollup(lake_dir))
    request(connection, Selection("project", (str(GONE),)), "somebody")
    mirror.erase()
    (problem,) = verify(connection, lake_dir).problems
    assert said in problem and "of 6 errors" in problem


def test_mending_a_retired_day_keeps_what_its_rollups_tell(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    mirror.retire(BEFORE)
    insert_error(connection, timestamp=OLD)
    mirror.tick(everything=True)
    late = next(part.path for part in list_parts(lake_dir, "errors").parts if part.day == OLD.date())
    insert_error(connection)
    mirror.tick(everything=True)
    late.unlink()
    assert not verify(connection, lake_dir).is_equal
    assert len(mirror.mend(7).days) == 1
    report = verify(connection, lake_dir)
    assert (report.is_equal, series(store)) == (True, 8), report.problems


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
