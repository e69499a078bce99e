"""Sealing: a closed day becomes one file, and nobody ever counts a row twice or misses one."""

import contextlib
import io
import multiprocessing
import os
import resource
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import polars as pl
import pytest

from analytics.lake import day_dir, list_parts
from ingest.database import Connection, connect
from jobs.contents import merged_parts, read_footer
from jobs.exceptions import ClusterChanged, LakeMismatch, LeadershipLost
from jobs.mirror import Mirror
from jobs.sealing import LATE_HOURS, LATE_PARTS
from jobs.verify import verify
from tests.apis import Api
from tests.end_to_end.running import until
from tests.seeding import insert_error, insert_many, insert_report, now

TODAY = now().date()
NOON = datetime.combine(TODAY, datetime.min.time(), tzinfo=UTC) + timedelta(hours=12)
YESTERDAY = NOON - timedelta(days=1)


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path) -> Iterator[Mirror]:
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    yield job
    job.stop()


def publish(connection: Connection, mirror: Mirror, *moments: datetime) -> None:
    with connection.transaction():
        for moment in moments:
            insert_error(connection, timestamp=moment)
    mirror.tick(everything=True)


def day_of(lake_dir: Path, moment: datetime) -> Path:
    return day_dir(lake_dir, "errors", moment.date())


def names(directory: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in directory.iterdir())


def lake_rows(lake_dir: Path) -> int:
    return int(duckdb.sql(f"select count(*) from '{lake_dir}/errors/**/*.parquet'").fetchall()[0][0])


def assert_equal(connection: Connection, lake_dir: Path) -> None:
    report = verify(connection, lake_dir)
    assert (report.problems, report.rows_only_in_lake) == ([], 0)
    assert report.rows_compared > 0


def test_a_closed_day_becomes_one_sorted_file_with_the_same_rows(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    for _ in range(3):
        insert_many(connection, 200, over=timedelta(days=3))
        insert_report(connection, 10, 2, timestamp=YESTERDAY)
        mirror.tick(everything=True)
    before = list_parts(lake_dir, "errors")
    sealed = mirror.seal()
    assert {done.day for done in sealed if done.dataset == "errors"} == {*before.days()} - {TODAY}
    after = list_parts(lake_dir, "errors")
    assert (after.watermark, len(after.seals)) == (before.watermark, len(before.days()) - 1)
    assert {part.day for part in after.parts} == {TODAY}
    assert lake_rows(lake_dir) == 600
    assert_equal(connection, lake_dir)
    for seal in after.seals:
        frame = pl.read_parquet(seal.path, hive_partitioning=False)
        order = [frame["timestamp"].dt.truncate("6h"), frame["fingerprint"], frame["timestamp"]]
        keys = list(zip(*(column.to_list() for column in order), strict=True))
        assert keys == sorted(keys)


def test_a_day_is_sealed_when_it_and_the_grace_are_over(connection: Connection, lake_dir: Path) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300, seal_after=timedelta(hours=2))
    publish(connection, mirror, YESTERDAY)
    midnight = NOON - timedelta(hours=12)
    assert mirror.seal(midnight + timedelta(hours=1, minutes=59)) == []
    assert [done.day for done in mirror.seal(midnight + timedelta(hours=2))] == [YESTERDAY.date()]


