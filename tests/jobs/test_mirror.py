"""The mirror: every committed row stands in the lake exactly once, whatever happens on the way."""

import errno
import os
from datetime import timedelta
from pathlib import Path
from typing import IO

import duckdb
import polars as pl
import pytest

from analytics.lake import list_parts
from ingest.database import Connection, connect
from jobs import mirror as mirror_module
from jobs.exceptions import ClusterChanged, LakeMismatch, LeadershipLost, PublishFailed
from jobs.mirror import Mirror
from jobs.publishing import open_new, publish
from jobs.ranges import read_range
from jobs.workbench import Workbench
from tests.end_to_end.running import until
from tests.seeding import insert_error, insert_many, insert_report, now


def lake_ids(lake_dir: Path) -> list[str]:
    """What an analyst with plain DuckDB sees."""
    if not list(lake_dir.glob("errors/**/*.parquet")):
        return []
    rows = duckdb.sql(f"select error_id from '{lake_dir}/errors/**/*.parquet'").fetchall()
    return sorted(row[0] for row in rows)


def postgres_ids(connection: Connection) -> list[str]:
    return sorted(str(row[0]) for row in connection.execute("select error_id from error_metrics"))


def mirror(connection: Connection, lake_dir: Path, **options: object) -> Mirror:
    defaults: dict[str, object] = {"max_rows": 250_000, "max_lag_seconds": 300}
    return Mirror(connection, lake_dir, **(defaults | options))  # type: ignore[arg-type]


def test_every_row_is_published_once_and_equal(connection: Connection, lake_dir: Path) -> None:
    insert_many(connection, 1000, over=timedelta(days=3.5))
    insert_report(connection, 10, 2)
    published = mirror(connection, lake_dir).tick(everything=True)
    assert {(done.dataset, done.rows) for done in published} == {("errors", 1000), ("executions", 1)}
    assert lake_ids(lake_dir) == postgres_ids(connection)
    frame = pl.read_parquet(f"{lake_dir}/errors/**/*.parquet", hive_partitioning=True)
    assert frame["day"].n_unique() >= 4
    assert (frame["timestamp"].dt.date() == frame["day"].cast(pl.Date)).all()
    quotes = set(frame["metadata"].str.json_path_match("$.quote"))
    assert quotes == {'a "b"\n\\c,'}


def test_a_second_tick_publishes_only_what_is_new(connection: Connection, lake_dir: Path) -> None:
    job = mirror(connection, lake_dir)
    insert_many(connection, 10)
    job.tick(everything=True)
    assert job.tick(everything=True) == []
    insert_many(connection, 5)
    assert [done.rows for done in job.tick(everything=True)] == [5]
    assert lake_ids(lake_dir) == postgres_ids(connection)


def test_rows_wait_until_enough_or_old_enough(connection: Connection, lake_dir: Path) -> None:
    job = mirror(connection, lake_dir, max_rows=10, max_lag_seconds=300)
    insert_many(connection, 5)
    assert job.tick() == []
    for _ in range(3):
        insert_many(connection, 4)
    published = job.tick()
    assert sum(done.rows for done in published) == 9  # whole transactions below the cut
    connection.execute("update error_metrics set received_at = received_at - interval '301 seconds'")
    job.tick()
    assert lake_ids(lake_dir) == postgres_ids(connection)


def test_a_single_transaction_larger_than_a_part_is_published_whole(connection: Connection, lake_dir: Path) -> None:
    insert_many(connection, 50)
    assert [done.rows for done in mirror(connection, lake_dir, max_rows=10).tick(everything=True)] == [50]


def test_a_transaction_that_commits_late_is_not_lost(connection: Connection, database_url: str, lake_dir: Path) -> None:
    job = mirror(connection, lake_dir)
    with connect(database_url, "late", autocommit=False) as late:
        insert_error(late, title="late")
        insert_error(connection, title="early")
        job.tick(everything=True)
        insert_error(connection, title="later still")
        job.tick(everything=True)
        assert len(lake_ids(lake_dir)) == 0  # the open transaction holds the horizon back
        late.commit()
    job.tick(everything=True)
    assert lake_ids(lake_dir) == postgres_ids(connection)
    assert len(lake_ids(lake_dir)) == 3


