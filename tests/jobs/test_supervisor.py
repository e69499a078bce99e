"""The supervisor with real child processes: they start, are restarted, and stop."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from jobs.exceptions import StartFailed
from jobs.supervisor import Role, Supervisor, answers
from tests.end_to_end.running import until
from tests.ports import free_port


def role(name: str, code: str, is_ready: bool = True) -> Role:
    return Role(name, [sys.executable, "-c", code], lambda: is_ready)


def run(roles: list[Role], logs: Path) -> tuple[Supervisor, threading.Event, list[str]]:
    said: list[str] = []
    return Supervisor(roles, {}, logs, said.append), threading.Event(), said


def test_it_waits_until_a_role_answers_and_stops_it(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    server = Role(
        "server", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], lambda: answers(url)
    )
    supervisor, stop, _ = run([server], tmp_path)
    supervisor.start(stop)
    assert answers(url)
    supervisor.stop()
    assert not answers(url)


def test_a_role_that_dies_at_the_start_is_quoted(tmp_path: Path) -> None:
    broken = role("jobs", "raise SystemExit('no such database')", is_ready=False)
    supervisor, stop, _ = run([broken], tmp_path)
    with pytest.raises(StartFailed, match="The jobs didn't start: no such database"):
        supervisor.start(stop)
    supervisor.stop()


def test_a_role_that_dies_is_started_again_and_said_so(tmp_path: Path) -> None:
    lasting = role("api", "import time; time.sleep(60)")
    supervisor, stop, said = run([lasting], tmp_path)
    supervisor.start(stop)
    assert lasting.process is not None
    first = lasting.process.pid
    watching = threading.Thread(target=supervisor.watch, args=(stop,))
    watching.start()
    os.kill(first, signal.SIGKILL)
    until(lambda: lasting.process is not None and lasting.process.pid != first)
    stop.set()
    watching.join()
    supervisor.stop()
    assert said == ["The api died (signal 9); it starts again in 1 s.", "The api was started again."]
    assert lasting.back_off == 2.0


def test_a_role_that_ignores_the_request_to_stop_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.supervisor._STOP_SECONDS", 0.5)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    deaf = role("deaf", code)
    supervisor, stop, _ = run([deaf], tmp_path)
    supervisor.start(stop)
    until(lambda: "deaf" in (tmp_path / "deaf.log").read_text())
    supervisor.stop()
    assert deaf.process is not None
    assert deaf.process.returncode == -signal.SIGKILL


def test_a_log_that_grows_too_large_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.supervisor._LARGEST_LOG", 10)
    (tmp_path / "api.log").write_text("x" * 100)
    supervisor, stop, _ = run([role("api", "print('fresh')")], tmp_path)
    supervisor.start(stop)
    until(lambda: "fresh" in (tmp_path / "api.log").read_text())
    supervisor.stop()
    assert (tmp_path / "api.log.1").read_text() == "x" * 100
