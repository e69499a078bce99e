"""The command line: one clear sentence when something is wrong, no traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics.accounts import check_password, list_users
from ingest.database import Connection, connect, migrations
from jobs.installation import Installation
from tests.end_to_end.running import ROOT, until
from tests.ports import free_port


def command(*arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MESHHOOK") and name != "DATABASE_URL"
    }
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=ROOT,
        env=inherited | environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What stands on standard error: one line, and no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_bad_setting_stops_the_start(tmp_path: Path) -> None:
    assert "MESHHOOK_ERRORS_API_PORT" in said(command("up", MESHHOOK_ERRORS_API_PORT="many"))
    assert "only a local directory" in said(command("up", LAKE_URL="s3://bucket/lake"))
    for name, value, says in (
        ("MESHHOOK_ERRORS_SECRET_KEY", "short", "32 url-safe base64 bytes. Make one with: python3"),
        ("MESHHOOK_ERRORS_PUBLIC_API_URL", "errors.example.com", "must begin with https:// or http://"),
        ("MESHHOOK_ERRORS_PUBLIC_APP_URL", "foo", "must begin with https:// or http://"),
    ):
        assert f"{name}: it " in (answer := said(command("up", **{name: value})))
        assert says in answer


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:s3cret@h/x", "only Postgres is supported"),
        ("postgresql://u:s3cret%zz@h/x", "%25"),
        ("postgresql://u:s3cret@x@h/x", "%40"),
        ("postgresql://u:s3cret/x@h/x", "%2F"),
        ("postgresql://u:s3cret%00@h/x", "can't be understood"),
        ("u:s3cret@h/x", "postgresql://USER:PASSWORD@HOST:5432/DATABASE"),
    ],
)
def test_an_address_of_no_postgres_is_refused_and_its_password_not_repeated(url: str, says: str) -> None:
    answer = said(command("migrate", DATABASE_URL=url))
    assert "DATABASE_URL" in answer
    assert says in answer
    assert "s3cret" not in answer


def test_an_empty_setting_is_like_none(tmp_path: Path) -> None:
    empty = dict.fromkeys(("MESHHOOK_ERRORS_POSTGRES_DAYS", "MESHHOOK_ERRORS_API_PORT", "LAKE_URL"), "")
    answer = said(command("verify", MESHHOOK_ERRORS_DATA_DIR=str(tmp_path), **empty))
    assert "No database is known" in answer


def test_a_misspelt_setting_is_warned_of(database_url: str) -> None:
    done = command("migrate", DATABASE_URL=database_url, MESHHOOK_ERRORS_MIRRO_MAX_LAG="5")
    assert done.returncode == 0
    assert "MESHHOOK_ERRORS_MIRRO_MAX_LAG sets nothing: is MESHHOOK_ERRORS_MIRROR_MAX_LAG meant?" in done.stderr


def test_an_address_that_is_not_of_this_machine_is_named(tmp_path: Path) -> None:
    answer = said(command("up", "--data-dir", str(tmp_path / "d"), MESHHOOK_ERRORS_API_HOST="nonsense.invalid"))
    assert "Set MESHHOOK_ERRORS_API_HOST" in answer
    assert "--api-port" not in answer


def test_a_lake_that_cannot_be_written_to_stops_the_jobs(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = said(command("jobs", DATABASE_URL=database_url, LAKE_URL=str(tmp_path / "file" / "lake")))
    assert "set LAKE_URL to another directory" in answer
    missing = command("doctor", DATABASE_URL=database_url, LAKE_URL=str(tmp_path / "not" / "made" / "yet"))
    assert "✓ Lake" in missing.stdout


def test_a_mistake_in_the_arguments_names_the_command() -> None:
    assert "Usage: meshhook-errors keys create" in command("keys", "create").stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = said(command("up", "--data-dir", str(tmp_path / "d"), "--api-port", str(port)))
    assert f"Port {port} on 127.0.0.1" in answer
    assert "--api-port" in answer


def test_a_step_that_fails_is_not_ticked_and_the_telling_line_is_shown(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    free = ("--api-port", str(free_port()), "--app-port", str(free_port()))
    done = command("up", "--data-dir", str(tmp_path / "d"), *free, DATABASE_URL=url)
    assert "✗ Preparing the database" in done.stdout
    assert "✓" not in done.stdout
    assert 'server at "127.0.0.1", port ' in said(done)


def test_a_request_to_stop_ends_up_after_the_step_it_is_at(tmp_path: Path) -> None:
    free = ["--api-port", str(free_port()), "--app-port", str(free_port())]
    arguments = [sys.executable, "-u", "-m", "jobs.cli", "up", "--data-dir", str(tmp_path / "d"), *free]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        until((tmp_path / "d" / "postgres").exists)
        up.send_signal(signal.SIGINT)
        output, errors = up.communicate(timeout=60)
    assert (up.returncode, errors) == (0, "")
    assert "✓" not in output
    assert "Stopped." in output


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.3])
def test_ctrl_c_while_it_loads_leaves_no_traceback(tmp_path: Path, delay: float) -> None:
    arguments = [sys.executable, "-m", "jobs.cli", "doctor"]
    environment = os.environ | {"MESHHOOK_ERRORS_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as loading:
        time.sleep(0.03 + delay)  # Python itself has started
        loading.send_signal(signal.SIGINT)
        errors = loading.communicate(timeout=60)[1]
    assert "typer" not in errors
    assert "pydantic" not in errors


def test_a_directory_that_is_in_use_is_named(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.lock()
    (tmp_path / "connection.json").write_text(json.dumps({"app_url": "http://127.0.0.1:1"}))
    assert "runs already" in said(command("up", "--data-dir", str(tmp_path)))


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    port = url.rpartition(":")[2].partition("/")[0]
    answer = said(command("migrate", DATABASE_URL=url))
    assert (
        f'Can\'t reach Postgres: connection to server at "127.0.0.1", port {port} failed: Connection refused.' in answer
    )
    assert "Is the server running" not in answer
    assert "No database is known" in said(command("verify", MESHHOOK_ERRORS_DATA_DIR=str(tmp_path)))


def test_migrate_brings_an_empty_database_up_to_date(connection: Connection, database_url: str) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    everything = ", ".join(str(version) for version, _, _ in migrations())
    assert command("migrate", DATABASE_URL=database_url).stdout == f"Applied: {everything}.\n"
    assert command("migrate", DATABASE_URL=database_url).stdout == "The database is up to date.\n"


def test_keys_are_made_listed_and_revoked(database_url: str) -> None:
    key = command("keys", "create", "worker", DATABASE_URL=database_url).stdout.strip()
    assert key.startswith("mh_ingest_")
    listed = command("keys", "list", DATABASE_URL=database_url).stdout
    assert key not in listed
    assert "worker" in listed
    assert "Revoked" in command("keys", "revoke", key[:14], DATABASE_URL=database_url).stdout
    assert "role is ingest, read, admin" in said(
        command("keys", "create", "x", "--role", "boss", DATABASE_URL=database_url)
    )


def test_users_are_made_listed_given_a_password_and_removed(connection: Connection, database_url: str) -> None:
    def users(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return command("users", *arguments, typed=typed, DATABASE_URL=database_url)

    assert "Nobody can sign in" in users("list").stdout
    assert "✗ Users        nobody can sign in: run" in command("doctor", DATABASE_URL=database_url).stdout
    assert users("create", "ann", typed="correct horse\n").stdout == "«ann» may sign in.\n"
    assert check_password(connection, "ann", "correct horse") is not None
    assert "There is a user 'ann' already" in said(users("create", "ann", typed="another horse\n"))
    assert check_password(connection, "ann", "correct horse") is not None
    generated = users("password", "ann", "--generate").stdout.strip()
    assert check_password(connection, "ann", generated) is not None
    assert users("list").stdout.startswith("ann  made ")
    assert "✓ Users        1 may sign in" in command("doctor", DATABASE_URL=database_url).stdout
    users("remove", "ann")
    assert list_users(connection) == []


def test_users_that_make_no_sense_are_explained(database_url: str) -> None:
    def refused(*arguments: str, typed: str = "") -> str:
        return said(command("users", *arguments, typed=typed, DATABASE_URL=database_url))

    assert "at least 10 characters" in refused("create", "ann", typed="short\n")
    assert "No password came" in refused("create", "ann")
    assert "U+000A" in refused("create", "ann\nbob", typed="correct horse\n")
    assert "1 to 100 characters" in refused("create", "", typed="correct horse\n")
    assert "There is no user 'bob'" in refused("password", "bob", "--generate")
    assert "There is no user 'bob'" in refused("remove", "bob")


def test_verify_tells_a_difference_by_its_exit_code(database_url: str, tmp_path: Path) -> None:
    lake = tmp_path / "lake" / "errors" / "day=2026-11-24"
    assert command("verify", DATABASE_URL=database_url, LAKE_URL=str(tmp_path / "lake")).returncode == 0
    lake.mkdir(parents=True)
    (lake / "foreign.parquet").write_bytes(b"")
    done = command("verify", DATABASE_URL=database_url, LAKE_URL=str(tmp_path / "lake"))
    assert (done.returncode, "no part of ours" in done.stdout) == (1, True)


def test_the_doctor_names_what_is_missing(database_url: str, tmp_path: Path) -> None:
    done = command("doctor", DATABASE_URL=database_url, LAKE_URL=str(tmp_path))
    assert done.returncode == 1
    assert "✗ api          never seen" in done.stdout
    assert "✓ Schema" in done.stdout
    with connect(database_url, "test") as connection:
        connection.execute("delete from schema_migrations")
    assert (
        "run `meshhook-errors migrate`" in command("doctor", DATABASE_URL=database_url, LAKE_URL=str(tmp_path)).stdout
    )


def test_a_port_that_is_none_or_used_twice_is_refused(tmp_path: Path) -> None:
    none = command("up", "--data-dir", str(tmp_path), "--api-port", "70000")
    assert none.returncode == 2
    assert "Traceback" not in none.stderr
    twice = ("--api-port", "9000", "--app-port", "9000")
    assert "can't share port 9000" in said(command("up", "--data-dir", str(tmp_path), *twice))


def test_a_database_that_was_never_prepared_is_said(connection: Connection, database_url: str) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    for arguments in (["keys", "list"], ["keys", "create", "worker"], ["verify"]):
        assert "run `meshhook-errors migrate`" in said(command(*arguments, DATABASE_URL=database_url))


def test_the_jobs_wait_for_a_database_to_be_prepared(connection: Connection, database_url: str, tmp_path: Path) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    environment = os.environ | {"DATABASE_URL": database_url, "LAKE_URL": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    arguments = [sys.executable, "-m", "jobs.cli", "jobs"]
    with subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as jobs:
        assert jobs.stdout is not None
        assert "run `meshhook-errors migrate`" in jobs.stdout.readline()
        assert command("migrate", DATABASE_URL=database_url).returncode == 0
        said = next(line for line in jobs.stdout if "the work waits" not in line)  # it looks every second
        assert "leading" in said
        jobs.terminate()


def test_a_running_installation_is_found_by_its_directory(database_url: str, tmp_path: Path) -> None:
    known = {
        "database_url": database_url,
        "lake_url": str(tmp_path / "lake"),
        "api_url": "http://a",
        "app_url": "http://b",
    }
    (tmp_path / "connection.json").write_text(json.dumps(known))
    Installation(tmp_path).secrets()
    done = command("doctor", MESHHOOK_ERRORS_DATA_DIR=str(tmp_path))
    assert "✓ Schema" in done.stdout
    assert f"parts in {tmp_path / 'lake'}" in done.stdout
    assert "✓ Secret key" in done.stdout
    (tmp_path / "secrets.json").write_text("[]")
    assert "No database is known" in said(command("doctor", MESHHOOK_ERRORS_DATA_DIR=str(tmp_path)))


def test_the_help_needs_nothing_heavy() -> None:
    code = "import sys, jobs.cli; print({'psycopg', 'polars', 'duckdb', 'fastapi', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
