"""Runs that are told of again when they were long forgotten, and ids that come again: each trial counts once."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ingest.database import Connection, connect
from ingest.doors.meshhook.backfill import backfill, open_ranges
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.connection import disconnect
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.quiet import QuietRuns
from tests.meshhook import Stored, Worker

HOURS_AGO = datetime.now(UTC) - timedelta(hours=3)


def hours_pass(connection: Connection, quiet: QuietRuns) -> None:
    connection.execute("update meshhook_runs set saved_at = saved_at - interval '2 hours'")
    quiet.forget()


def look(connection: Connection, quiet: QuietRuns) -> None:
    connection.execute(
        "update meshhook_runs set looked_at = null, last_event_at = least(last_event_at, now() - interval '1 hour')"
    )
    quiet.settle_failed()
    quiet.look_after_idle()


@pytest.mark.parametrize("end", ["succeeded", "canceled"])
def test_a_backfill_of_the_start_of_a_run_that_was_counted_hours_ago(
    meshhook: Worker, connection: Connection, intake: Intake, quiet: QuietRuns, stored: Stored, end: str
) -> None:
    run_id = meshhook.run(started_at=HOURS_AGO)
    meshhook.created(run_id, HOURS_AGO)
    meshhook.start(run_id, at=HOURS_AGO)
    connect_meshhook(connection)
    meshhook.succeed(run_id)
    if end == "succeeded":
        meshhook.complete(run_id)
    else:
        meshhook.status(run_id, end)
    intake.tick()
    assert stored.trials() == (2, 0)
    hours_pass(connection, quiet)
    for low, high in open_ranges(connection, intake, HOURS_AGO - timedelta(days=1)):
        list(backfill(connection, intake, low, high, 1e6))
    look(connection, quiet)
    assert stored.trials() == (2, 0)


@pytest.mark.parametrize("end", ["succeeded", "canceled"])
def test_a_word_about_a_run_that_was_counted_hours_ago(
    worker: Worker, connection: Connection, intake: Intake, quiet: QuietRuns, stored: Stored, end: str
) -> None:
    run_id = worker.run(started_at=HOURS_AGO)
    worker.created(run_id)
    if end == "succeeded":
        worker.complete(run_id)
    else:
        worker.status(run_id, end)
    intake.tick()
    hours_pass(connection, quiet)
    worker.start(run_id)
    intake.tick()
    look(connection, quiet)
    assert stored.trials() == (1, 0)
    worker.complete(run_id)
    intake.tick()
    assert stored.trials() == (1, 0)
    assert stored.one("select count(*) from meshhook_runs where outcome is null") == 0


def test_a_word_about_a_run_that_was_counted_hours_ago_and_its_last_try(
    worker: Worker, connection: Connection, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=HOURS_AGO)
    worker.created(run_id)
    worker.complete(run_id)
    intake.tick()
    hours_pass(connection, quiet)
    worker.fail(run_id)
    intake.tick()
    connection.execute("update meshhook_connection set failed_after_seconds = 0.001")
    look(connection, quiet)
    assert stored.trials() == (2, 1)
    hours_pass(connection, quiet)
    worker.status(run_id, "failed")
    intake.tick()
    assert stored.trials() == (2, 2)


def test_a_reader_amid_its_step_keeps_no_position_of_before_a_reconnect(
    worker: Worker, database_url: str, connection: Connection, stored: Stored
) -> None:
    for _ in range(9):
        worker.whole_run()
    Intake(connection).tick()
    worker.connection.execute("drop table public.workflow_events")
    worker.connection.execute(
        "create table public.workflow_events (id bigserial primary key, run_id uuid, ts timestamptz default now(),"
        " type text, payload jsonb)"
    )
    with connect(database_url, "reader") as reader:
        connecting = threading.Thread(target=connect_meshhook, args=[connection])
        with reader.transaction():
            intake = Intake(reader)
            position = intake.position()
            assert position is not None
            connecting.start()
            time.sleep(0.3)
            intake._move(position.next_id, position.gaps, 0)
        connecting.join()
        worker.whole_run()
        intake.tick()
    assert stored.trials() == (20, 0)


def test_a_reader_amid_its_step_leaves_no_open_run_behind_a_disconnect(
    worker: Worker, database_url: str, connection: Connection, stored: Stored
) -> None:
    worker.start(worker.run())
    with connect(database_url, "reader") as reader:
        disconnecting = threading.Thread(target=disconnect, args=[connection])
        with reader.transaction():
            intake = Intake(reader)
            position = intake.position()
            assert position is not None
            disconnecting.start()
            time.sleep(0.3)
            intake._take(position, None)
        disconnecting.join()
        assert stored.one("select count(*) from meshhook_runs") == 0
