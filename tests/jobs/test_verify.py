"""`verify` says equal when it is, and what is wrong when it isn't."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics.lake import list_parts
from ingest.database import Connection, connect
from jobs.mirror import Mirror
from jobs.verify import verify
from tests.seeding import insert_error, insert_many, insert_report, now


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


@pytest.fixture
def sealed(published: Connection, lake_dir: Path) -> Connection:
    """Three closed days of errors, each in one file, and one of trials."""
    Mirror(published, lake_dir, max_rows=1000, max_lag_seconds=300).seal(now() + timedelta(days=3))
    assert len(list_parts(lake_dir, "errors").seals) == 3
    return published


def a_seal(lake_dir: Path) -> Path:
    return list_parts(lake_dir, "errors").seals[0].path


def rewrite(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """As somebody with a script would, who keeps the footer."""
    footer = {name: text for name, text in pl.read_parquet_metadata(path).items() if name.startswith("meshhook")}
    change(pl.read_parquet(path, hive_partitioning=False)).write_parquet(path, metadata=footer)


def test_sealed_days_are_equal_row_by_row(sealed: Connection, lake_dir: Path) -> None:
    report = verify(sealed, lake_dir)
    assert report.is_equal, report.problems
    assert (report.ranges, report.rows_compared, report.rows_only_in_lake) == (3, 301, 0)
    assert [(day.is_sealed, day.files) for day in report.days] == [(True, 1)] * 4
    assert sum(day.counted for day in report.days if day.dataset == "errors") == 300


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda rows: rows.head(-1), "its footer says"),
        (lambda rows: rows.with_columns(error_id=pl.col("error_id").reverse().shift(1, fill_value="x")), "has ids"),
        (lambda rows: rows.with_columns(stands_for=pl.lit(2, pl.Int64())), "has counted"),
        (lambda rows: rows.with_columns(title=pl.lit("changed")), "the same ids, with other values"),
        (lambda rows: rows.with_columns(pl.col("timestamp") - timedelta(days=1)), "another day or range"),
        (lambda rows: pl.concat([rows.head(-1), rows.head(1)]), "has ids"),
    ],
    ids=["a row less", "another id", "another weight", "another title", "another day", "a row twice"],
)
def test_a_change_in_a_sealed_file_is_found(
    sealed: Connection, lake_dir: Path, change: Callable[[pl.DataFrame], pl.DataFrame], finding: str
) -> None:
    path = a_seal(lake_dir)
    rewrite(path, change)
    problems = verify(sealed, lake_dir).problems
    assert len(problems) == 1
    assert finding in problems[0]


def test_a_row_twice_is_found_where_the_footer_agrees(published: Connection, lake_dir: Path) -> None:
    path = first_part(lake_dir)
    pl.concat([pl.read_parquet(path, hive_partitioning=False)] * 2).write_parquet(path)
    assert "rows twice" in verify(published, lake_dir).problems[0]


def test_a_part_that_somebody_put_back_beside_its_sealed_day_is_found(
    published: Connection, lake_dir: Path, tmp_path: Path
) -> None:
    path = first_part(lake_dir)
    copied = path.read_bytes()
    Mirror(published, lake_dir, max_rows=1000, max_lag_seconds=300).seal(now() + timedelta(days=3))
    path.write_bytes(copied)
    report = verify(published, lake_dir)
    assert [f"{path} stands twice" in problem for problem in report.problems] == [True]
    assert report.rows_compared == 301


def test_a_sealed_day_that_is_gone_is_missed_in_each_range(sealed: Connection, lake_dir: Path) -> None:
    a_seal(lake_dir).unlink()
    problems = verify(sealed, lake_dir).problems
    assert all("1 of" in problem and "missing" in problem for problem in problems)
    assert problems


def test_a_torn_sealed_file_is_named(sealed: Connection, lake_dir: Path) -> None:
    path = a_seal(lake_dir)
    path.write_bytes(path.read_bytes()[:-100])
    assert any(f"{path} can't be read" in problem for problem in verify(sealed, lake_dir).problems)


def test_a_dropped_partition_leaves_the_lake_as_the_only_witness(sealed: Connection, lake_dir: Path) -> None:
    sealed.execute(f"drop table error_metrics_{now():%Y%m%d}".encode())
    report = verify(sealed, lake_dir)
    assert report.is_equal, report.problems
    assert (report.rows_only_in_lake, report.rows_compared) == (300, 1)


def test_rows_that_somebody_deleted_in_postgres_are_told(sealed: Connection, lake_dir: Path) -> None:
    sealed.execute("delete from error_metrics where title = 'failure 3'")
    problems = verify(sealed, lake_dir).problems
    assert problems
    assert all("only in the lake, although Postgres has the days" in problem for problem in problems)


def test_a_database_of_another_cluster_is_told(sealed: Connection, lake_dir: Path) -> None:
    sealed.execute("update mirror_claims set system_identifier = 'another' where dataset = 'errors'")
    problems = verify(sealed, lake_dir).problems
    assert ["another Postgres cluster" in problem for problem in problems] == [True]


def test_a_lake_of_another_database_is_told(sealed: Connection, lake_dir: Path) -> None:
    sealed.execute("delete from mirror_claims")
    assert "belongs to another database" in verify(sealed, lake_dir).problems[0]


def test_it_says_equal_while_the_mirror_publishes_and_seals(
    connection: Connection, database_url: str, lake_dir: Path
) -> None:
    """In the same moments: files come and go between the listing and the reading."""
    done = threading.Event()

    def work() -> None:
        with connect(database_url, "mirror") as session, connect(database_url, "late") as late:
            mirror = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300)
            for turn in range(7):
                insert_many(late, 50, over=timedelta(days=3))
                mirror.tick(everything=True)
                mirror.seal(now() + timedelta(days=2 * turn))
                time.sleep(0.2)
            done.set()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        while not done.is_set() and not working.done():
            report = verify(connection, lake_dir)
            assert report.is_equal, report.problems
        working.result()
    assert verify(connection, lake_dir).rows_compared == 350
