"""What happened before MeshHook was connected."""

from datetime import UTC, datetime, timedelta

from ingest.database import Connection
from ingest.doors.meshhook.backfill import backfill, open_ranges
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.connection import disconnect
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.quiet import QuietRuns
from tests.meshhook import Stored, Worker

NOW = datetime.now(UTC)
DAYS = timedelta(days=1)
FAST = 1e9


def take_all(connection: Connection, intake: Intake, span: timedelta, rows: int = 5) -> int:
    ranges = open_ranges(connection, intake, datetime.now(UTC) - span)
    for start, end in ranges:
        for _ in backfill(connection, intake, start, end, FAST, rows):
            pass
    return sum(end - start for start, end in ranges)


def test_earlier_failures_and_trials_come_at_their_own_time_and_once(
    meshhook: Worker, connection: Connection, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    at = NOW - timedelta(minutes=40)
    meshhook.whole_run(at)
    failed = meshhook.run(started_at=at)
    meshhook.exhaust(failed, at)
    connect_meshhook(connection)
    intake.tick()
    assert stored.trials() == (0, 0)
    assert take_all(connection, intake, DAYS) > 0
    quiet.settle_failed()
    assert stored.trials() == (4, 2)
    assert len(stored.errors()) == 6
    assert {error["timestamp"] for error in stored.errors()} == {at}
    assert take_all(connection, intake, 30 * DAYS) == 0
    assert stored.trials() == (4, 2)


def test_an_interrupted_backfill_goes_on_where_it_stopped(
    meshhook: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    for _ in range(10):
        meshhook.whole_run()
    connect_meshhook(connection)
    ((start, end),) = open_ranges(connection, intake, NOW - DAYS)
    steps = backfill(connection, intake, start, end, FAST, rows=7)
    for _ in range(3):
        next(steps)
    steps.close()
    before = stored.trials()
    assert 0 < before[0] < 20
    assert take_all(connection, Intake(connection), DAYS) < end - start
    assert stored.trials() == (20, 0)


def test_only_the_span_that_was_asked_for_is_taken_in_and_more_later(
    meshhook: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    meshhook.whole_run(NOW - timedelta(hours=30))
    meshhook.whole_run(NOW - timedelta(hours=2))
    connect_meshhook(connection)
    take_all(connection, intake, DAYS)
    assert stored.trials() == (2, 0)
    take_all(connection, intake, 2 * DAYS)
    assert stored.trials() == (4, 0)


def test_a_run_that_went_on_later_isnt_taken_for_failed_halfway(
    meshhook: Worker, connection: Connection, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    at = NOW - timedelta(hours=1)
    run_id = meshhook.run(started_at=at)
    meshhook.exhaust(run_id, at)
    meshhook.start(run_id, at=at)
    meshhook.succeed(run_id, at=at)
    meshhook.complete(run_id, at)
    connect_meshhook(connection)
    ((start, end),) = open_ranges(connection, intake, NOW - DAYS)
    steps = backfill(connection, intake, start, end, FAST, rows=6)
    next(steps)
    quiet.settle_failed()
    quiet.look_after_idle()
    assert stored.trials() == (1, 1)
    for _ in steps:
        pass
    quiet.settle_failed()
    assert stored.trials() == (3, 1)


def test_a_run_across_the_connection_counts_once(
    meshhook: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    run_id = meshhook.run()
    meshhook.created(run_id)
    meshhook.start(run_id)
    meshhook.fail(run_id, 1)
    connect_meshhook(connection)
    meshhook.succeed(run_id)
    meshhook.complete(run_id)
    intake.tick()
    take_all(connection, intake, DAYS)
    assert stored.trials() == (2, 0)
    assert stored.titles() == ["low createContact: HTTP 502 (try 1 of 5)"]


def test_what_was_captured_before_a_reconnect_isnt_taken_in_again_and_the_pause_is(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    def finish(newest: int) -> None:
        intake.tick(newest)

    worker.whole_run()
    worker.exhaust(worker.run())
    disconnect(connection, finish=finish)
    worker.whole_run()
    connect_meshhook(connection)
    connection.execute("delete from error_ids")  # as housekeeping does after some days
    worker.whole_run()
    intake.tick()
    take_all(connection, intake, DAYS)
    assert stored.trials() == (7, 1)
    assert len(stored.errors()) == 5
