"""Parts that an earlier version wrote are read beside today's, by every question."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from analytics.events import error_by_id
from analytics.evolution import parts_in_sql
from analytics.filters import Filters
from analytics.lake import list_parts
from analytics.latest import latest_errors
from analytics.queries import error_series, top_groups
from analytics.store import Store
from ingest.database import Connection
from jobs.mirror import Mirror
from jobs.verify import verify
from tests.seeding import insert_error, now

NOBODY = Filters()


def publish(connection: Connection, mirror: Mirror, lake_dir: Path, stands_for: int, *, is_old: bool) -> str:
    """One error in a part of its own, a day ago: beyond what the rollup answers."""
    error_id = insert_error(connection, timestamp=now() - timedelta(days=1))
    connection.execute("update error_metrics set stands_for = %s where error_id = %s", [stands_for, error_id])
    known = {part.path for part in list_parts(lake_dir, "errors").parts}
    mirror.tick(everything=True)
    for part in list_parts(lake_dir, "errors").parts:
        if is_old and part.path not in known:
            footer = {name: text for name, text in pl.read_parquet_metadata(part.path).items() if name[:3] != "ARR"}
            rows = pl.read_parquet(part.path, hive_partitioning=False).drop("stands_for")
            rows.write_parquet(part.path, metadata=footer)
    return str(error_id)


@pytest.mark.parametrize(
    ("old", "new"), [(2, 1), (2, 0), (0, 2), (1, 3)], ids=["both", "old alone", "new alone", "more new ones"]
)
def test_every_question_reads_parts_of_both_times(
    connection: Connection, lake_dir: Path, store: Store, old: int, new: int
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    ids = [publish(connection, mirror, lake_dir, 1, is_old=True) for _ in range(old)]
    ids += [publish(connection, mirror, lake_dir, 5, is_old=False) for _ in range(new)]
    start, end, expected = now() - timedelta(days=2), now() + timedelta(hours=1), old + 5 * new
    assert error_series(store, start, end, 3600, NOBODY)["errors"].sum() == expected
    assert top_groups(store, start, end, NOBODY)["errors"].to_list() == [expected]
    newest = latest_errors(store, start, end, NOBODY)
    assert dict(newest.select("error_id", "stands_for").iter_rows()) == {
        error_id: 1 if number < old else 5 for number, error_id in enumerate(ids)
    }
    connection.execute("truncate error_metrics")
    for number, error_id in enumerate(ids):
        found = error_by_id(store, UUID(error_id))
        assert found is not None
        assert found["stands_for"] == (1 if number < old else 5)


def test_a_sealed_day_and_parts_of_both_times_are_read_together(
    connection: Connection, lake_dir: Path, store: Store
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    publish(connection, mirror, lake_dir, 1, is_old=True)
    publish(connection, mirror, lake_dir, 5, is_old=False)
    assert len(mirror.seal(now() + timedelta(days=1))) == 1
    publish(connection, mirror, lake_dir, 1, is_old=True)
    publish(connection, mirror, lake_dir, 7, is_old=False)
    start, end = now() - timedelta(days=2), now() + timedelta(hours=1)
    assert error_series(store, start, end, 3600, NOBODY)["errors"].sum() == 14
    assert top_groups(store, start, end, NOBODY)["errors"].to_list() == [14]
    assert sorted(latest_errors(store, start, end, NOBODY)["stands_for"]) == [1, 1, 5, 7]


def test_an_older_part_is_equal_to_what_postgres_has(connection: Connection, lake_dir: Path) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    publish(connection, mirror, lake_dir, 1, is_old=True)
    publish(connection, mirror, lake_dir, 3, is_old=False)
    report = verify(connection, lake_dir)
    assert (report.problems, report.rows_compared) == ([], 2)


def test_a_part_that_cant_be_read_is_left_to_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(b"torn")
    assert parts_in_sql("errors", [str(path)])[1] == {"paths": [str(path)]}
