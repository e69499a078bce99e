"""`up`: everything on one machine, from nothing to a dashboard that answers."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from analytics.accounts import create_user
from ingest.database import connect, migrate
from ingest.keys import create_key
from ingest.settings import PREFIX, Settings
from jobs.installation import ADMIN, ConnectionInfo, Installation, Secrets, check_port
from jobs.postgres import EmbeddedPostgres
from jobs.supervisor import Role, Supervisor, answers

_STARTED = "select 1 from components where component = 'jobs' and seen_at >= to_timestamp(%s)"


class Up:
    """One run of `up`. `run` returns after Ctrl-C or SIGTERM, with everything stopped."""

    def __init__(self, options: Settings, console: Console) -> None:
        self._options = options
        self._console = console
        self._installation = Installation(options.data_dir)
        self._stop = threading.Event()
        self._postgres: EmbeddedPostgres | None = None
        self._database_url = options.database_url.get_secret_value()

    def run(self) -> None:
        """Raises StartFailed, StoreUnavailable or MigrationFailed with a sentence for the person at the terminal."""
        options, installation = self._options, self._installation
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop.set())
        installation.lock()
        check_port(options.api_port, "--api-port")
        check_port(options.app_port, "--app-port")
        installation.check_space()
        secrets, is_new = installation.secrets()
        supervisor: Supervisor | None = None
        try:
            self._start_postgres()
            self._prepare(secrets)
            info = self._connection_info(secrets)
            installation.write_connection(info)
            supervisor = Supervisor(self._roles(), self._environment(secrets), installation.logs, self._say)
            with self._progress("Starting API, jobs and dashboard"):
                supervisor.start(self._stop)
            if not self._stop.is_set():
                self._summarise(info, secrets, is_new=is_new)
                supervisor.watch(self._stop, self._look_after_postgres)
        finally:
            self._say("Stopping …")
            if supervisor is not None:
                supervisor.stop()
            if self._postgres is not None:
                self._postgres.stop()
        self._say("Stopped. Your data stays in " + str(installation.directory))

    def _start_postgres(self) -> None:
        if self._database_url:
            return
        self._postgres = EmbeddedPostgres(self._installation.directory / "postgres")
        with self._progress("Starting PostgreSQL"):
            self._database_url = self._postgres.start()

    def _prepare(self, secrets: Secrets) -> None:
        with self._progress("Preparing the database"), connect(self._database_url, "up") as connection:
            migrate(connection)
            create_key(connection, "made by up", "ingest", secrets.ingest_key)
            create_key(connection, "made by up", "admin", secrets.admin_key)
            create_user(connection, ADMIN, secrets.admin_password)

    def _look_after_postgres(self) -> None:
        if self._postgres is not None and not self._postgres.is_running():
            self._say("PostgreSQL died; it starts again.")
            self._postgres.start()

    def _roles(self) -> list[Role]:
        command = [sys.executable, "-m", "jobs.cli"]
        local = f"http://127.0.0.1:{self._options.api_port}"
        app = f"http://127.0.0.1:{self._options.app_port}"
        began = time.time()
        return [
            Role("api", [*command, "api"], lambda: answers(f"{local}/readyz")),
            Role("jobs", [*command, "jobs"], lambda: self._jobs_are_alive(began)),
            Role("dashboard", [*command, "app"], lambda: answers(f"{app}/_stcore/health")),
        ]

    def _jobs_are_alive(self, since: float) -> bool:
        with connect(self._database_url, "up") as connection:
            return connection.execute(_STARTED, (since,)).fetchone() is not None

    def _environment(self, secrets: Secrets) -> dict[str, str]:
        options = self._options
        return {
            "DATABASE_URL": self._database_url,
            "LAKE_URL": str(self._lake_dir),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])),
            f"{PREFIX}DATA_DIR": str(self._installation.directory),
            f"{PREFIX}API_PORT": str(options.api_port),
            f"{PREFIX}APP_PORT": str(options.app_port),
            f"{PREFIX}SECRET_KEY": options.secret_key.get_secret_value() or secrets.secret_key,
        }

    @property
    def _lake_dir(self) -> Path:
        return self._options.lake_dir.resolve()

    def _connection_info(self, secrets: Secrets) -> ConnectionInfo:
        api = self._options.api_url
        scheme, _, rest = api.partition("://")
        return ConnectionInfo(
            api_url=api,
            app_url=self._options.app_url,
            database_url=self._database_url,
            lake_url=str(self._lake_dir),
            dsn=f"{scheme}://{secrets.ingest_key}@{rest}/1",
            ingest_key=secrets.ingest_key,
            admin_key=secrets.admin_key,
        )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def _progress(self, text: str) -> Iterator[None]:
        began = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(f"{text} …"):
                yield
        else:
            yield
        self._console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - began:.1f} s)[/]", highlight=False)

    def _summarise(self, info: ConnectionInfo, secrets: Secrets, *, is_new: bool) -> None:
        where = self._installation.directory / "secrets.json"
        password = secrets.admin_password if is_new else f"[dim]in {where}[/]"
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column(no_wrap=True, overflow="ignore")
        table.add_row("Dashboard", f"[bold]{info.app_url}[/]")
        table.add_row("Sign in", f"[bold]{ADMIN}[/]  {password}")
        table.add_row("API", f"{info.api_url}  [dim]documentation at /docs[/]")
        table.add_row("DSN", info.dsn)
        if is_new:
            table.add_row("", f"[dim]The password is shown this once, and kept in {where}[/]")
        self._console.print("\n[bold green]MeshHook Errors is running[/]\n")
        self._console.print(table, soft_wrap=True)
        body = json.dumps({"message": "hello from curl", "source": "worker"})
        curl = f"curl {info.api_url}/api/error-events -H 'Authorization: Bearer {info.ingest_key}' -d '{body}'"
        snippet = f'from ingest import client\nclient.init("{info.dsn}")\nclient.capture_message("hello from Python")'
        self._say("\nSend a first error from the shell, or from Python:\n")
        # Lines to copy are printed whole: a wrapped one doesn't run.
        for text, language in ((curl, "bash"), (snippet, "python")):
            if self._console.is_terminal and max(map(len, text.splitlines())) < self._console.width:
                self._console.print(Syntax(text, language, background_color="default"))
            else:
                self._console.print(text, highlight=False, markup=False, soft_wrap=True)
            self._say("")
        self._say("[dim]Ctrl-C stops everything.[/]")