def test_what_comes_late_stands_beside_until_it_is_worth_another_sealing(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    publish(connection, mirror, YESTERDAY)
    mirror.seal()
    first = next(day_of(lake_dir, YESTERDAY).iterdir())
    publish(connection, mirror, YESTERDAY + timedelta(hours=1))
    assert mirror.seal() == []
    assert names(day_of(lake_dir, YESTERDAY)) == ["part", "sealed"]
    assert_equal(connection, lake_dir)
    assert len(mirror.seal(now() + timedelta(hours=LATE_HOURS, seconds=5))) == 1
    (second,) = day_of(lake_dir, YESTERDAY).iterdir()
    assert second.name != first.name
    assert len(merged_parts(second, read_footer(second))) == 2
    assert_equal(connection, lake_dir)


def test_many_late_parts_are_sealed_without_waiting(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    publish(connection, mirror, YESTERDAY)
    mirror.seal()
    for _ in range(LATE_PARTS):
        insert_error(connection, timestamp=YESTERDAY)
        mirror._max_rows = 1
    mirror.tick(everything=True)
    assert len(names(day_of(lake_dir, YESTERDAY))) == LATE_PARTS + 1
    assert [done.merged for done in mirror.seal()] == [LATE_PARTS + 1]
    assert lake_rows(lake_dir) == LATE_PARTS + 1


def test_a_clock_that_runs_ahead_seals_early_and_nothing_is_lost(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    publish(connection, mirror, now())
    assert len(mirror.seal(now() + timedelta(days=400))) == 1
    publish(connection, mirror, now(), YESTERDAY)
    assert mirror.seal(now() - timedelta(days=400)) == []
    assert names(day_of(lake_dir, NOON)) == ["part", "sealed"]
    assert_equal(connection, lake_dir)


def test_who_has_begun_to_list_a_day_sees_all_its_old_names(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    """Were they removed at once, a reader would find the day empty, and count it as nothing."""
    for _ in range(3):
        publish(connection, mirror, YESTERDAY)
    with os.scandir(day_of(lake_dir, YESTERDAY)) as listing:
        assert mirror.seal()
        assert len(list(listing)) == 3
    assert names(day_of(lake_dir, YESTERDAY)) == ["sealed"]


def test_the_old_files_go_after_an_hour(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    publish(connection, mirror, YESTERDAY)
    mirror.seal()
    bench, old = mirror._workbench(), lake_dir / ".mirror" / "old"
    assert bench.remove_old() == 0
    assert len(list(old.glob("*/part-*"))) == 1
    (kept,) = old.iterdir()
    (kept / "notes.txt").touch()
    assert bench.remove_old(0) == 0  # what isn't ours stays
    assert names(kept) == ["notes.txt"]


def test_a_seal_that_is_built_while_its_mirror_is_replaced_comes_to_nothing(
    connection: Connection, database_url: str, lake_dir: Path
) -> None:
    with connect(database_url, "first") as session:
        first = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300)
        publish(connection, first, YESTERDAY)
        bench = first._workbench()
        built = first._sealer._build(bench, "errors", YESTERDAY.date())
        assert built is not None
    until(lambda: not connection.execute("select from pg_locks where locktype = 'advisory'").fetchall())
    second = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    publish(connection, second, YESTERDAY)
    first._sealer._still_leads = lambda: True  # what it had heard before it was frozen
    with pytest.raises(LeadershipLost, match="taken over"):
        first._sealer._finish(bench, built)
    assert names(day_of(lake_dir, YESTERDAY)) == ["part", "part"]
    assert_equal(connection, lake_dir)


def test_a_mirror_that_was_only_disturbed_goes_on(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    """Its session still holds the lock: somebody else has removed its workbench."""
    publish(connection, mirror, YESTERDAY)
    shutil.rmtree(lake_dir / ".mirror")
    insert_error(connection, timestamp=YESTERDAY)
    with pytest.raises(LeadershipLost):
        mirror.tick(everything=True)
    mirror.tick(everything=True)
    assert mirror.seal()
    assert_equal(connection, lake_dir)


@pytest.mark.parametrize("name", ["copy.parquet", "notes.txt", "part-1.parquet"])
def test_a_day_with_a_foreign_file_stays_as_it_is(
    connection: Connection, mirror: Mirror, lake_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(connection, mirror, YESTERDAY)
    foreign = day_of(lake_dir, YESTERDAY) / name
    foreign.write_bytes(b"somebody's")
    assert mirror.seal() == []
    assert foreign.read_bytes() == b"somebody's"
    assert "Move it away" in capsys.readouterr().out


def test_a_torn_part_is_not_sealed_and_the_other_days_are(
    connection: Connection, mirror: Mirror, lake_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(connection, mirror, YESTERDAY, YESTERDAY - timedelta(days=1))
    (part,) = day_of(lake_dir, YESTERDAY).iterdir()
    part.write_bytes(part.read_bytes()[:200])
    assert [done.day for done in mirror.seal()] == [YESTERDAY.date() - timedelta(days=1)]
    assert f"{part} can't be read" in capsys.readouterr().out
    assert names(day_of(lake_dir, YESTERDAY)) == ["part"]
    assert list(mirror._workbench().path.iterdir()) == []


def test_a_part_with_rows_of_another_file_is_not_sealed(
    connection: Connection, mirror: Mirror, lake_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(connection, mirror, YESTERDAY, YESTERDAY - timedelta(days=1))
    (part,), (other,) = day_of(lake_dir, YESTERDAY).iterdir(), day_of(lake_dir, YESTERDAY - timedelta(days=1)).iterdir()
    part.write_bytes(other.read_bytes())
    mirror.seal()
    assert "another day" in capsys.readouterr().out
    assert names(day_of(lake_dir, YESTERDAY)) == ["part"]


def test_a_file_system_that_can_t_exchange_leaves_the_days_unsealed(
    connection: Connection, mirror: Mirror, lake_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(connection, mirror, YESTERDAY)
    bench = mirror._workbench()
    elsewhere = Path("/dev/shm") / f"meshhook-{uuid4().hex}"
    if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == lake_dir.stat().st_dev:
        pytest.skip("needs two file systems")
    elsewhere.mkdir()
    try:
        bench.path.rmdir()
        bench.path.symlink_to(elsewhere)  # a workbench on another file system
        assert mirror.seal() == []
        assert "can't be exchanged in one step" in capsys.readouterr().out
        assert list(elsewhere.iterdir()) == []
    finally:
        shutil.rmtree(elsewhere)
    assert names(day_of(lake_dir, YESTERDAY)) == ["part"]


def test_a_part_of_an_earlier_version_is_merged_with_today_s_columns(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    publish(connection, mirror, YESTERDAY)
    (part,) = day_of(lake_dir, YESTERDAY).iterdir()
    footer = pl.read_parquet_metadata(part)
    footer.pop("ARROW:schema", None)
    pl.read_parquet(part, hive_partitioning=False).drop("stands_for").write_parquet(part, metadata=footer)
    publish(connection, mirror, YESTERDAY)
    assert mirror.seal()
    (sealed,) = day_of(lake_dir, YESTERDAY).iterdir()
    assert pl.read_parquet(sealed, hive_partitioning=False)["stands_for"].to_list() == [1, 1]
    assert_equal(connection, lake_dir)


def test_publishing_goes_on_while_a_day_is_merged(connection: Connection, lake_dir: Path) -> None:
    merging, go_on = threading.Event(), threading.Event()

    def wait(reached: str) -> None:
        if reached == "seal written":
            merging.set()
            assert go_on.wait(20)

    mirror = Mirror(connection, lake_dir, max_rows=1, max_lag_seconds=300, step=wait)
    publish(connection, mirror, YESTERDAY, YESTERDAY)
    mirror.turn()
    assert merging.wait(20)
    for _ in range(3):
        with connection.transaction():
            insert_error(connection, timestamp=YESTERDAY)
            insert_error(connection, timestamp=YESTERDAY)
        insert_error(connection)
        mirror.turn()
    assert names(day_of(lake_dir, YESTERDAY)) == ["part"] * 4
    go_on.set()
    until(lambda: mirror.turn() or names(day_of(lake_dir, YESTERDAY)) == ["part"] * 3 + ["sealed"])
    mirror.tick(everything=True)
    assert_equal(connection, lake_dir)
    mirror.stop()


def test_a_stop_doesn_t_wait_for_a_merge(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    insert_many(connection, 60_000, over=timedelta(days=2))
    mirror._max_rows = 1_000_000
    mirror.tick(everything=True)
    mirror.turn()
    began = now()
    mirror.stop()
    assert now() - began < timedelta(seconds=2)
    assert not list_parts(lake_dir, "errors").seals
    assert_equal(connection, lake_dir)


def test_a_sealed_file_keeps_the_modes_of_the_day(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    """So that analysts who could read the day still can."""
    publish(connection, mirror, YESTERDAY)
    day_of(lake_dir, YESTERDAY).chmod(0o2755)
    mirror.seal()
    assert day_of(lake_dir, YESTERDAY).stat().st_mode & 0o7777 == 0o2755
    (sealed,) = day_of(lake_dir, YESTERDAY).iterdir()
    assert sealed.stat().st_mode & 0o777 == 0o640


def test_another_database_doesn_t_disturb_the_mirror_of_a_lake(
    connection: Connection, mirror: Mirror, database_url: str, lake_dir: Path
) -> None:
    publish(connection, mirror, YESTERDAY)
    bench = mirror._workbench().path
    mirror._bench = None
    connection.execute("delete from mirror_claims")  # as another database would see this lake
    with pytest.raises(LakeMismatch):
        mirror.tick()
    assert bench.is_dir()


def full_disk(database_url: str, lake_dir: Path, bytes_allowed: int) -> None:
    """Seal where no file may grow beyond some bytes, as on a disk that is full."""
    with connect(database_url, "tests") as session:
        mirror = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300)
        mirror._workbench()
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_allowed, bytes_allowed))
        with contextlib.redirect_stdout(io.StringIO()) as log:
            sealed = mirror.seal()
        os._exit(0 if not sealed and "File too large" in log.getvalue() and "errno" not in log.getvalue() else 1)


def test_a_full_disk_leaves_the_day_as_it_is(connection: Connection, database_url: str, lake_dir: Path) -> None:
    with connect(database_url, "first") as session:
        insert_many(connection, 3000, over=timedelta(days=1))
        first = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300)
        first.tick(everything=True)
    until(lambda: not connection.execute("select from pg_locks where locktype = 'advisory'").fetchall())
    before = sorted(lake_dir.glob("errors/**/*"))
    process = multiprocessing.get_context("forkserver").Process(target=full_disk, args=(database_url, lake_dir, 5_000))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert sorted(lake_dir.glob("errors/**/*")) == before
    until(lambda: not connection.execute("select from pg_locks where locktype = 'advisory'").fetchall())
    assert Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300).seal()
    assert_equal(connection, lake_dir)


def test_a_resend_of_an_error_of_a_sealed_day_is_a_duplicate(
    api: Api, connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    """Days late, twice, with the day sealed in between."""
    error = {"error_id": str(uuid4()), "timestamp": (YESTERDAY - timedelta(days=2)).isoformat(), "message": "late"}
    assert api.send(error).json()["accepted"] == 1
    mirror.tick(everything=True)
    assert len(mirror.seal()) == 1
    answer = api.send([error, error | {"error_id": str(uuid4())}]).json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    mirror.tick(everything=True)
    assert lake_rows(lake_dir) == 2
    assert len(mirror.seal(now() + timedelta(hours=LATE_HOURS + 1))) == 1
    assert lake_rows(lake_dir) == 2
    assert_equal(connection, lake_dir)


def test_nothing_is_sealed_for_a_database_of_another_cluster(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    publish(connection, mirror, YESTERDAY)
    connection.execute("update mirror_claims set system_identifier = 'another'")
    with pytest.raises(ClusterChanged):
        mirror.seal()
    with pytest.raises(ClusterChanged):
        mirror.turn()
    assert names(day_of(lake_dir, YESTERDAY)) == ["part"]
