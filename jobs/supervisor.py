"""Keeps the roles running as child processes: starts them, waits until each answers, restarts what dies, stops all."""

import contextlib
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from jobs.back_off import BackOff
from jobs.exceptions import StartFailed

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LARGEST_LOG = 20 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec a child should do next to nothing.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
# What we ask is on this machine: not for a proxy that the environment names.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Say = Callable[[str], None]


@dataclass(slots=True)
class Role:
    """One child process. `is_ready` asks whether it answers."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    process: "subprocess.Popen[bytes] | None" = None
    back_off: BackOff = field(default_factory=BackOff)
    log: IO[bytes] | None = field(default=None, repr=False)
    log_began: int = 0


class Supervisor:
    """Runs roles. `say` tells the person at the terminal."""

    def __init__(self, roles: Sequence[Role], environment: Mapping[str, str], logs: Path, say: Say) -> None:
        self._roles = roles
        self._environment = {**os.environ, **environment}
        self._logs = logs
        self._say = say

    def start(self, stop: threading.Event) -> None:
        """Start all roles and wait until each answers. Raises StartFailed with a role's last words."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._logs.chmod(0o700)  # a log may name what a request held
        for role in self._roles:
            self._launch(role)
        deadline = time.monotonic() + _READY_SECONDS
        for role in self._roles:
            while not stop.is_set() and not role.is_ready():
                if role.process is not None and role.process.poll() is not None:
                    raise StartFailed(f"The {role.name} didn't start: {self._last_words(role)}")
                if time.monotonic() > deadline:
                    raise StartFailed(f"The {role.name} doesn't answer. Its log: {self._log_path(role)}")
                stop.wait(0.1)

    def watch(self, stop: threading.Event, also: Callable[[], None] = lambda: None) -> None:
        """Restart what dies until `stop` is set; `also` is called once in a while."""
        while not stop.wait(0.5):
            also()
            for role in self._roles:
                self._look_after(role)

    def _look_after(self, role: Role) -> None:
        now = time.monotonic()
        if role.back_off.is_waiting(now):
            return
        if role.back_off.is_due(now):
            self._launch(role)
            self._say(f"The {role.name} was started again.")
        elif role.process is not None and role.process.poll() is not None:
            _end_group(role.process)
            ending = _ending(role.process.returncode)
            self._say(f"The {role.name} died ({ending}); it starts again in {role.back_off.died(now):.0f} s.")

    def _launch(self, role: Role) -> None:
        path = self._log_path(role)
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        if role.log is not None:
            role.log.close()
        role.log = path.open("ab")
        role.log_began = path.stat().st_size
        role.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            role.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=role.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509 - it takes no lock: see _PRCTL
        )
        role.back_off.began(time.monotonic())

    def stop(self) -> None:
        """Ask all to stop, then make them."""
        running = [role.process for role in self._roles if role.process is not None and role.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _end_group(process)
            process.wait()
        for role in self._roles:
            if role.log is not None:
                role.log.close()

    def _log_path(self, role: Role) -> Path:
        return self._logs / f"{role.name}.log"

    def _last_words(self, role: Role) -> str:
        with self._log_path(role).open("rb") as file:
            file.seek(role.log_began)
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended without a word; see {self._log_path(role)}"


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """What is left of a role, and what it started itself, ends with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _dies_with(supervisor: int) -> Callable[[], None] | None:
    """What a child does first: a supervisor that is killed takes its children along, so that the next one finds the
    ports free. Linux alone knows how."""
    prctl = _PRCTL
    if prctl is None:
        return None

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # killed before that could tell us
            os._exit(1)

    return arrange


def answers(url: str) -> bool:
    """Whether a GET of `url` gives a 2xx."""
    try:
        with _DIRECT.open(url, timeout=2) as response:
            return bool(200 <= response.status < 300)
    except (OSError, http.client.HTTPException):
        return False
