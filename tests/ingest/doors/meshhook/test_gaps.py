"""Ids that are missing from the event log, in numbers and for times that no MeshHook should have."""

from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ingest.database import Connection
from ingest.doors.meshhook import event_log
from ingest.doors.meshhook.intake import Intake, Taken
from tests.meshhook import Stored, Worker

MANY = (
    "insert into public.workflow_events (run_id, type, payload)"
    """ select %s, 'step_succeeded', '{"node": {"id": "n"}}' from generate_series(1, %s)"""
)


def many(connection: "psycopg.Connection[tuple[object, ...]]", run_id: UUID, number: int) -> None:
    connection.execute(MANY, (run_id, number))


def read_all(intake: Intake) -> list[Taken]:
    taken = [intake.tick()]
    while (newest := taken[-1]) is not None and not newest.is_at_end:
        taken.append(intake.tick())
    return [told for told in taken if told is not None]


def test_a_large_transaction_that_commits_late_is_taken_in_in_steps(
    worker: Worker, database_url: str, connection: Connection, stored: Stored
) -> None:
    intake, run_id = Intake(connection, 100), worker.run()
    with psycopg.connect(database_url) as late:
        many(late, run_id, 500)
        worker.succeed(run_id)
        many(late, run_id, 500)
        worker.succeed(run_id)
        read_all(intake)
        assert stored.trials() == (2, 0)
    assert max(taken.events for taken in read_all(intake)) <= 200
    assert stored.trials() == (1002, 0)


def test_late_events_are_found_though_nobody_else_is_under_way(
    worker: Worker, database_url: str, connection: Connection, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_LEAST_AGE", event_log._LEAST_AGE * 0)
    intake, run_id = Intake(connection, 100), worker.run()
    with psycopg.connect(database_url) as late:
        many(late, run_id, 450)
        worker.succeed(run_id)
        read_all(intake)
    read_all(intake)
    read_all(intake)
    assert stored.trials() == (451, 0)
    assert stored.one("select gaps from meshhook_connection") == []


def test_a_wide_gap_is_one(worker: Worker, intake: Intake, stored: Stored) -> None:
    run_id = worker.run()
    worker.succeed(run_id)
    worker.connection.execute("select setval('public.workflow_events_id_seq', 1000000000000)")
    worker.succeed(run_id)
    read_all(intake)
    assert stored.trials() == (2, 0)
    assert stored.one("select jsonb_array_length(gaps) from meshhook_connection") == 1


def test_many_gaps_are_looked_into_less_often(
    worker: Worker, connection: Connection, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaps = [[10**9 + 2 * n, 10**9 + 2 * n + 1, 2**60, datetime.now(UTC).isoformat()] for n in range(20_000)]
    connection.execute("update meshhook_connection set gaps = %s", (Jsonb(gaps),))
    monkeypatch.setattr("ingest.doors.meshhook.intake._SECONDS_PER_GAP", 0.01)  # a slow machine is no reason to look
    looked, look = [], event_log._late_events
    monkeypatch.setattr(event_log, "_late_events", lambda *of: looked.append(1) or look(*of))
    intake = Intake(connection)
    for number in range(1, 4):
        worker.succeed(worker.run())
        intake.tick()
        assert stored.trials() == (number, 0)
    assert len(looked) == 1
    assert stored.one("select jsonb_array_length(gaps) from meshhook_connection") == 20_000


@pytest.mark.parametrize(
    "how", ["truncate public.workflow_events restart identity", "delete from public.workflow_events"]
)
def test_a_log_that_is_emptied_is_read_on(worker: Worker, connection: Connection, stored: Stored, how: str) -> None:
    many(worker.connection, worker.run(), 50)
    Intake(connection).tick()
    worker.connection.execute(how.encode())
    Intake(connection).tick()
    run_id = worker.run()
    worker.exhaust(run_id)
    many(worker.connection, run_id, 20)
    for _ in range(3):
        read_all(Intake(connection))
    assert stored.trials() == (71, 1)
    assert len(stored.errors()) == 5


def test_a_sequence_that_is_set_back_makes_nothing_count_twice(
    worker: Worker, connection: Connection, stored: Stored
) -> None:
    many(worker.connection, worker.run(), 50)
    Intake(connection).tick()
    worker.connection.execute("select setval('public.workflow_events_id_seq', 10)")
    many(worker.connection, worker.run(), 20)
    for _ in range(3):
        read_all(Intake(connection))
    assert stored.trials() == (50, 0)
    many(worker.connection, worker.run(), 25)
    read_all(Intake(connection))
    assert stored.trials() == (55, 0)
