"""Every run and every step once: late commits, crashes, several readers, stuck runs, deleted ones."""

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ingest.database import Connection, connect
from ingest.doors.meshhook import event_log
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.quiet import QuietRuns
from tests.meshhook import Stored, Worker

MINUTES = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def second_worker(worker: Worker, database_url: str) -> Worker:
    other = object.__new__(Worker)
    other.connection = psycopg.connect(database_url)
    other.project_id, other.workflow_id = worker.project_id, worker.workflow_id
    return other


def test_a_transaction_that_commits_late_loses_nothing(
    worker: Worker, database_url: str, intake: Intake, stored: Stored
) -> None:
    late = second_worker(worker, database_url)
    first = worker.run()
    late.start(first)
    late.succeed(first)
    late.fail(first, 2)
    worker.whole_run()
    for _ in range(2):
        intake.tick()
    assert stored.trials() == (2, 0)
    late.connection.commit()
    for _ in range(3):
        intake.tick()
    assert stored.trials() == (3, 0)
    assert stored.titles() == ["low createContact: HTTP 502 (try 2 of 5)"]
    late.connection.close()


def test_a_gap_is_given_up_when_nobody_can_fill_it(
    worker: Worker, database_url: str, intake: Intake, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_LEAST_AGE", timedelta())
    late = second_worker(worker, database_url)
    late.start(worker.run())
    worker.whole_run()
    intake.tick()
    intake.tick()
    assert stored.one("select jsonb_array_length(gaps) from meshhook_errors.meshhook_connection") == 1
    late.connection.rollback()
    intake.tick()
    assert stored.one("select jsonb_array_length(gaps) from meshhook_errors.meshhook_connection") == 0
    late.connection.close()


def test_a_long_transaction_elsewhere_delays_nothing(
    worker: Worker, database_url: str, intake: Intake, stored: Stored
) -> None:
    with psycopg.connect(database_url) as elsewhere:
        elsewhere.execute("create table elsewhere (id int)")
        worker.whole_run()
        worker.fail(worker.run(), 1)
        intake.tick()
        assert stored.trials() == (2, 0)
        assert len(stored.titles()) == 1


def test_a_failure_that_is_rolled_back_never_happened(
    worker: Worker, database_url: str, intake: Intake, stored: Stored
) -> None:
    other = second_worker(worker, database_url)
    other.exhaust(worker.run())
    other.connection.rollback()
    other.connection.close()
    worker.whole_run()
    intake.tick()
    assert stored.titles() == []
    assert stored.one("select count(*) from meshhook_errors.meshhook_inbox") == 0
    assert stored.trials() == (2, 0)


def test_a_reader_that_dies_amid_its_transaction_leaves_all_for_the_next(
    worker: Worker, database_url: str, intake: Intake, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.whole_run()
    worker.exhaust(worker.run())
    dying = connect(database_url, "dying")

    def die(*_: object) -> None:
        dying.execute("select 1")
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("ingest.doors.meshhook.intake.save_runs", die)
        with pytest.raises(ConnectionError):
            Intake(dying).tick()
    dying.close()
    assert stored.one("select count(*) from meshhook_errors.meshhook_inbox") == 5
    assert stored.titles() == []
    intake.tick()
    assert stored.one("select count(*) from meshhook_errors.meshhook_inbox") == 0
    assert len(stored.titles()) == 5
    assert stored.trials() == (3, 1)


def test_several_readers_count_once(worker: Worker, database_url: str, stored: Stored) -> None:
    for _ in range(30):
        worker.whole_run()
    worker.exhaust(worker.run())

    def read() -> None:
        with connect(database_url, "reader") as connection:
            reader = Intake(connection, rows=7)
            for _ in range(40):
                reader.tick()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert stored.trials() == (61, 1)
    assert len(stored.titles()) == 5


def test_small_steps_give_the_same_as_one(worker: Worker, connection: Connection, stored: Stored) -> None:
    for number in range(12):
        if number % 3:
            worker.whole_run()
        else:
            worker.exhaust(worker.run())
    small = Intake(connection, rows=3)
    for _ in range(60):
        small.tick()
    assert stored.trials() == (20, 4)
    assert len(stored.titles()) == 20
    assert stored.one("select recovered from meshhook_errors.meshhook_connection") == 0


def test_a_success_that_was_delivered_twice_counts_once(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.start(run_id)
    worker.succeed(run_id)
    worker.succeed(run_id)
    worker.complete(run_id)
    worker.event(run_id, "run_completed")
    intake.tick()
    assert stored.trials() == (2, 0)


def test_a_loop_that_runs_the_same_node_side_by_side_counts_each(
    worker: Worker, intake: Intake, stored: Stored
) -> None:
    run_id = worker.run()
    for _ in range(3):
        worker.start(run_id)
    intake.tick()
    for _ in range(3):
        worker.succeed(run_id)
    intake.tick()
    assert stored.trials() == (3, 0)


def test_a_run_that_lasts_far_too_long_is_stuck_and_noted_when_it_moves_again(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    began = now() - 14 * MINUTES
    run_id = worker.run(started_at=began)
    worker.created(run_id, began)
    worker.start(run_id, at=began)
    intake.tick()
    assert quiet.look_after_idle() == 1
    worker.connection.execute("update meshhook_errors.meshhook_runs set looked_at = null")
    assert quiet.look_after_idle() == 0
    (error,) = stored.errors()
    assert (error["severity"], error["title"]) == ("high", "lead-intake: run stuck after createContact")
    assert error["timestamp"] == began + 10 * MINUTES
    assert stored.trials() == (0, 0)
    assert stored.one("select reason from meshhook_errors.stuck_runs where moved_at is null") == "too_long"
    worker.succeed(run_id)
    worker.complete(run_id)
    intake.tick()
    assert stored.one("select count(*) from meshhook_errors.stuck_runs where moved_at is null") == 0
    assert stored.trials() == (2, 0)
    assert len(stored.errors()) == 1


def test_a_workflow_that_always_takes_long_isnt_stuck(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    usual = worker.connection.execute(
        "insert into public.workflow_runs (project_id, workflow_id, status, started_at, finished_at)"
        " select %s, %s, 'succeeded', now() - interval '1 day', now() - interval '1 day' + interval '5 minutes'"
        " from generate_series(1, 50)",
        (worker.project_id, worker.workflow_id),
    )
    assert usual.rowcount == 50
    slow, stuck = (worker.run(started_at=now() - minutes * MINUTES) for minutes in (20, 26))
    for run_id, minutes in ((slow, 20), (stuck, 26)):
        worker.start(run_id, at=now() - minutes * MINUTES)
    intake.tick()
    assert quiet.look_after_idle() == 1
    assert [error["run_id"] for error in stored.errors()] == [stuck]


def test_a_run_that_moves_after_it_was_counted_as_failed_is_noted_and_counted_once(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=now() - MINUTES)
    worker.exhaust(run_id, now() - MINUTES)
    intake.tick()
    quiet.settle_failed()
    assert stored.one("select reason from meshhook_errors.stuck_runs where moved_at is null") == "exhausted"
    worker.start(run_id)
    worker.succeed(run_id)
    worker.complete(run_id)
    intake.tick()
    assert stored.one("select count(*) from meshhook_errors.stuck_runs where moved_at is not null") == 1
    assert stored.trials() == (3, 2)


def test_a_run_whose_last_try_has_just_failed_is_given_a_moment(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    worker.exhaust(worker.run())
    intake.tick()
    assert quiet.settle_failed() == 0
    assert stored.trials() == (1, 1)


def test_a_run_with_a_job_that_waits_for_another_try_hasnt_failed_yet(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=now() - MINUTES)
    worker.exhaust(run_id, now() - MINUTES)
    worker.job(run_id, 2)
    intake.tick()
    assert quiet.settle_failed() == 0
    worker.connection.execute("update public.job_tracking set started_at = now(), completed_at = now()")
    worker.connection.execute("update meshhook_errors.meshhook_runs set looked_at = null")
    assert quiet.settle_failed() == 1


def test_a_run_that_ended_without_a_word_in_the_log_is_found(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=now() - MINUTES)
    worker.created(run_id, now() - MINUTES)
    intake.tick()
    worker.status(run_id, "succeeded", now())
    quiet.look_after_idle()
    assert stored.trials() == (1, 0)
    assert stored.one("select outcome from meshhook_errors.meshhook_runs") == "succeeded"


def test_deleted_runs_are_forgotten(worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored) -> None:
    run_id = worker.run(started_at=now() - 20 * MINUTES)
    worker.created(run_id, now() - 20 * MINUTES)
    intake.tick()
    worker.connection.execute("delete from public.workflow_runs")
    quiet.look_after_idle()
    assert stored.one("select count(*) from meshhook_errors.meshhook_runs") == 0
    assert stored.errors() == []


def test_failures_of_a_run_that_is_deleted_at_once_are_kept(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.exhaust(worker.run())
    worker.connection.execute("delete from public.workflow_runs")
    intake.tick()
    assert len(stored.errors()) == 5


def test_a_run_that_failed_and_is_deleted_at_once_keeps_its_place(
    worker: Worker, intake: Intake, stored: Stored
) -> None:
    worker.status(worker.run(), "failed")
    worker.connection.execute("delete from public.workflow_runs")
    intake.tick()
    (error,) = stored.errors()
    assert (error["project_id"], error["workflow_id"]) == (worker.project_id, worker.workflow_id)
    assert stored.one("select workflow_id from meshhook_errors.execution_metrics") == worker.workflow_id
