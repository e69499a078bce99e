"""What is captured of MeshHook, and how it reads."""

import json
from datetime import UTC, datetime, timedelta

from ingest.database import Connection
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.quiet import QuietRuns
from ingest.hall import Hall
from ingest.sampling import Sampler
from tests.meshhook import HTTP, Stored, Worker

LONG_AGO = datetime.now(UTC) - timedelta(minutes=3)


def test_tries_that_are_repeated_are_low_and_the_last_one_is_the_failure(
    worker: Worker, intake: Intake, stored: Stored
) -> None:
    worker.exhaust(worker.run())
    intake.tick()
    assert stored.titles() == [
        "high createContact: HTTP 502 (5 of 5 tries)"
        if attempt == 5
        else f"low createContact: HTTP 502 (try {attempt} of 5)"
        for attempt in range(1, 6)
    ]


def test_an_error_says_where_in_meshhook_it_happened(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.start(run_id)
    event_id = worker.fail(run_id, 2, "TypeError: fetch failed")
    intake.tick()
    (error,) = stored.errors()
    assert (error["project_id"], error["workflow_id"], error["run_id"]) == (
        worker.project_id,
        worker.workflow_id,
        run_id,
    )
    assert (error["source"], error["error_type"], error["severity"]) == ("worker", "system", "low")
    assert error["title"] == "createContact: fetch failed (try 2 of 5)"
    told = {
        "node": "createContact",
        "node_type": "http_call",
        "attempt": 2,
        "max_attempts": 5,
        "workflow": "lead-intake",
        "workflow_version": 3,
        "event_id": event_id,
        "message": "fetch failed",
        "exception": {"type": "TypeError", "value": "fetch failed"},
    }
    assert told.items() <= error["metadata"].items()


def test_a_flood_of_failures_is_counted_to_the_last(connection: Connection, worker: Worker, stored: Stored) -> None:
    failed = worker.run()
    for _ in range(9):
        worker.fail(failed, 1, at=LONG_AGO)
    Intake(connection, hall=Hall(sampler=Sampler(2))).tick()
    assert stored.one("select sum(stands_for)::int from meshhook_errors.error_metrics") == 9
    assert len(stored.errors()) == 3  # two whole, and one that stands for the others


def test_the_time_is_that_of_meshhooks_own_row(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.fail(run_id, at=LONG_AGO)
    intake.tick()
    assert stored.errors()[0]["timestamp"] == LONG_AGO


def test_a_failure_that_names_no_attempt_was_the_only_try(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.fail(worker.run(), None, "ReferenceError: x is not defined", node={"id": "mapLead", "type": "transform"})
    intake.tick()
    assert stored.titles() == ["high mapLead: x is not defined"]
    assert stored.trials() == (1, 1)


def test_a_payload_that_says_how_many_tries_there_are_is_believed(
    worker: Worker, intake: Intake, stored: Stored
) -> None:
    worker.event(worker.run(), "step_failed", node=HTTP, attempt=3, max_attempts=3, error="Error: HTTP 500")
    intake.tick()
    assert stored.titles() == ["high createContact: HTTP 500 (3 of 3 tries)"]


def test_a_step_that_two_workers_ran_fails_once(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.exhaust(run_id)
    worker.fail(run_id, 5)
    intake.tick()
    assert sum(title.startswith("high") for title in stored.titles()) == 1
    assert "low createContact: HTTP 502 (5 of 5 tries, again)" in stored.titles()
    assert stored.trials() == (1, 1)


def test_a_step_that_is_started_again_may_fail_again(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.exhaust(run_id)
    worker.exhaust(run_id)
    intake.tick()
    assert sum(title.startswith("high") for title in stored.titles()) == 2
    assert stored.trials() == (2, 2)


def test_a_run_that_stays_running_after_its_last_try_has_failed(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=LONG_AGO)
    worker.exhaust(run_id, LONG_AGO)
    intake.tick()
    quiet.settle_failed()
    quiet.settle_failed()
    (step,) = (error for error in stored.errors() if error["severity"] == "high")
    (run,) = (error for error in stored.errors() if "run failed" in error["title"])
    assert (run["severity"], run["title"]) == ("medium", "lead-intake: run failed at createContact: HTTP 502")
    assert run["metadata"]["step_error_id"] == str(step["error_id"])
    assert (run["run_id"], run["workflow_id"], run["timestamp"]) == (run_id, worker.workflow_id, LONG_AGO)
    assert run["fingerprint"] != step["fingerprint"]
    assert stored.trials() == (2, 2)


def test_a_worker_that_sets_failed_gives_the_same_result_once(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=LONG_AGO)
    worker.exhaust(run_id, LONG_AGO)
    worker.status(run_id, "failed")
    intake.tick()
    quiet.settle_failed()
    quiet.look_after_idle()
    failed = [error for error in stored.errors() if "run failed" in error["title"]]
    assert [(error["severity"], error["timestamp"]) for error in failed] == [("medium", LONG_AGO)]
    assert stored.trials() == (2, 2)
    assert stored.one("select count(*) from meshhook_errors.stuck_runs") == 0


def test_a_status_that_is_set_after_the_run_was_counted_changes_nothing(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    run_id = worker.run(started_at=LONG_AGO)
    worker.exhaust(run_id, LONG_AGO)
    intake.tick()
    quiet.settle_failed()
    before = stored.titles()
    worker.status(run_id, "failed")
    intake.tick()
    assert stored.titles() == before
    assert stored.trials() == (2, 2)


def test_a_run_set_to_failed_without_a_failed_step_weighs_full(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.status(run_id, "failed")
    intake.tick()
    assert stored.titles() == ["high lead-intake: run failed"]
    assert stored.trials() == (1, 1)


def test_a_success_that_turns_out_to_have_failed_is_corrected(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.event(run_id, "run_completed")
    intake.tick()
    assert stored.trials() == (1, 0)
    worker.status(run_id, "failed")
    intake.tick()
    assert stored.trials() == (1, 1)


def test_canceled_runs_finish_without_failing_and_paused_ones_dont_finish(
    worker: Worker, intake: Intake, quiet: QuietRuns, stored: Stored
) -> None:
    canceled, paused = worker.run(started_at=LONG_AGO), worker.run(started_at=LONG_AGO)
    for run_id in (canceled, paused):
        worker.created(run_id, LONG_AGO)
    worker.status(canceled, "canceled")
    worker.status(paused, "paused")
    worker.connection.execute("update meshhook_errors.meshhook_connection set stuck_after_seconds = 1")
    intake.tick()
    quiet.settle_failed()
    quiet.look_after_idle()
    assert stored.titles() == []
    assert stored.trials() == (1, 0)


def test_a_dead_job_is_an_error(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    job_id = worker.job(run_id)
    worker.connection.execute(
        "update public.job_tracking set failed_at = now(), moved_to_dlq_at = now(), error_message = 'HTTP 502',"
        " error_stack = E'Error: HTTP 502\\n    at execHttp (http-exec.mjs:32:13)' where id = %s",
        (job_id,),
    )
    worker.connection.execute("update public.job_tracking set error_message = error_message where id = %s", (job_id,))
    intake.tick()
    (error,) = stored.errors()
    assert (error["severity"], error["title"]) == ("high", "Job in the dead-letter queue: HTTP 502 (5 of 5 tries)")
    assert (error["run_id"], error["workflow_id"]) == (run_id, worker.workflow_id)
    assert error["metadata"]["queue"] == "workflow_jobs"
    assert "execHttp" in error["metadata"]["stack"]


def test_a_job_that_is_written_as_dead_is_an_error_too(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.job(worker.run(), 1, datetime.now(UTC))
    intake.tick()
    assert stored.titles() == ["high Job in the dead-letter queue: failed (1 of 5 tries)"]


def test_what_a_webhook_sent_is_copied_nowhere(worker: Worker, intake: Intake, connection: Connection) -> None:
    run_id = worker.run()
    worker.created(run_id)
    worker.exhaust(run_id)
    inbox = connection.execute("select record from meshhook_errors.meshhook_inbox").fetchall()
    intake.tick()
    rows = connection.execute("select metadata from meshhook_errors.error_metrics").fetchall()
    states = connection.execute("select to_jsonb(r) from meshhook_errors.meshhook_runs r").fetchall()
    assert len(inbox) == len(rows) == 5
    assert "zzz-of-the-webhook" not in json.dumps([*inbox, *rows, *states])


def test_secrets_in_an_error_are_masked(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.fail(worker.run(), 5, "Error: 401 for https://user:hunter2secret@crm.example.com/contacts")
    intake.tick()
    assert "hunter2secret" not in json.dumps(stored.errors(), default=str)
    state = stored.one("select exhausted ->> 'error' from meshhook_runs")
    assert "crm.example.com" in state
    assert "hunter2secret" not in state


def test_a_webhook_node_is_of_the_source_webhook(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.fail(worker.run(), 5, node={"id": "trigger", "type": "webhook"})
    intake.tick()
    assert stored.errors()[0]["source"] == "webhook"


def test_every_execution_is_a_trial(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.whole_run()
    worker.whole_run()
    intake.tick()
    assert stored.trials() == (4, 0)
    workflows = {
        row[0] for row in stored.connection.execute("select workflow_id from meshhook_errors.execution_metrics")
    }
    assert workflows == {worker.workflow_id}
