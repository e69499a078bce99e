"""`verify` says equal when it is, and what is wrong when it isn't."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics.lake import list_parts
from ingest.database import Connection
from jobs.mirror import Mirror
from jobs.verify import verify
from tests.seeding import insert_error, insert_many, insert_report


@pytest.fixture
def published(connection: Connection, lake_dir: Path) -> Connection:
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 200, over=timedelta(days=2))
    insert_report(connection, 5, 1)
    job.tick(everything=True)
    insert_many(connection, 100)
    job.tick(everything=True)
    insert_many(connection, 7)
    return connection


def first_part(lake_dir: Path) -> Path:
    return list_parts(lake_dir, "errors").parts[0].path


def test_it_says_equal(published: Connection, lake_dir: Path) -> None:
    report = verify(published, lake_dir)
    assert report.is_equal, report.problems
    assert (report.rows_compared, report.waiting) == (301, 7)


def test_a_changed_value_is_found(published: Connection, lake_dir: Path) -> None:
    path = first_part(lake_dir)
    pl.read_parquet(path, hive_partitioning=False).with_columns(title=pl.lit("changed")).write_parquet(path)
    assert ["the same ids, with other values" in problem for problem in verify(published, lake_dir).problems] == [True]


def test_a_missing_row_is_found(published: Connection, lake_dir: Path) -> None:
    path = first_part(lake_dir)
    pl.read_parquet(path, hive_partitioning=False).head(-1).write_parquet(path)
    assert "1 rows are missing in the lake" in verify(published, lake_dir).problems[0]


def test_a_copied_file_is_found(published: Connection, lake_dir: Path) -> None:
    path = first_part(lake_dir)
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    assert "no part of ours" in verify(published, lake_dir).problems[0]


def test_a_missing_part_is_found(published: Connection, lake_dir: Path) -> None:
    first_part(lake_dir).unlink()
    assert "parts are missing" in verify(published, lake_dir).problems[0]


@pytest.mark.parametrize("gone", [0, 1, 2], ids=["oldest", "middle", "newest-two"])
def test_a_range_without_any_part_is_found(connection: Connection, lake_dir: Path, gone: int) -> None:
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    for _ in range(4):
        insert_error(connection)
        job.tick(everything=True)
    parts = list_parts(lake_dir, "errors").parts
    for part in parts[gone : gone + 1 + (gone == 2)]:
        part.path.unlink()
    assert ["every part is missing" in problem for problem in verify(connection, lake_dir).problems] == [True]


def test_a_torn_file_is_found(published: Connection, lake_dir: Path) -> None:
    path = first_part(lake_dir)
    path.write_bytes(path.read_bytes()[:100])
    problems = verify(published, lake_dir).problems
    assert any("can't be read" in problem for problem in problems)
