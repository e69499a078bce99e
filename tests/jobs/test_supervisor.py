"""The supervisor with real child processes: they start, are restarted, and stop."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobs.back_off import BackOff
from jobs.exceptions import StartFailed
from jobs.supervisor import Role, Supervisor, answers
from tests.end_to_end.running import ROOT, until
from tests.ports import free_port


def role(name: str, code: str, is_ready: bool = True) -> Role:
    return Role(name, [sys.executable, "-c", code], lambda: is_ready)


def run(roles: list[Role], logs: Path) -> tuple[Supervisor, threading.Event, list[str]]:
    said: list[str] = []
    return Supervisor(roles, {}, logs, said.append), threading.Event(), said


def is_gone(pid: int) -> bool:
    """A zombie is gone: nobody may be there to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_it_waits_until_a_role_answers_and_stops_it(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    server = Role(
        "server", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], lambda: answers(url)
    )
    supervisor, stop, _ = run([server], tmp_path)
    supervisor.start(stop)
    assert answers(url)
    assert tmp_path.stat().st_mode & 0o777 == 0o700
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
    assert lasting.back_off.died(0.0) == 2.0


def test_the_pauses_grow_to_half_a_minute_and_are_short_again_after_a_minute_of_health() -> None:
    back_off = BackOff()
    pauses = []
    now = 0.0
    for _ in range(7):
        back_off.began(now)
        now += 60
        pauses.append(back_off.died(now))
        assert back_off.is_waiting(now)
        assert not back_off.is_due(now)
        now += pauses[-1]
        assert back_off.is_due(now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    back_off.began(now)
    assert not back_off.is_due(now)
    assert back_off.died(now + 60.1) == 1


def test_what_was_said_at_an_earlier_start_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "jobs.log").write_text("no such database\n")
    supervisor, stop, _ = run([role("jobs", "raise SystemExit(3)", is_ready=False)], tmp_path)
    with pytest.raises(StartFailed, match="ended without a word"):
        supervisor.start(stop)
    supervisor.stop()


def test_a_killed_supervisor_takes_even_a_deaf_role_along(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child that its parent died")
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    code = f"""
import sys, threading
from pathlib import Path
from jobs.supervisor import Role, Supervisor
role = Role("deaf", [sys.executable, "-c", {deaf!r}], lambda: "deaf" in Path({str(tmp_path)!r}, "deaf.log").read_text())
supervisor = Supervisor([role], {{}}, Path({str(tmp_path)!r}), print)
supervisor.start(threading.Event())
print(role.process.pid, flush=True)
supervisor.watch(threading.Event())
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not is_gone(child)
        parent.kill()
    until(lambda: is_gone(child))


def test_what_a_role_started_itself_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)"
    )
    log = tmp_path / "api.log"
    supervisor, stop, _ = run([Role("api", [sys.executable, "-c", code], lambda: "\n" in log.read_text())], tmp_path)
    supervisor.start(stop)
    grandchild = int(log.read_text())
    assert not is_gone(grandchild)
    supervisor.stop()
    until(lambda: is_gone(grandchild))


def test_a_proxy_of_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    server = Role("server", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], lambda: True)
    supervisor, stop, _ = run([server], tmp_path)
    supervisor.start(stop)
    code = f"from jobs.supervisor import answers; print(answers({url!r}))"
    environment = {**os.environ, "http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": ""}
    until(lambda: answers(url))
    asked = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert asked.stdout == "True\n"
    supervisor.stop()


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
    supervisor, stop, _ = run([role("api", "print('fresh', flush=True)")], tmp_path)
    supervisor.start(stop)
    until(lambda: "fresh" in (tmp_path / "api.log").read_text())
    supervisor.stop()
    assert (tmp_path / "api.log.1").read_text() == "x" * 100
