"""Keeps the roles running as child processes: starts them, waits until each answers, restarts what dies, stops all."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from jobs.exceptions import StartFailed

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LONGEST_BACK_OFF = 30.0
_HEALTHY_SECONDS = 60.0
_LARGEST_LOG = 20 * 1024 * 1024
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


@dataclass(slots=True)
class Role:
    """One child process. `is_ready` asks whether it answers."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    back_off: float = 1.0
    restart_at: float | None = None
    log: IO[bytes] | None = field(default=None, repr=False)


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
        if role.restart_at is not None:
            if now >= role.restart_at:
                self._launch(role)
                self._say(f"The {role.name} was started again.")
            return
        if role.process is None or role.process.poll() is None:
            if now - role.started_at > _HEALTHY_SECONDS:
                role.back_off = 1.0
            return
        self._say(
            f"The {role.name} died ({_ending(role.process.returncode)}); it starts again in {role.back_off:.0f} s."
        )
        role.restart_at = now + role.back_off
        role.back_off = min(role.back_off * 2, _LONGEST_BACK_OFF)

    def _launch(self, role: Role) -> None:
        path = self._log_path(role)
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        if role.log is not None:
            role.log.close()
        role.log = path.open("ab")
        role.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            role.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=role.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads hold locks here
        )
        role.started_at = time.monotonic()
        role.restart_at = None

    def stop(self) -> None:
        """Ask all to stop, then make them."""
        running = [role.process for role in self._roles if role.process is not None and role.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for role in self._roles:
            if role.log is not None:
                role.log.close()

    def _log_path(self, role: Role) -> Path:
        return self._logs / f"{role.name}.log"

    def _last_words(self, role: Role) -> str:
        lines = self._log_path(role).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended without a word; see {self._log_path(role)}"


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _die_with_parent() -> None:
    """A supervisor that is killed takes its children along, so that the next one finds the ports free."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def answers(url: str) -> bool:
    """Whether a GET of `url` gives a 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - an address of our own
            return bool(200 <= response.status < 300)
    except (urllib.error.URLError, OSError):
        return False
