"""What MeshHook must not notice: many failures at once, tables that are locked for long, somebody who connects."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest

from ingest.database import Connection, connect
from ingest.doors.meshhook import connection as meshhook_connection
from ingest.doors.meshhook.connection import CannotConnect, Limits, disconnect, installed
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.intake import Intake
from tests.meshhook import Stored, Worker

MANY = (
    "insert into public.workflow_events (run_id, type, payload) select %s, 'step_failed',"
    """ '{"node": {"id": "n"}, "attempt": 1, "error": "Error: x"}' from generate_series(1, 300)"""
)


@pytest.mark.parametrize("locked", ["meshhook_inbox", "meshhook_inbox, meshhook_errors.meshhook_connection"])
def test_a_locked_inbox_holds_up_a_transaction_of_many_failures_once(
    worker: Worker, database_url: str, connection: Connection, intake: Intake, stored: Stored, locked: str
) -> None:
    run_id = worker.run()
    with psycopg.connect(database_url) as locker:
        locker.execute(f"lock table meshhook_errors.{locked} in access exclusive mode".encode())
        began = time.monotonic()
        worker.connection.execute(MANY, (run_id,))
        assert time.monotonic() - began < 0.5
    assert stored.one("select last_value from meshhook_misses") == 300
    worker.fail(run_id, 1)
    assert stored.one("select count(*) from meshhook_inbox") == 1
    intake.tick()
    assert len(stored.errors()) == 301


def test_a_locked_count_holds_up_nobody_either(worker: Worker, database_url: str) -> None:
    with psycopg.connect(database_url) as locker:
        locker.execute("lock table meshhook_errors.meshhook_inbox in access exclusive mode")
        locker.execute("alter sequence meshhook_errors.meshhook_misses cache 1")
        began = time.monotonic()
        worker.connection.execute(MANY, (worker.run(),))
        assert time.monotonic() - began < 0.5


def test_long_messages_fill_the_inbox_too(meshhook: Worker, connection: Connection, stored: Stored) -> None:
    connect_meshhook(connection, most_inbox_bytes=1024 * 1024)
    meshhook.connection.execute(
        "insert into public.workflow_events (run_id, type, payload)"
        " select %s, 'step_failed', jsonb_build_object('error',"
        " (select string_agg(md5((n * i)::text), '') from generate_series(1, 2000) i)) from generate_series(1, 100) n",
        (meshhook.run(),),
    )
    assert stored.one("select pg_table_size('meshhook_inbox')") < 2 * 1024 * 1024


def test_a_serializable_database_stays_meshhooks_own_affair(
    worker: Worker, database_url: str, connection: Connection, stored: Stored
) -> None:
    worker.connection.execute(
        "do $$ begin execute format('alter database %I set default_transaction_isolation to serializable',"
        " current_database()); end $$"
    )
    with (
        connect(database_url, "one") as one,
        connect(database_url, "two") as two,
        psycopg.connect(database_url) as writer,
    ):
        assert writer.execute("show transaction_isolation").fetchone() == ("serializable",)
        Intake(one).tick()
        other = Worker.__new__(Worker)
        other.connection, other.project_id, other.workflow_id = writer, worker.project_id, worker.workflow_id
        run_id = other.run()
        other.exhaust(run_id)
        worker.exhaust(worker.run())
        for reader in (two, one):
            Intake(reader).tick()
            other.exhaust(other.run())
        writer.commit()
        Intake(two).tick()
        assert two.execute("show transaction_isolation").fetchone() == ("read committed",)
    assert len(stored.errors()) == 20


def test_two_who_connect_at_once_both_succeed(meshhook: Worker, database_url: str, connection: Connection) -> None:
    def both(work: object) -> list[psycopg.Error]:
        failures: list[psycopg.Error] = []
        together = threading.Barrier(4)

        def one() -> None:
            with connect(database_url, "connecting") as own:
                together.wait()
                try:
                    work(own)  # type: ignore[operator]
                except psycopg.Error as failure:
                    failures.append(failure)

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return failures

    for _ in range(5):
        assert both(connect_meshhook) == []
        assert installed(connection).is_whole
        assert both(disconnect) == []


@contextmanager
def held_one_after_the_other(database_url: str, tables: list[str], seconds: float) -> Iterator[None]:
    """Locks as autovacuum takes them, the first for so long, each further one for so much longer."""
    holders = [psycopg.connect(database_url) for _ in tables]
    for holder, table in zip(holders, tables, strict=True):
        holder.execute(f"lock table {table} in share update exclusive mode".encode())
    timers = [threading.Timer(seconds * (number + 1), holder.close) for number, holder in enumerate(holders)]
    for timer in timers:
        timer.start()
    yield
    for timer in timers:
        timer.join()


def test_connecting_holds_writers_up_for_a_second_at_most_however_many_partitions_are_busy(
    meshhook: Worker, database_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshhook_connection, "_PAUSE_SECONDS", 0.1)
    months = [
        row[0]
        for row in meshhook.connection.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'public.workflow_events'::regclass order by 1"
        )
    ]
    for work in (connect_meshhook, disconnect):
        tables = (
            months[1:]
            if work is connect_meshhook
            else ["public.job_tracking", "public.workflow_runs", months[1], months[2]]
        )
        with held_one_after_the_other(database_url, tables, 0.8):
            changing = threading.Thread(target=work, args=[connection])
            run_id, longest, at = meshhook.run(), 0.0, datetime.now(UTC)
            changing.start()
            while changing.is_alive():
                began = time.monotonic()
                meshhook.start(run_id, at=at)
                longest = max(longest, time.monotonic() - began)
                began = time.monotonic()
                meshhook.status(run_id, "running")
                longest = max(longest, time.monotonic() - began)
            changing.join()
        assert longest < 1.4, work


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("events drop constraint workflow_events_pkey, alter id type text", "id of public.workflow_events is a text"),
        ("events alter payload drop default, alter payload type json using payload::json", "payload .* is a json"),
        ("runs alter finished_at type timestamp", "finished_at .* is a timestamp without"),
    ],
)
def test_columns_of_another_type_are_refused(meshhook: Worker, connection: Connection, change: str, words: str) -> None:
    meshhook.connection.execute(f"alter table public.workflow_{change}".encode())
    with pytest.raises(CannotConnect, match=words):
        connect_meshhook(connection)


def test_whatever_stops_connecting_nothing_is_left_behind(meshhook: Worker, connection: Connection) -> None:
    def ours() -> int:
        row = connection.execute("select count(*) from pg_trigger where tgname like 'meshhook_errors%'").fetchone()
        assert row is not None
        return int(row[0])

    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        connect_meshhook(connection, Limits(max_attempts=2**40))
    assert ours() == 0
    connection.execute("alter table meshhook_connection rename to gone")
    with pytest.raises(psycopg.errors.UndefinedTable):
        connect_meshhook(connection)
    assert (ours(), installed(connection).version) == (0, None)


def test_a_function_that_is_missing_is_put_back(worker: Worker, connection: Connection, stored: Stored) -> None:
    connection.execute("drop function meshhook_put(text, jsonb)")
    assert not installed(connection).is_whole
    connect_meshhook(connection)
    worker.fail(worker.run())
    assert stored.one("select count(*) from meshhook_inbox") == 1


def test_ids_that_sessions_keep_for_later_are_warned_of(meshhook: Worker, connection: Connection) -> None:
    meshhook.connection.execute("alter sequence public.workflow_events_id_seq cache 20")
    said: list[str] = []
    connect_meshhook(connection, say=said.append)
    assert "draw 20 ids" in said[0]
    assert installed(connection).is_whole
