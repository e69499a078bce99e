"""What no worker of MeshHook writes, but its tables would hold: it is taken in or kept as it is, and stops nothing."""

from uuid import UUID

import pytest

from ingest.database import Connection
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.names import refresh_names
from ingest.doors.meshhook.quiet import QuietRuns
from tests.meshhook import Stored, Worker

DEEP = "[" * 5000 + "]" * 5000
PAYLOADS = {
    "a number as node": '{"node": 7, "attempt": 5}',
    "an array as node": '{"node": [1], "attempt": 5}',
    "a node without an id": '{"node": {"config": {"token": "zzz-of-the-node"}}, "attempt": 5}',
    "no node": '{"node": null, "attempt": 5}',
    "a long id": '{"node": {"id": "%s", "type": []}, "attempt": 5}' % ("x" * 100_000),
    "an attempt without end": '{"node": {"id": "n"}, "attempt": 1e5000, "max_attempts": 1e5000}',
    "a negative attempt": '{"node": {"id": "n"}, "attempt": -1, "max_attempts": 1.5}',
    "an object as attempt": '{"node": {"id": "n"}, "attempt": {}, "max_attempts": 0}',
    "a deep attempt": f'{{"node": {{"id": "n"}}, "attempt": {DEEP}}}',
    "all of it deep": f'{{"node": {DEEP}, "error": {DEEP}, "attempt": 5}}',
    "control characters": '{"error": {"a": "\\u001b\\ufffe"}}',
    "an array": "[]",
    "a text": '"text"',
    "nothing": "null",
}


def failed(worker: Worker, run_id: UUID | None, payload: str, ts: str = "now") -> None:
    worker.connection.execute(
        "insert into public.workflow_events (run_id, ts, type, payload) values (%s, %s, 'step_failed', %s::jsonb)",
        (run_id, ts, payload),
    )


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
@pytest.mark.parametrize("way", ["inbox", "log"])
def test_any_payload_of_a_failed_try_is_one_error(
    worker: Worker, intake: Intake, stored: Stored, payload: str, way: str
) -> None:
    if way == "log":
        worker.connection.execute("alter table public.workflow_events disable trigger meshhook_errors_capture")
    failed(worker, worker.run(), payload)
    worker.whole_run()
    intake.tick()
    assert len(stored.errors()) == 1
    assert stored.trials() == (3, 1)
    assert stored.one("select max(length(steps::text)) from meshhook_runs") < 300
    assert "zzz" not in str(stored.one("select json_agg(r)::text from meshhook_runs r")) + str(stored.errors())


def test_an_attempt_may_be_written_as_text(worker: Worker, intake: Intake, stored: Stored) -> None:
    failed(worker, worker.run(), '{"node": {"id": "n"}, "attempt": "2", "error": "Error: x"}')
    intake.tick()
    assert stored.titles() == ["low n: x (try 2 of 5)"]
    assert stored.trials() == (0, 0)


@pytest.fixture
def loose(meshhook: Worker, connection: Connection) -> Worker:
    """MeshHook's tables with hardly any constraint, connected, and written from the other side of the world."""
    tables = meshhook.connection
    tables.execute("drop table public.workflow_events")
    tables.execute(
        "create table public.workflow_events (id bigserial, run_id uuid, ts timestamptz default now(), type text,"
        " payload jsonb)"
    )
    tables.execute("set timezone to 'Asia/Tokyo'")
    connect_meshhook(connection)
    return meshhook


@pytest.mark.parametrize(
    "ts", ["infinity", "-infinity", "0001-01-01 00:00+00", "1999-01-01", "0044-03-15 BC", "20000-01-01"]
)
def test_any_moment_is_taken_in_once(
    loose: Worker, connection: Connection, intake: Intake, quiet: QuietRuns, stored: Stored, ts: str
) -> None:
    tables = loose.connection
    failed(loose, loose.run(), '{"node": {"id": "n"}, "attempt": 5, "error": "Error: x"}', ts)
    connection.execute("update meshhook_connection set events_table = 0")  # so that the inbox is read first
    intake.tick()
    connection.execute("update meshhook_connection set events_table = 'public.workflow_events'::regclass")
    intake.tick()
    assert stored.titles() == ["high n: x (5 of 5 tries)"]
    connection.execute("update meshhook_connection set failed_after_seconds = 0.001, stuck_after_seconds = 0.001")
    quiet.settle_failed()
    assert len(stored.errors()) == 2
    for status in ("failed", "succeeded"):
        run_id = loose.run()
        loose.event(run_id, "step_started", node="n")
        tables.execute(
            "update public.workflow_runs set status = %s, started_at = %s, finished_at = %s where id = %s",
            (status, ts, ts, run_id),
        )
    tables.execute(
        "insert into public.job_tracking (msg_id, queue_name, moved_to_dlq_at, error_message) values (1, 'q', %s, 'x')",
        (ts,),
    )
    intake.tick()
    loose.start(loose.run())
    intake.tick()
    quiet.look_after_idle()
    assert stored.trials() == (4, 3)
    assert "high Job in the dead-letter queue: x (0 of 5 tries)" not in stored.titles()
    assert "high Job in the dead-letter queue: x" in stored.titles()


def test_rows_that_belong_to_no_run_stop_nothing(loose: Worker, intake: Intake, stored: Stored) -> None:
    failed(loose, None, "{}")
    loose.connection.execute("insert into public.workflow_events (type) values ('step_succeeded'), (null)")
    loose.connection.execute("alter table public.job_tracking alter run_id type text")
    loose.connection.execute(
        "insert into public.job_tracking (msg_id, run_id, queue_name, moved_to_dlq_at, error_message)"
        " values (1, 'seven', 'q', now(), 'Error: gone')"
    )
    loose.whole_run()
    intake.tick()
    assert stored.trials() == (2, 0)
    assert {error["title"] for error in stored.errors()} == {
        "A failure of MeshHook that isn't understood",
        "Job in the dead-letter queue: gone",
    }


def test_names_of_another_shape_stop_nothing(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    tables = worker.connection
    tables.execute("drop view public.workflows")
    tables.execute("alter table public.projects alter name drop not null")
    tables.execute("insert into public.projects (owner) values (gen_random_uuid())")
    tables.execute("alter table public.workflow_definitions alter slug drop not null")
    tables.execute(
        "insert into public.workflow_definitions (project_id, definition) values (%s, '{}')", (worker.project_id,)
    )
    refresh_names(connection)
    assert stored.one("select string_agg(slug, '') from workflow_names") == "lead-intake"
    tables.execute("alter table public.workflow_definitions alter version drop default, alter version type text")
    worker.fail(worker.run(worker.workflow("other", "x")), 1)  # type: ignore[arg-type]
    refresh_names(connection)
    intake.tick()
    assert len(stored.errors()) == 1
