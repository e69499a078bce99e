"""The jobs process: what ends a leadership, and what doesn't."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import jobs.pulse
from analytics.lake import list_parts
from ingest.database import Connection, connect, partition_name
from ingest.settings import Settings
from jobs.scheduler import Leader, due_after, seconds_between_looks
from jobs.verify import verify
from tests.seeding import insert_many

PATIENCE = 15.0
HOUSE_WAITS = """select 1 from pg_stat_activity
    where application_name like '%housekeeping' and wait_event_type = 'Lock'"""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.05)


@pytest.fixture
def leading(database_url: str, tmp_path: Path) -> Iterator[Callable[[], threading.Thread]]:
    stop = threading.Event()
    options = Settings(database_url=database_url, data_dir=tmp_path)  # type: ignore[arg-type]
    started: list[threading.Thread] = []

    def lead() -> None:
        with connect(database_url, "jobs") as session:
            Leader(session, options, datetime.now(UTC)).work(stop)

    def start() -> threading.Thread:
        started.append(threading.Thread(target=lead))
        started[0].start()
        return started[0]

    yield start
    stop.set()
    for thread in started:
        thread.join()


def test_a_partition_that_can_t_be_made_now_doesn_t_end_the_leadership(
    connection: Connection, database_url: str, leading: Callable[[], threading.Thread]
) -> None:
    """A backup holds every table for hours; alerting must go on meanwhile."""
    for name in connection.execute("select relname from pg_class where relname ~ 'error_metrics_[0-9]{8}$'").fetchall():
        connection.execute(f"drop table {name[0]}".encode())
    with connect(database_url, "backup", autocommit=False) as backup:
        backup.execute("select count(*) from error_metrics")
        thread = leading()
        until(lambda: connection.execute(HOUSE_WAITS).fetchone())
        until(lambda: not connection.execute(HOUSE_WAITS).fetchone())
        time.sleep(0.5)
        assert thread.is_alive()


def test_it_shows_signs_of_life_while_housekeeping_waits(
    connection: Connection,
    database_url: str,
    leading: Callable[[], threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs.pulse, "_BEAT_SECONDS", 0.1, raising=False)
    day = partition_name("error_metrics", datetime.now(UTC).date())
    connection.execute(f"drop table {day}".encode())
    with connect(database_url, "backup", autocommit=False) as backup:
        backup.execute("select count(*) from error_metrics")
        leading()
        until(lambda: connection.execute(HOUSE_WAITS).fetchone())
        seen = "select seen_at from components where component = 'jobs' and seen_at > %s"
        moment = datetime.now(UTC)
        until(lambda: connection.execute(seen, [moment]).fetchone())
        assert connection.execute(HOUSE_WAITS).fetchone()


def test_a_lost_session_ends_the_leadership(connection: Connection, leading: Callable[[], threading.Thread]) -> None:
    thread = leading()
    until(lambda: connection.execute("select 1 from components where component = 'jobs'").fetchone())
    connection.execute(
        """select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like '%mirror' and datname = current_database()"""
    )
    until(lambda: not thread.is_alive())


def test_a_frozen_leader_loses_its_locks(connection: Connection, database_url: str, tmp_path: Path) -> None:
    script = """import threading
from jobs import scheduler
scheduler._MOST_SILENCE_SECONDS = 3
scheduler.run(threading.Event())"""
    environment = os.environ | {"DATABASE_URL": database_url, "MESHHOOK_ERRORS_DATA_DIR": str(tmp_path)}
    held = """select count(*) from pg_locks
        where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"""
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    try:
        until(lambda: connection.execute("select 1 from components where component = 'jobs'").fetchone())
        assert connection.execute(held).fetchone() == (2,)
        process.send_signal(signal.SIGSTOP)
        until(lambda: connection.execute(held).fetchone() == (0,))
    finally:
        process.kill()
        process.wait()


def test_the_leader_seals_closed_days_and_goes_on_publishing(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    insert_many(connection, 300, over=timedelta(days=3))
    options = Settings(database_url=database_url, data_dir=tmp_path, mirror_max_lag=1)  # type: ignore[arg-type]
    stop = threading.Event()

    def lead() -> None:
        with connect(database_url, "jobs") as session:
            Leader(session, options, datetime.now(UTC)).work(stop)

    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(lead)
        try:
            until(lambda: len(list_parts(options.lake_dir, "errors").seals) >= 2)
            insert_many(connection, 10)
            until(lambda: verify(connection, options.lake_dir).rows_compared == 310)
        finally:
            stop.set()
        leading.result()
    assert verify(connection, options.lake_dir).is_equal


@pytest.mark.parametrize("max_lag", [1, 2, 5, 30, 300, 86_400])
def test_a_row_is_due_early_enough_to_be_published_in_time(max_lag: float) -> None:
    look_every = seconds_between_looks(max_lag)
    assert 0 < due_after(max_lag) < max_lag
    assert due_after(max_lag) + 2 * look_every <= max_lag  # a look that was just missed, and time for the work
