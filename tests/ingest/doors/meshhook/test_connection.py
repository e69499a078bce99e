"""Connecting and disconnecting, on whatever MeshHook is there, and that it never hurts."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from ingest.database import Connection, connect, migrate
from ingest.doors.meshhook import connection as meshhook_connection
from ingest.doors.meshhook.connection import (
    CannotConnect,
    Limits,
    disconnect,
    installed,
    plan,
)
from ingest.doors.meshhook.connection import (
    connect as connect_meshhook,
)
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.quiet import QuietRuns
from jobs.demo.tables import create_tables
from tests.meshhook import Stored, Worker

AT_ONCE_SECONDS = 0.5


def misses(connection: Connection) -> int:
    row = connection.execute("select case when is_called then last_value else 0 end from meshhook_misses").fetchone()
    assert row is not None
    return int(row[0])


def footprint(connection: Connection) -> list[object]:
    """All triggers, functions and event triggers outside our tables."""
    return connection.execute(
        "select tgname, tgrelid::regclass::text from pg_trigger where not tgisinternal"
        " union all select proname, pronamespace::regnamespace::text from pg_proc"
        " where pronamespace in ('public'::regnamespace, 'meshhook_errors'::regnamespace) order by 1, 2"
    ).fetchall()


def test_connecting_twice_changes_nothing_and_disconnecting_leaves_no_trace(
    meshhook: Worker, connection: Connection
) -> None:
    before = footprint(connection)
    first = connect_meshhook(connection)
    assert first.is_whole
    assert first.tables == ("workflow_runs", "job_tracking", "workflow_events")
    once = footprint(connection)
    assert connect_meshhook(connection) == first
    assert footprint(connection) == once != before
    assert disconnect(connection)
    assert footprint(connection) == before
    assert not disconnect(connection)


def test_a_dry_run_shows_the_statements_and_changes_nothing(meshhook: Worker, connection: Connection) -> None:
    before = footprint(connection)
    statements = plan(connection)
    assert footprint(connection) == before
    assert sum("create or replace trigger" in statement for statement in statements) == 4
    for statement in statements:
        connection.execute(statement.encode())
    assert installed(connection).is_whole
    assert plan(connection) == []


def test_a_trigger_that_was_dropped_is_put_back_without_reading_anew(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    worker.whole_run()
    worker.connection.execute("drop trigger meshhook_errors_capture on public.workflow_events")
    assert installed(connection).lacking == ("workflow_events",)
    connect_meshhook(connection)
    assert installed(connection).is_whole
    intake.tick()
    assert stored.trials() == (2, 0)


def test_an_older_version_is_replaced(worker: Worker, connection: Connection) -> None:
    connection.execute("comment on function meshhook_errors.meshhook_capture() is 'capture version 0'")
    assert not installed(connection).is_whole
    assert connect_meshhook(connection).is_whole


@pytest.mark.parametrize("partitioned", [True, False])
@pytest.mark.parametrize("job_tracking", [True, False])
def test_whatever_tables_there_are_are_watched(
    database_url: str, connection: Connection, stored: Stored, partitioned: bool, job_tracking: bool
) -> None:
    with connect(database_url, "worker") as tables:
        create_tables(tables, partitioned=partitioned, job_tracking=job_tracking)
        worker = Worker(tables)
        assert connect_meshhook(connection).is_whole
        worker.whole_run()
        worker.exhaust(worker.run())
        Intake(connection).tick()
    assert stored.trials() == (3, 1)
    assert len(stored.errors()) == 5


def test_partitions_that_are_added_later_are_watched_too(worker: Worker, intake: Intake, stored: Stored) -> None:
    worker.connection.execute(
        "create table public.workflow_events_late partition of public.workflow_events"
        " for values from ('2019-01-01') to ('2019-02-01')"
    )
    worker.connection.execute("create table public.attached (like public.workflow_events including defaults)")
    worker.connection.execute(
        "alter table public.workflow_events attach partition public.attached"
        " for values from ('2018-01-01') to ('2018-02-01')"
    )
    for year in (2018, 2019):
        worker.fail(worker.run(), at=datetime(year, 1, 5, tzinfo=UTC))
    assert stored.one("select count(*) from meshhook_errors.meshhook_inbox") == 2
    intake.tick()
    assert [error["timestamp"].year for error in stored.errors()] == [2018, 2019]


def test_a_database_without_meshhook_is_refused(connection: Connection) -> None:
    with pytest.raises(CannotConnect, match="none of MeshHook's tables"):
        connect_meshhook(connection)


def test_tables_of_another_shape_are_refused(meshhook: Worker, connection: Connection) -> None:
    meshhook.connection.execute("alter table public.workflow_events rename column payload to data")
    with pytest.raises(CannotConnect, match="no column payload"):
        connect_meshhook(connection)


@pytest.fixture
def role(database_url: str) -> Iterator[Callable[[], str]]:
    """Makes a role that is no superuser; answers the URL by which it connects."""
    made: list[sql.Identifier] = []

    def make() -> str:
        name = f"role_{time.time_ns()}"
        made.append(sql.Identifier(name))
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute(sql.SQL("create role {} login password 'secret-of-a-test'").format(made[-1]))
            admin.execute(
                sql.SQL("grant create on database {} to {}").format(sql.Identifier(admin.info.dbname), made[-1])
            )
            admin.execute(sql.SQL("grant all on schema public to {}").format(made[-1]))
        return psycopg.conninfo.make_conninfo(database_url, user=name, password="secret-of-a-test")

    yield make
    with psycopg.connect(database_url, autocommit=True) as admin:
        for name in made:
            admin.execute(sql.SQL("drop owned by {} cascade").format(name))
            admin.execute(sql.SQL("drop role {}").format(name))


def test_the_owner_of_the_tables_needs_to_be_no_superuser(
    database_url: str, connection: Connection, role: Callable[[], str]
) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    owner_url = role()
    with connect(owner_url, "owner") as owner:
        migrate(owner)
        create_tables(owner)
        for table in ("workflow_events", "workflow_runs", "job_tracking"):
            owner.execute(f"alter table public.{table} enable row level security".encode())
        assert connect_meshhook(owner).is_whole
        worker = Worker(owner)
        worker.whole_run()
        worker.exhaust(worker.run())
        Intake(owner).tick()
        assert Stored(owner).trials() == (3, 1)
        assert len(Stored(owner).errors()) == 5
        disconnect(owner)


def test_a_role_that_may_not_watch_is_told_what_to_grant(
    meshhook: Worker, connection: Connection, role: Callable[[], str]
) -> None:
    url = role()
    name = psycopg.conninfo.conninfo_to_dict(url)["user"]
    connection.execute(f'grant all on schema meshhook_errors to "{name}"'.encode())
    for kind in ("tables", "sequences"):
        connection.execute(f'grant all on all {kind} in schema meshhook_errors to "{name}"'.encode())
    with connect(url, "stranger") as stranger, pytest.raises(CannotConnect, match="grant select, trigger on public"):
        connect_meshhook(stranger)
    for table in ("workflow_events", "workflow_runs", "job_tracking"):
        connection.execute(f'grant select, trigger on public.{table} to "{name}"'.encode())
        connection.execute(f"alter table public.{table} enable row level security".encode())
    with connect(url, "stranger") as stranger, pytest.raises(CannotConnect, match="bypassrls"):
        connect_meshhook(stranger)
    connection.execute(f'alter role "{name}" bypassrls'.encode())
    with connect(url, "stranger") as stranger, pytest.raises(CannotConnect, match="workflow_events_2"):
        connect_meshhook(stranger)
    connection.execute(f'grant select, trigger on all tables in schema public to "{name}"'.encode())
    with connect(url, "stranger") as stranger:
        assert connect_meshhook(stranger).is_whole
        meshhook.fail(meshhook.run(), 1)
        assert Stored(stranger).one("select count(*) from meshhook_errors.meshhook_inbox") == 1
        disconnect(stranger)


def test_workers_of_a_role_without_any_rights_here_are_captured(
    worker: Worker, role: Callable[[], str], intake: Intake, stored: Stored
) -> None:
    run_id = worker.run()
    url = role()
    name = psycopg.conninfo.conninfo_to_dict(url)["user"]
    worker.connection.execute(f'grant all on all tables in schema public to "{name}"'.encode())
    worker.connection.execute(f'grant all on all sequences in schema public to "{name}"'.encode())
    with psycopg.connect(url, autocommit=True) as connection:
        worker.connection, before = connection, worker.connection
        worker.exhaust(run_id)
        worker.status(run_id, "failed")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select meshhook_errors.meshhook_put('step_failed', '{}')")
    worker.connection = before
    assert stored.one("select count(*) from meshhook_errors.meshhook_inbox") == 6


@pytest.mark.parametrize(
    ("harm", "repair"),
    [
        (
            "alter table meshhook_errors.meshhook_inbox rename to gone",
            "alter table meshhook_errors.gone rename to meshhook_inbox",
        ),
        (
            "alter table meshhook_errors.meshhook_inbox add constraint never check (false) not valid",
            "alter table meshhook_errors.meshhook_inbox drop constraint never",
        ),
        ("drop function meshhook_errors.meshhook_put(text, jsonb)", ""),
    ],
    ids=["gone", "refusing", "half removed"],
)
def test_whatever_happens_to_our_tables_meshhook_goes_on_and_the_miss_is_counted(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored, harm: str, repair: str
) -> None:
    connection.execute(harm.encode())
    run_id = worker.run()
    worker.exhaust(run_id)
    worker.status(run_id, "failed")
    assert misses(connection) == 6
    assert worker.connection.execute("select count(*) from public.workflow_events").fetchone() == (6,)
    if repair:
        connection.execute(repair.encode())
    intake.tick()
    assert len(stored.errors()) == 5
    assert stored.one("select recovered from meshhook_errors.meshhook_connection") == 5


def test_forbidden_is_a_miss_too(database_url: str, connection: Connection, role: Callable[[], str]) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    with connect(role(), "owner") as owner:
        migrate(owner)
        create_tables(owner)
        connect_meshhook(owner)
        worker = Worker(owner)
        run_id = worker.run()
        owner.execute(f'revoke insert on meshhook_errors.meshhook_inbox from "{owner.info.user}"'.encode())
        worker.exhaust(run_id)
        assert misses(owner) == 5
        disconnect(owner)


def test_our_whole_schema_may_be_dropped(worker: Worker, connection: Connection) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    run_id = worker.run()
    worker.exhaust(run_id)
    worker.status(run_id, "failed")


def test_a_full_inbox_is_a_miss_and_nothing_is_lost(
    meshhook: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    connect_meshhook(connection, most_inbox_bytes=8192)
    run_id = meshhook.run()
    for number in range(60):
        meshhook.fail(run_id, 1, f"Error: {number} {'x' * 900}")
    assert 40 < misses(connection) < 60
    for _ in range(3):
        intake.tick()
    assert len(stored.errors()) == 60
    assert stored.one("select recovered from meshhook_errors.meshhook_connection") == misses(connection)


def test_a_locked_inbox_holds_nobody_up(
    worker: Worker, database_url: str, connection: Connection, intake: Intake, stored: Stored
) -> None:
    run_id = worker.run()
    worker.fail(run_id, 1)
    with psycopg.connect(database_url) as locker:
        locker.execute("lock table meshhook_errors.meshhook_inbox in access exclusive mode")
        began = time.monotonic()
        worker.fail(run_id, 2)
        assert time.monotonic() - began < AT_ONCE_SECONDS
    assert misses(connection) == 1
    intake.tick()
    assert len(stored.errors()) == 2


def test_a_miss_of_a_runs_end_is_found_again(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    failed, canceled = worker.run(), worker.run()
    worker.exhaust(failed)
    worker.created(canceled)
    connection.execute("alter table meshhook_inbox rename to gone")
    worker.status(failed, "failed")
    worker.status(canceled, "canceled")
    connection.execute("alter table gone rename to meshhook_inbox")
    connection.execute("update meshhook_connection set failed_after_seconds = 0.001, stuck_after_seconds = 0.001")
    intake.tick()
    QuietRuns(connection, intake).settle_failed()
    QuietRuns(connection, intake).look_after_idle()
    assert stored.trials() == (3, 2)
    assert stored.one("select recovered from meshhook_errors.meshhook_connection") == misses(connection) == 2


def test_connecting_again_says_what_was_missed_and_counts_anew(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    connection.execute("alter table meshhook_inbox rename to gone")
    worker.exhaust(worker.run())
    connection.execute("alter table gone rename to meshhook_inbox")
    intake.tick()
    said: list[str] = []
    connect_meshhook(connection, say=said.append)
    assert said == ["5 failures were missed by the triggers so far, 5 of them found: the count begins anew."]
    assert stored.one("select recovered from meshhook_errors.meshhook_connection") == misses(connection) == 0


def test_connecting_to_a_busy_database_gives_way_and_gets_through(
    meshhook: Worker, database_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshhook_connection, "_PAUSE_SECONDS", 0.1)
    said: list[str] = []
    longest = 0.0
    with psycopg.connect(database_url) as busy:
        other = Worker.__new__(Worker)
        other.connection, other.project_id, other.workflow_id = busy, meshhook.project_id, meshhook.workflow_id
        other.start(meshhook.run())
        connecting = threading.Thread(target=lambda: connect_meshhook(connection, say=said.append))
        connecting.start()
        until = time.monotonic() + 3
        run_id = meshhook.run()
        while time.monotonic() < until:
            began = time.monotonic()
            meshhook.start(run_id)
            longest = max(longest, time.monotonic() - began)
        assert connecting.is_alive()
        busy.commit()
        connecting.join()
    assert installed(connection).is_whole
    assert longest < 1.4
    assert "busy" in said[0]


def test_a_database_that_is_never_quiet_is_named_with_what_holds_it(
    meshhook: Worker, database_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshhook_connection, "_LOCK_TRIES", 1)
    before = footprint(connection)
    with psycopg.connect(database_url, application_name="the nightly import") as busy:
        busy.execute("lock table public.workflow_events in row exclusive mode")
        with pytest.raises(CannotConnect, match="the nightly import"):
            connect_meshhook(connection)
    connect_meshhook(connection)
    disconnect(connection)
    assert footprint(connection) == before


def test_limits_that_are_chosen_are_kept(worker: Worker, connection: Connection, intake: Intake) -> None:
    connect_meshhook(connection, Limits(stuck_after_seconds=30, max_attempts=3))
    connect_meshhook(connection, Limits(stuck_factor=2))
    with connection.transaction():
        position = intake.position()
    assert position is not None
    assert (position.stuck_after_seconds, position.max_attempts, position.stuck_factor) == (30, 3, 2)


def test_what_happens_while_disconnected_isnt_taken_in_by_reconnecting(
    worker: Worker, connection: Connection, intake: Intake, stored: Stored
) -> None:
    worker.whole_run()
    disconnect(connection, finish=lambda newest: _finish(intake, newest))
    assert stored.trials() == (2, 0)
    worker.whole_run()
    connect_meshhook(connection)
    worker.whole_run()
    intake.tick()
    assert stored.trials() == (4, 0)


def _finish(intake: Intake, newest: int) -> None:
    while (taken := intake.tick(newest)) is not None and not taken.is_at_end:
        pass
