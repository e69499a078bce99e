"""What nobody handles is reported, once, and goes on to whoever was to hear of it before."""

import asyncio
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from ingest import client
from tests.ingest.receiver import Receiver
from tests.ingest.scripts import ROOT, run_script


def test_an_exception_that_ends_the_program_is_reported(receiver: Receiver) -> None:
    done = run_script(receiver.url, "def work():\n    raise ValueError('the end')\nwork()")
    assert done.returncode == 1
    assert done.stderr.count("ValueError: the end") == 1  # by the hook that was there
    (event,) = receiver.taken()
    assert (event["message"], event["metadata"]["handled"]) == ("the end", False)
    assert event["metadata"]["mechanism"] == "sys.excepthook"
    assert [frame["function"] for frame in event["metadata"]["frames"]] == ["<module>", "work"]


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_the_wish_to_end_is_no_error(receiver: Receiver, kind: str) -> None:
    body = f"""
        import threading
        def work():
            raise {kind}
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        raise {kind}
    """
    run_script(receiver.url, body)
    assert receiver.bodies == []


def test_an_exception_that_ends_a_thread_is_reported(receiver: Receiver) -> None:
    body = """
        import threading
        def work():
            raise ValueError("in a thread")
        thread = threading.Thread(target=work, name="importer")
        thread.start()
        thread.join()
    """
    done = run_script(receiver.url, body)
    assert (done.returncode, done.stderr.count("ValueError: in a thread")) == (0, 1)
    (event,) = receiver.taken()
    assert (event["message"], event["metadata"]["thread"]) == ("in a thread", "importer")
    assert (event["metadata"]["mechanism"], event["metadata"]["handled"]) == ("threading.excepthook", False)


def test_an_exception_that_can_not_be_raised_is_reported(receiver: Receiver) -> None:
    body = """
        class Fragile:
            def __del__(self):
                raise ValueError("in a finaliser")
        fragile = Fragile()
        del fragile
    """
    done = run_script(receiver.url, body)
    assert (done.returncode, done.stderr.count("ValueError: in a finaliser")) == (0, 1)
    (event,) = receiver.taken()
    assert (event["message"], event["metadata"]["mechanism"]) == ("in a finaliser", "sys.unraisablehook")


def test_the_hooks_that_were_there_are_called_once_however_often_init_is(receiver: Receiver) -> None:
    script = f"""
        import sys, threading
        sys.excepthook = lambda kind, *_: print("program", kind.__name__)
        threading.excepthook = lambda args: print("thread", args.exc_type.__name__)
        sys.unraisablehook = lambda args: print("unraisable", args.exc_type.__name__)
        from ingest import client
        client.init({receiver.url!r}, "the-key")
        hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
        client.init({receiver.url!r}, "the-key")
        assert hooks == (sys.excepthook, threading.excepthook, sys.unraisablehook)
        class Fragile:
            def __del__(self):
                raise OSError
        Fragile()
        def work():
            raise KeyError
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        raise ValueError
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.splitlines() == ["unraisable OSError", "thread KeyError", "program ValueError"]
    types = [event["metadata"]["exception"]["type"] for event in receiver.taken()]
    assert types == ["OSError", "KeyError", "ValueError"]


def test_without_hooks_none_is_installed(receiver: Receiver) -> None:
    body = "import sys\nprint(sys.excepthook is sys.__excepthook__)\nraise ValueError"
    done = run_script(receiver.url, body, ", hooks=False")
    assert (done.stdout, receiver.bodies) == ("True\n", [])


@pytest.mark.parametrize(
    "reporting",
    [
        "client.capture_exception(error)",
        "logging.getLogger().exception('about it')",
        "client.step('outer').__exit__(type(error), error, None)",
    ],
)
def test_what_was_reported_on_its_way_is_not_reported_again(receiver: Receiver, reporting: str) -> None:
    body = f"""
        import logging
        logging.getLogger().addHandler(client.ErrorHandler())
        try:
            with client.step("inner"):
                raise ValueError("once")
        except ValueError as error:
            {reporting}
            raise
    """
    run_script(receiver.url, body)
    explicit = "capture_exception" in reporting  # which always reports
    assert receiver.messages() == ["once"] * (2 if explicit else 1)
    assert receiver.taken()[0]["metadata"]["node"] == "inner"


def test_an_exception_with_a_will_of_its_own_is_reported_once(receiver: Receiver) -> None:
    body = """
        class Odd(Exception):
            __slots__ = ()
            def __setattr__(self, name, value):
                raise RuntimeError("no")
            __eq__ = __hash__ = __setattr__
        with client.step("odd"):
            raise Odd("odd")
    """
    run_script(receiver.url, body)
    assert [event["metadata"]["exception"]["type"] for event in receiver.taken()] == ["Odd"]


def test_an_exception_caused_by_a_reported_one_is_another(receiver: Receiver) -> None:
    body = """
        try:
            with client.step("inner"):
                raise ValueError("first")
        except ValueError as error:
            raise RuntimeError("second") from error
    """
    run_script(receiver.url, body)
    assert receiver.messages() == ["first", "second"]


@pytest.mark.parametrize("has_handler", [False, True])
def test_a_loop_reports_what_nobody_awaits(
    receiver: Receiver, has_handler: bool, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[dict[str, Any]] = []

    async def fail() -> None:
        raise ValueError("unawaited")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        if has_handler:
            loop.set_exception_handler(lambda _loop, about: heard.append(about))
        assert client.watch_loop()
        assert client.watch_loop(loop)
        task = loop.create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        loop.call_exception_handler({"message": "without an exception"})
        loop.call_exception_handler({"message": "interrupted", "exception": KeyboardInterrupt()})

    asyncio.run(main())
    assert client.flush(5)
    assert receiver.messages() == ["unawaited", "without an exception"]
    assert receiver.taken()[0]["metadata"]["handled"] is False
    if has_handler:
        assert [about["message"] for about in heard][1:] == ["without an exception", "interrupted"]
        assert len(heard) == 3
    else:
        assert caplog.text.count("Task exception was never retrieved") == 1  # by the loop's own handler


def test_without_a_loop_there_is_nothing_to_watch() -> None:
    assert client.watch_loop() is False
