"""`up`: everything on one machine, from nothing to a dashboard that answers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from ingest.keys import dsn_of
from ingest.settings import PREFIX, Settings, local_address
from jobs.exceptions import StartFailed
from jobs.installation import ADMIN, ConnectionInfo, Installation, Secrets, check_port
from jobs.postgres import EmbeddedPostgres
from jobs.supervisor import Role, Supervisor, answers

_PREPARATION = [sys.executable, "-m", "jobs.preparation"]


class Up:
    """One run of `up`. `run` returns after Ctrl-C or SIGTERM, with everything stopped."""

    def __init__(self, options: Settings, console: Console) -> None:
        self._options = options
        self._console = console
        self._installation = Installation(options.data_dir)
        self._stop = threading.Event()
        self._postgres: EmbeddedPostgres | None = None
        self._supervisor: Supervisor | None = None
        self._database_url = options.database_url.get_secret_value()

    def run(self) -> None:
        """Raises StartFailed with a sentence for the person at the terminal."""
        options, installation = self._options, self._installation
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop.set())
        installation.lock()
        check_port(options.api_port, "--api-port", options.api_host)
        check_port(options.app_port, "--app-port", options.app_host)
        installation.check_space()
        secrets, is_new = installation.secrets()
        try:
            self._work(secrets, is_new=is_new)
        finally:
            self._say("Stopping …")
            if self._supervisor is not None:
                self._supervisor.stop()
            if self._postgres is not None:
                self._postgres.stop()
        self._say("Stopped. Your data stays in " + str(installation.directory))

    def _work(self, secrets: Secrets, *, is_new: bool) -> None:
        """Step by step, as long as nobody asks to stop."""
        self._start_postgres()
        if self._stop.is_set():
            return
        self._prepare(secrets)
        if self._stop.is_set():
            return
        info = self._connection_info(secrets)
        self._installation.write_connection(info)
        roles, logs = self._roles(secrets), self._installation.logs
        self._supervisor = supervisor = Supervisor(roles, self._environment(secrets), logs, self._say)
        with self._progress("Starting API, jobs and dashboard"):
            supervisor.start(self._stop)
        if not self._stop.is_set():
            self._summarise(info, secrets, is_new=is_new)
            supervisor.watch(self._stop, self._look_after_postgres)

    def _start_postgres(self) -> None:
        if self._database_url:
            return
        self._postgres = EmbeddedPostgres(self._installation.directory / "postgres")
        with self._progress("Starting PostgreSQL"):
            self._database_url = self._postgres.start()

    def _prepare(self, secrets: Secrets) -> None:
        with self._progress("Preparing the database"):
            done = self._ask_preparation(["prepare"], secrets)
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or [f"It ended with code {done.returncode}."]
                # A sentence begins with what is telling, a traceback ends with it.
                raise StartFailed(lines[-1] if lines[0].startswith("Traceback") else lines[0])

    def _ask_preparation(self, arguments: Sequence[str], secrets: Secrets) -> "subprocess.CompletedProcess[str]":
        """In a session of its own, so that a Ctrl-C at the terminal doesn't interrupt a migration."""
        return subprocess.run(  # noqa: S603 - our own program
            [*_PREPARATION, *arguments],
            env={**os.environ, **self._environment(secrets)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )

    def _look_after_postgres(self) -> None:
        if self._postgres is not None:
            self._postgres.look_after(self._say)

    def _roles(self, secrets: Secrets) -> list[Role]:
        command = [sys.executable, "-m", "jobs.cli"]
        options = self._options
        api = local_address(options.api_host, options.api_port)
        app = local_address(options.app_host, options.app_port)
        began = time.time()
        return [
            Role("api", [*command, "api"], lambda: answers(f"{api}/readyz")),
            Role("dashboard", [*command, "app"], lambda: answers(f"{app}/_stcore/health")),
            Role("jobs", [*command, "jobs"], lambda: self._jobs_live(began, secrets)),
        ]

    def _jobs_live(self, since: float, secrets: Secrets) -> bool:
        return self._ask_preparation(["jobs-since", str(since)], secrets).returncode == 0

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
        return ConnectionInfo(
            api_url=api,
            app_url=self._options.app_url,
            database_url=self._database_url,
            lake_url=str(self._lake_dir),
            dsn=dsn_of(api, secrets.ingest_key),
            ingest_key=secrets.ingest_key,
            admin_key=secrets.admin_key,
        )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def _progress(self, text: str) -> Iterator[None]:
        began = time.monotonic()
        waiting = self._console.status(f"{text} …") if self._console.is_terminal else contextlib.nullcontext()
        try:
            with waiting:
                yield
        except BaseException:
            self._console.print(f"[red]✗[/] {text}", highlight=False)
            raise
        if not self._stop.is_set():
            self._console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - began:.1f} s)[/]", highlight=False)

    def _summarise(self, info: ConnectionInfo, secrets: Secrets, *, is_new: bool) -> None:
        where = self._installation.directory / "secrets.json"
        password = secrets.admin_password if is_new else f"[dim]in {where}[/]"
        self._say("\n[bold green]MeshHook Errors is running[/]\n")
        lines = [
            ("Dashboard", f"[bold]{info.app_url}[/]"),
            ("Sign in", f"[bold]{ADMIN}[/]  {password}"),
            ("API", f"{info.api_url}  [dim]documentation at /docs[/]"),
            ("DSN", info.dsn),
        ]
        if is_new:
            lines.append(("", f"[dim]The password is shown this once, and kept in {where}[/]"))
        for label, text in lines:
            self._say(f"[dim]{label:<11}[/]{text}")
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
