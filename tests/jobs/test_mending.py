"""Mending: what the lake has lost comes back from Postgres, and nothing else is touched."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from analytics.lake import list_parts
from ingest.database import Connection
from jobs.mirror import Mirror
from jobs.verify import verify
from tests.jobs.test_cli import command
from tests.seeding import insert_error, insert_many, insert_report, now

DAYS = 7


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path) -> Mirror:
    """Three days in four ranges; the older two days are sealed, with a late part beside one."""
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_many(connection, 90, over=timedelta(days=2))
    insert_report(connection, 5, 1, timestamp=now() - timedelta(days=1))
    job.tick(everything=True)
    insert_error(connection, timestamp=now() - timedelta(days=1))
    job.tick(everything=True)
    job.seal()
    for days in (1, 0):
        insert_error(connection, timestamp=now() - timedelta(days=days))
        job.tick(everything=True)
    assert (len(list_parts(lake_dir, "errors").seals), len(list_parts(lake_dir, "errors").parts)) == (2, 3)
    return job


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def lose(path: Path) -> None:
    path.unlink()


def a_seal(lake_dir: Path) -> Path:
    return list_parts(lake_dir, "errors").seals[0].path


def a_late_part(lake_dir: Path) -> Path:
    return list_parts(lake_dir, "errors").parts[-2].path


def the_first_part(lake_dir: Path) -> Path:
    return list_parts(lake_dir, "errors").parts[0].path


@pytest.mark.parametrize("harm", [tear, lose])
@pytest.mark.parametrize("which", [a_seal, a_late_part, the_first_part])
def test_what_is_torn_or_gone_comes_back(
    connection: Connection,
    mirror: Mirror,
    lake_dir: Path,
    which: Callable[[Path], Path],
    harm: Callable[[Path], None],
) -> None:
    harm(which(lake_dir))
    assert not verify(connection, lake_dir).is_equal
    mended = mirror.mend(DAYS)
    assert (len(mended.days), mended.beyond) == (1, [])
    report = verify(connection, lake_dir)
    assert report.is_equal, report.problems
    assert report.rows_compared == 94
    assert len(list((lake_dir / ".mirror" / "damaged").glob("*"))) == (1 if harm is tear else 0)
    insert_error(connection)
    mirror.tick(everything=True)
    mirror.seal(now() + timedelta(days=5))
    assert verify(connection, lake_dir).is_equal


def test_a_whole_lake_comes_back(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    shutil.rmtree(lake_dir / "errors")
    mended = mirror.mend(DAYS)
    assert mended.beyond == []
    mirror.tick(everything=True)  # the newest range is the mirror's own
    report = verify(connection, lake_dir)
    assert report.is_equal, report.problems
    assert report.rows_compared == 94


def test_what_postgres_no_longer_has_is_left_as_it_is(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    path = a_seal(lake_dir)
    tear(path)
    connection.execute("delete from error_metrics where timestamp < now() - interval '1 day'")
    mended = mirror.mend(DAYS)
    assert mended.days == []
    assert ["from a backup" in reason for reason in mended.beyond] == [True]
    assert path.exists()


def test_a_range_whose_oldest_rows_may_be_dropped_is_not_mended(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    """Postgres keeps one day, and its oldest partition is of today: the range may have begun before."""
    tear(a_seal(lake_dir))
    mended = mirror.mend(0)
    assert (mended.days, len(mended.beyond)) == ([], 1)


def test_nothing_is_mended_where_nothing_is_wrong(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    before = sorted(lake_dir.glob("errors/**/*"))
    assert mirror.mend(DAYS).days == []
    assert sorted(lake_dir.glob("errors/**/*")) == before


def test_the_command_mends_when_the_jobs_don_t_run(
    connection: Connection, mirror: Mirror, database_url: str, lake_dir: Path
) -> None:
    tear(a_seal(lake_dir))
    busy = command("verify", "--mend", DATABASE_URL=database_url, LAKE_URL=str(lake_dir))
    assert (busy.returncode, "Stop them" in busy.stdout) == (1, True)
    connection.execute("select pg_advisory_unlock_all()")
    done = command("verify", "--mend", DATABASE_URL=database_url, LAKE_URL=str(lake_dir))
    assert (done.returncode, "mended" in done.stdout, "Equal" in done.stdout) == (0, True, True), done.stdout