def test_an_interrupted_publish_is_redone_without_a_row_twice(connection: Connection, lake_dir: Path) -> None:
    insert_many(connection, 300, over=timedelta(days=2))
    calls = 0

    def full_disk(path: Path) -> IO[bytes]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_new(path)

    job = mirror(connection, lake_dir, opener=full_disk)
    with pytest.raises(PublishFailed, match="No space left"):
        job.tick(everything=True)
    partial = list_parts(lake_dir, "errors")
    assert len(partial.unfinished) == 1
    assert (partial.parts, partial.watermark) == ((), 0)
    insert_many(connection, 7)
    job.tick(everything=True)
    assert lake_ids(lake_dir) == postgres_ids(connection)
    assert not list(lake_dir.glob("**/*.tmp"))


def test_a_claim_without_any_part_is_redone(connection: Connection, lake_dir: Path) -> None:
    def broken(path: Path) -> IO[bytes]:
        raise OSError(errno.EIO, "Input/output error")

    insert_many(connection, 20)
    job = mirror(connection, lake_dir, opener=broken)
    with pytest.raises(PublishFailed):
        job.tick(everything=True)
    job._opener = open_new
    assert [done.rows for done in job.tick()] == [20]


def test_a_claimed_range_whose_rows_are_gone_is_passed_over(connection: Connection, lake_dir: Path) -> None:
    def broken(path: Path) -> IO[bytes]:
        raise OSError(errno.EIO, "Input/output error")

    insert_many(connection, 20)
    job = mirror(connection, lake_dir, opener=broken)
    with pytest.raises(PublishFailed):
        job.tick(everything=True)
    job._opener = open_new
    connection.execute("delete from error_metrics")
    assert job.tick(everything=True) == []
    insert_many(connection, 5)
    assert [done.rows for done in job.tick(everything=True)] == [5]


def test_a_range_that_is_half_published_and_gone_is_refused(connection: Connection, lake_dir: Path) -> None:
    """Published with another number of days, its rows would stand twice."""
    calls = 0

    def second_fails(path: Path) -> IO[bytes]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.EIO, "Input/output error")
        return open_new(path)

    for days in (0, 1, 2):
        insert_error(connection, timestamp=now() - timedelta(days=days))
    job = mirror(connection, lake_dir, opener=second_fails)
    with pytest.raises(PublishFailed, match="Input/output"):
        job.tick(everything=True)
    connection.execute("delete from error_metrics where timestamp > now() - interval '1 hour'")
    with pytest.raises(PublishFailed, match="gone from Postgres"):
        job.tick(everything=True)
    assert len(lake_ids(lake_dir)) == 1


