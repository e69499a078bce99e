"""A whole installation, started as a user starts it: `up` on a directory of its own and free ports."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
Answer = TypeVar("Answer")


class Running:
    """`info` is what stands in connection.json."""

    def __init__(self, process: subprocess.Popen[str], directory: Path, output: Path) -> None:
        self.process = process
        self.directory = directory
        self.output = output
        self.info: dict[str, str] = json.loads((directory / "connection.json").read_text())

    @property
    def password(self) -> str:
        password: str = json.loads((self.directory / "secrets.json").read_text())["admin_password"]
        return password

    def request(self, method: str, path: str, body: Any = None, key: str = "admin_key") -> Any:
        headers = {"Authorization": f"Bearer {self.info[key]}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.info["api_url"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        return json.loads(text) if text else None

    def pids(self, role: str) -> list[int]:
        """The processes of a role that this installation started."""
        listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        rows = (line.split(None, 2) for line in listed.splitlines()[1:])
        return [int(row[0]) for row in rows if row[1] == str(self.process.pid) and row[2].endswith(f"jobs.cli {role}")]

    def kill(self, *roles: str) -> None:
        for role in roles:
            for pid in self.pids(role):
                os.kill(pid, signal.SIGKILL)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line beside it, as somebody on this machine would."""
        environment = {**os.environ, "MESHHOOK_ERRORS_DATA_DIR": str(self.directory)}
        return subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextmanager
def running(directory: Path, ports: tuple[int, int] | None = None, **settings: str) -> Iterator[Running]:
    """Start it, wait until its summary is printed, and stop it as Ctrl-C does."""
    api_port, app_port = ports or (free_port(), free_port())
    output = directory.with_suffix(".out")
    environment = {**os.environ, **settings}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "jobs.cli", "up", "--data-dir", str(directory)]
    command += ["--api-port", str(api_port), "--app-port", str(app_port)]
    with output.open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, text=True)
    try:
        until(lambda: process.poll() is not None or "Ctrl-C stops everything" in output.read_text(), 90)
        assert process.poll() is None, output.read_text()
        yield Running(process, directory, output)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def until(question: Callable[[], Answer], seconds: float = 20) -> Answer:
    """Ask until the answer is truthy; connection failures count as «not yet»."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := question():
                return answer
        except (urllib.error.URLError, OSError, ValueError):
            pass
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.1)


def read_files(statement: str) -> list[tuple[Any, ...]]:
    """What plain DuckDB answers of a lake's files. Where a day is exchanged just now it asks again, as readers are
    told."""
    deadline = time.monotonic() + 5
    with duckdb.connect() as plain:
        while True:
            try:
                return plain.sql(statement).fetchall()
            except duckdb.Error:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)
