"""The command line: one clear sentence when something is wrong, no traceback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from ingest.database import Connection, connect, migrations
from jobs.installation import Installation
from tests.end_to_end.running import ROOT
from tests.ports import free_port


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MESHHOOK") and name != "DATABASE_URL"
    }
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=ROOT,
        env=inherited | environment,
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


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = said(command("up", "--data-dir", str(tmp_path / "d"), "--api-port", str(port)))
    assert f"Port {port} on 127.0.0.1" in answer
    assert "--api-port" in answer


def test_a_directory_that_is_in_use_is_named(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.lock()
    (tmp_path / "connection.json").write_text(json.dumps({"app_url": "http://127.0.0.1:1"}))
    assert "runs already" in said(command("up", "--data-dir", str(tmp_path)))


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    assert "Can't reach Postgres" in said(command("migrate", DATABASE_URL=url))
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
