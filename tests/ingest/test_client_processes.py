"""The client in processes that fork, end, are interrupted, or import it and nothing else."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.ingest.receiver import HANG, Receiver
from tests.ingest.scripts import ROOT, run_script


def test_what_is_queued_is_sent_at_exit(receiver: Receiver) -> None:
    done = run_script(receiver.url, "client.capture_message('last words')\nwith client.step('last'): pass")
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.messages() == ["last words"]
    assert [report["finished"] for report in receiver.taken("/api/executions")] == [1]


def test_an_error_of_an_exit_handler_is_sent(receiver: Receiver) -> None:
    # From 3.12 on no thread can be started that late.
    done = run_script(receiver.url, "import atexit\natexit.register(client.capture_message, 'while ending')")
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.messages() == ["while ending"]


def test_a_crash_reported_on_its_way_out_is_sent(receiver: Receiver) -> None:
    done = run_script(receiver.url, "with client.step('crash'): 1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert receiver.messages() == ["division by zero"]


def test_a_hanging_server_does_not_keep_a_process_from_ending(receiver: Receiver) -> None:
    receiver.answers = [(HANG, {})] * 10
    done = run_script(receiver.url, "client.capture_message('never')")  # within the time limit of run_script
    assert done.returncode == 0
    assert done.stderr.count("wasn't sent before the exit") == 1
    assert done.stderr.count("meshhook-errors:") == 1


def test_a_forked_child_sends_its_own_and_only_its_own(receiver: Receiver) -> None:
    done = run_script(
        receiver.url,
        """
        import os
        client.capture_message("parent")
        if os.fork() == 0:
            client.capture_message("child")
            raise SystemExit
        os.wait()
        client.capture_message("parent again")
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(receiver.messages()) == ["child", "parent", "parent again"]


def test_forks_of_a_busy_process_lose_nothing_and_repeat_nothing(receiver: Receiver) -> None:
    done = run_script(
        receiver.url,
        """
        import os
        for number in range(20):
            client.capture_message(f"parent {number}")
            if os.fork() == 0:
                client.capture_message(f"child {number}")
                with client.step("child"):
                    pass
                os._exit(0 if client.flush(10) else 1)
        assert all(os.wait()[1] == 0 for _ in range(20))
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    expected = [f"{who} {number}" for who in ("child", "parent") for number in range(20)]
    assert sorted(receiver.messages()) == sorted(expected)
    assert len({event["error_id"] for event in receiver.taken()}) == 40
    assert sum(report["finished"] for report in receiver.taken("/api/executions")) == 20


def test_a_fork_waits_for_imports_under_way(receiver: Receiver) -> None:
    done = run_script(
        receiver.url,
        """
        import importlib.abc, os, sys, threading, time
        begun = threading.Event()

        class Slow(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "ssl":  # in the middle of http.client
                    begun.set()
                    time.sleep(0.5)

        sys.meta_path.insert(0, Slow())
        client.capture_message("parent")
        assert begun.wait(5)
        if os.fork() == 0:
            import http.client  # would wait for a thread that the child hasn't
            client.capture_message("child")
            raise SystemExit
        os.wait()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(receiver.messages()) == ["child", "parent"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_of_multiprocessing_sends_before_it_ends(receiver: Receiver, tmp_path: Path, method: str) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing, sys
            sys.path.insert(0, {str(ROOT)!r})
            from ingest import client

            def work():
                client.init({receiver.url!r}, "the-key")
                client.capture_message("from a worker")

            if __name__ == "__main__":
                process = multiprocessing.get_context({method!r}).Process(target=work)
                process.start()
                process.join()
            """
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.messages() == ["from a worker"]


def test_a_capture_inside_a_capture_does_not_wait_for_itself(receiver: Receiver) -> None:
    done = run_script(
        receiver.url,
        """
        import signal, time

        def interrupt(*_):
            with client.step("interrupting"):
                client.capture_message("interrupting")

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        until = time.monotonic() + 0.7
        while time.monotonic() < until:
            with client.step("interrupted"):
                client.capture_message("interrupted")
            client.flush(0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        client.close(0)
        print("went on")
        """,
        ", spool_dir=False",
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_it_imports_only_the_standard_library() -> None:
    script = """
        import sys
        from ingest import client
        client.init("http://key@127.0.0.1:9/1")
        client.capture_message("makes the sender import the rest")
        client.flush(0.5)
        names = {name.partition(".")[0] for name in sys.modules}
        print(sorted(names - set(sys.stdlib_module_names) - {"ingest", "__main__", "_frozen_importlib_external"}))
        print(sorted(name for name in sys.modules if name.startswith("ingest") and "client" not in name))
        client._sender = None
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "['ingest']"]


def test_importing_it_leaves_the_heavy_modules_alone() -> None:
    script = (
        "import sys; from ingest import client; print(sorted({'ssl', 'http.client', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
