"""MeshHook through the jobs: soon, and exactly once whatever is killed when."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.database import Connection, connect
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.intake import Intake
from ingest.hall import Hall
from jobs.meshhook import MeshHookWatch
from tests.end_to_end.running import ROOT, until
from tests.meshhook import Stored, Worker


@contextmanager
def jobs(database_url: str, lake_dir: Path) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "DATABASE_URL": database_url, "LAKE_URL": str(lake_dir)}
    environment["MESHHOOK_ERRORS_DATA_DIR"] = str(lake_dir.parent)
    environment["MESHHOOK_ERRORS_DETAILS_PER_MINUTE"] = "1000000"  # each row is looked at
    log = lake_dir.with_suffix(".log").open("ab")
    command = [sys.executable, "-m", "jobs.cli", "jobs"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def test_a_failure_is_an_error_within_two_seconds(
    worker: Worker, database_url: str, lake_dir: Path, stored: Stored
) -> None:
    with jobs(database_url, lake_dir):
        until(lambda: stored.one("select count(*) from meshhook_errors.meshhook_connection where read_at is not null"))
        took = []
        for number in range(1, 6):
            worker.fail(worker.run(), 1)
            began = time.monotonic()
            until(lambda number=number: len(stored.titles()) == number)  # type: ignore[misc]
            took.append(time.monotonic() - began)
    assert max(took) < 2, took


def test_names_are_kept_fresh(worker: Worker, database_url: str, lake_dir: Path, stored: Stored) -> None:
    name = "select name from meshhook_errors.project_names"
    with jobs(database_url, lake_dir):
        until(lambda: stored.one("select count(*) from meshhook_errors.project_names"))
        assert stored.one(name) == "Acme"
        assert stored.one("select slug || ' v' || version from meshhook_errors.workflow_names") == "lead-intake v3"
        worker.connection.execute("update public.projects set name = 'Acme Ltd'")
        until(lambda: stored.one(name) == "Acme Ltd", 30)


def test_connecting_while_the_jobs_run_is_enough(
    meshhook: Worker, database_url: str, connection: Connection, lake_dir: Path, stored: Stored
) -> None:
    with jobs(database_url, lake_dir):
        until(lambda: stored.one("select count(*) from meshhook_errors.components"))
        connect_meshhook(connection)
        meshhook.whole_run()
        until(lambda: stored.trials() == (2, 0))


def test_jobs_that_are_killed_again_and_again_lose_nothing_and_double_nothing(
    worker: Worker, database_url: str, lake_dir: Path, stored: Stored
) -> None:
    chance = random.Random(4)
    runs = failed = 0
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        with jobs(database_url, lake_dir):
            killed_at = time.monotonic() + chance.uniform(0.8, 2.5)
            while time.monotonic() < killed_at:
                runs += 1
                if chance.random() < 0.3:
                    failed += 1
                    worker.exhaust(worker.run())
                else:
                    worker.whole_run()
    worker.connection.execute("update meshhook_errors.meshhook_connection set failed_after_seconds = 1")
    with jobs(database_url, lake_dir):
        until(lambda: stored.trials() == (2 * runs, 2 * failed), 30)
        time.sleep(1)
    assert stored.trials() == (2 * runs, 2 * failed)
    assert len(stored.errors()) == 6 * failed
    assert stored.one("select recovered from meshhook_errors.meshhook_connection") == 0


@pytest.mark.parametrize("statement", range(1, 17))
def test_a_kill_before_any_statement_leaves_all_for_the_next(
    worker: Worker, database_url: str, stored: Stored, statement: int
) -> None:
    """A forked reader kills itself before its n-th statement; where there are fewer, it has simply finished."""
    worker.whole_run()
    worker.exhaust(worker.run())
    canceled = worker.run()
    worker.status(canceled, "canceled")
    pid = os.fork()
    if pid == 0:
        _tick_and_die(database_url, statement)
    os.waitpid(pid, 0)
    with connect(database_url, "next") as connection:
        Intake(connection).tick()
        Intake(connection).tick()
    assert stored.trials() == (4, 1)
    assert len(stored.errors()) == 5
    assert stored.one("select count(*) from meshhook_errors.meshhook_inbox") == 0


def _tick_and_die(database_url: str, statement: int) -> None:
    try:
        connection = connect(database_url, "dying")
        execute, count = connection.execute, 0

        def counted(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments, **options)  # type: ignore[arg-type]

        connection.execute = counted  # type: ignore[method-assign, assignment]
        Intake(connection).tick()
    finally:
        os._exit(0)


def test_a_mistake_of_ours_ends_the_reading_for_a_moment_only(
    worker: Worker, database_url: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_tick, mistakes = Intake.tick, iter([RecursionError("far too deep"), ValueError()])

    def tick(self: Intake) -> object:
        for mistake in mistakes:
            raise mistake
        return whole_tick(self)

    monkeypatch.setattr(Intake, "tick", tick)
    worker.whole_run()
    watch = MeshHookWatch(database_url, Hall())
    watch.start()
    try:
        until(lambda: stored.trials() == (2, 0), 15)
    finally:
        watch.stop()