def test_a_range_is_no_larger_than_memory_allows(
    connection: Connection, lake_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash for want of memory would only be repeated by whoever redoes the claimed range."""
    monkeypatch.setattr(mirror_module, "_MOST_BYTES", 50_000)
    for _ in range(40):
        insert_error(connection, metadata=f'{{"stack": "{"at main " * 1000}"}}')
    published = mirror(connection, lake_dir).tick(everything=True)
    assert sum(done.rows for done in published) == 40
    assert max(done.rows for done in published) <= 6
    assert lake_ids(lake_dir) == postgres_ids(connection)


def test_a_stop_doesn_t_wait_for_a_whole_backlog(connection: Connection, lake_dir: Path) -> None:
    def stopping(path: Path) -> IO[bytes]:
        job.stop()
        return open_new(path)

    job = mirror(connection, lake_dir, max_rows=10, opener=stopping)
    for _ in range(5):
        insert_many(connection, 10)
    assert [done.rows for done in job.tick(everything=True)] == [10]


def test_there_is_one_mirror_at_a_time(connection: Connection, database_url: str, lake_dir: Path) -> None:
    mirror(connection, lake_dir)
    with connect(database_url, "second") as second, pytest.raises(LeadershipLost):
        mirror(second, lake_dir)


def test_a_frozen_mirror_that_wakes_up_adds_nothing(connection: Connection, database_url: str, lake_dir: Path) -> None:
    """It claimed a range, lost its session, and the next mirror has finished the range and gone on."""
    insert_many(connection, 30, over=timedelta(days=2))
    with connect(database_url, "frozen") as session:
        frozen = mirror(session, lake_dir)
        bench = frozen._workbench()
        claimed = frozen._claim("errors", 0, True)
        assert claimed is not None
    gone = "select not exists (select from pg_locks where locktype = 'advisory' and granted)"
    until(lambda: connection.execute(gone).fetchone() == (True,))  # a closed session's lock goes a moment later
    successor = mirror(connection, lake_dir)
    successor.tick(everything=True)
    insert_many(connection, 3)
    successor.tick(everything=True)
    assert successor.seal(now() + timedelta(days=3))  # the names of the claimed range don't stand any more
    before = sorted(lake_dir.glob("**/*.parquet"))
    with connect(database_url, "awake") as session:
        frozen._connection = session  # a reader's connection is all that it could still have
        with pytest.raises(LeadershipLost, match="taken over"):
            frozen._publish(bench, "errors", *claimed[:2], read_range(session, "errors", *claimed[:2]))
    assert sorted(lake_dir.glob("**/*.parquet")) == before
    assert lake_ids(lake_dir) == postgres_ids(connection)


def test_two_publishers_with_one_process_number_don_t_share_a_file(tmp_path: Path) -> None:
    """As in containers: a frozen mirror and its successor both write a part of the same name."""
    path, bench = tmp_path / "day" / "part.parquet", Workbench(tmp_path, lambda: True)

    def successor(file: IO[bytes]) -> None:
        file.write(b"whole")

    def frozen(file: IO[bytes]) -> None:
        file.write(b"wh")
        file.flush()
        assert publish(path, bench.file(path.name), successor)
        file.write(b"ole, and more")

    assert not publish(path, bench.file(path.name), frozen)
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]
    assert list(bench.path.iterdir()) == []


def test_what_a_predecessor_left_beside_is_removed(connection: Connection, lake_dir: Path) -> None:
    left = lake_dir / "errors" / "day=2026-11-24" / f".part-1of1.parquet.{os.getpid()}.tmp"
    left.parent.mkdir(parents=True)
    left.touch()
    mirror(connection, lake_dir)
    assert not left.exists()


def test_another_database_s_lake_is_refused(connection: Connection, lake_dir: Path) -> None:
    job = mirror(connection, lake_dir)
    insert_many(connection, 3)
    job.tick(everything=True)
    connection.execute("delete from mirror_claims")
    with pytest.raises(LakeMismatch, match="never claimed"):
        job.tick()


def test_missing_files_are_noticed(connection: Connection, lake_dir: Path) -> None:
    job = mirror(connection, lake_dir)
    for _ in range(2):
        insert_many(connection, 3, over=timedelta())
        job.tick(everything=True)
    list_parts(lake_dir, "errors").parts[0].path.unlink()
    list_parts(lake_dir, "errors").parts[0].path.unlink()
    with pytest.raises(LakeMismatch, match="lacks errors"):
        job.tick()


def test_a_restore_into_another_cluster_is_noticed(connection: Connection, lake_dir: Path) -> None:
    job = mirror(connection, lake_dir)
    insert_many(connection, 3)
    job.tick(everything=True)
    connection.execute("update mirror_claims set system_identifier = 'another'")
    insert_many(connection, 3)
    with pytest.raises(ClusterChanged):
        job.tick(everything=True)


def test_a_part_tells_its_range_in_its_footer(connection: Connection, lake_dir: Path) -> None:
    insert_error(connection, timestamp=now())
    mirror(connection, lake_dir).tick(everything=True)
    part = list_parts(lake_dir, "errors").parts[0]
    footer = pl.read_parquet_metadata(part.path)
    assert footer["meshhook_errors.from_xact"] == str(part.start)
    assert footer["meshhook_errors.to_xact"] == str(part.end)
    assert footer["meshhook_errors.rows"] == "1"
