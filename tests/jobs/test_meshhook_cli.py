"""`connect-meshhook` and `disconnect-meshhook` as somebody types them."""

from ingest.database import Connection, connect
from ingest.doors.meshhook.connection import installed
from ingest.doors.meshhook.intake import Intake
from jobs.demo.tables import create_tables
from tests.jobs.test_cli import command, said
from tests.meshhook import Stored, Worker


def test_connecting_backfilling_and_disconnecting(connection: Connection, database_url: str) -> None:
    here = {"DATABASE_URL": database_url}
    with connect(database_url, "worker") as tables:
        create_tables(tables)
        worker = Worker(tables)
        worker.whole_run()
        dry = command("connect-meshhook", "--dry-run", **here)
        assert "create or replace trigger meshhook_errors_capture" in dry.stdout
        assert installed(connection).version is None

        done = command("connect-meshhook", "--backfill", "30d", "--stuck-after", "5m", **here)
        assert done.returncode == 0, done.stderr
        assert "Connected: workflow_runs, job_tracking, workflow_events" in done.stdout
        assert "Backfilled 4 events." in done.stdout
        assert Stored(connection).trials() == (2, 0)
        assert Stored(connection).one("select stuck_after_seconds from meshhook_connection") == 300
        again = command("connect-meshhook", "--backfill", "30d", **here)
        assert "Nothing to backfill" in again.stdout
        assert "nothing to do" in command("connect-meshhook", "--dry-run", **here).stdout

        worker.exhaust(worker.run())
        assert "nothing of ours is left" in command("disconnect-meshhook", **here).stdout
        assert len(Stored(connection).errors()) == 5
        assert installed(connection).version is None
        assert command("disconnect-meshhook", **here).stdout == "Nothing was connected.\n"


def test_what_cant_be_done_is_said_in_a_sentence(database_url: str) -> None:
    assert "none of MeshHook's tables" in said(command("connect-meshhook", DATABASE_URL=database_url))
    assert "30d" in said(command("connect-meshhook", "--backfill", "a month", DATABASE_URL=database_url))
    assert "--stuck-after" in said(command("connect-meshhook", "--stuck-after", "0m", DATABASE_URL=database_url))
    for option, value in (("--backfill", "999999d"), ("--failed-after", "99999d")):
        assert "ten years" in said(command("connect-meshhook", option, value, DATABASE_URL=database_url))


def test_a_database_without_our_tables_is_to_be_migrated(connection: Connection, database_url: str) -> None:
    with connect(database_url, "worker") as tables:
        create_tables(tables)
    connection.execute("drop schema meshhook_errors cascade")
    for name in ("connect-meshhook", "disconnect-meshhook"):
        assert "meshhook-errors migrate" in said(command(name, DATABASE_URL=database_url))


def test_doctor_says_what_is_installed_and_what_is_wrong(connection: Connection, database_url: str) -> None:
    def finding() -> str:
        lines = command("doctor", DATABASE_URL=database_url).stdout.splitlines()
        return next(line for line in lines if "MeshHook" in line)

    assert finding() == "✓ MeshHook     not connected"
    with connect(database_url, "worker") as tables:
        create_tables(tables)
        command("connect-meshhook", DATABASE_URL=database_url)
        intake = Intake(connection)
        intake.tick()
        assert "✓" in finding()
        assert "workflow_runs, job_tracking, workflow_events (version 1), 0 waiting" in finding()

        tables.execute("alter table public.workflow_runs disable trigger meshhook_errors_capture")
        assert "✗ MeshHook     the triggers on workflow_runs are missing or switched off" in finding()
        command("connect-meshhook", DATABASE_URL=database_url)
        connection.execute("select nextval('meshhook_misses')")
        Intake(connection).tick()
        assert "1 failures were missed by the triggers, 0 of them found" in finding()
        command("connect-meshhook", DATABASE_URL=database_url)
        connection.execute(
            "update meshhook_connection set read_at = now() - interval '1h', connected_at = now() - interval '1d'"
        )
        assert "its event log isn't read" in finding()
        tables.execute("drop table public.workflow_events, public.workflow_runs, public.job_tracking cascade")
        assert "tables are gone" in finding()
