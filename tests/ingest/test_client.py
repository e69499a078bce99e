"""The client: reports what happens, costs its caller next to nothing, and never raises into it."""

import asyncio
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import client
from ingest.client.address import parse_address
from tests.ingest.receiver import Receiver, receiving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        client.init(receiver.url.replace("://", "://the-key@") + "/1", release="1.2.3")
        yield receiver
        client.close(1)
        client._sender = None


def run_script(receiver: Receiver, body: str) -> subprocess.CompletedProcess[str]:
    script = f"from ingest import client\nclient.init({receiver.url!r}, 'the-key')\n{textwrap.dedent(body)}"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


def fail(secret: str) -> None:
    local = f"local {secret}"
    raise KeyError(len(local))


def test_an_exception_arrives_with_type_frames_and_context(receiver: Receiver) -> None:
    try:
        fail("planted-in-a-local")
    except KeyError:
        error_id = client.capture_exception(workflow_id="w", node="createContact", attempt=2)
    (event,) = receiver.wait_for(1)
    assert (event["error_id"], event["workflow_id"], event["source"]) == (error_id, "w", "worker")
    metadata = event["metadata"]
    assert metadata["exception"] == {"type": "KeyError", "module": "builtins", "value": "24"}
    assert (metadata["node"], metadata["attempt"], metadata["release"]) == ("createContact", 2, "1.2.3")
    assert [frame["function"] for frame in metadata["frames"]] == [
        "test_an_exception_arrives_with_type_frames_and_context",
        "fail",
    ]
    assert metadata["frames"][-1]["context_line"] == "raise KeyError(len(local))"
    assert metadata["frames"][-1]["in_app"] is True
    assert receiver.keys == {"Bearer the-key"}


def test_no_local_variable_is_sent(receiver: Receiver) -> None:
    try:
        fail("planted-in-a-local".upper())
    except KeyError:
        client.capture_exception()
    receiver.wait_for(1)
    assert b"PLANTED-IN-A-LOCAL" not in receiver.bodies[0][1]


def test_what_caused_an_exception_comes_along(receiver: Receiver) -> None:
    try:
        try:
            fail("x")
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        client.capture_exception()
    (event,) = receiver.wait_for(1)
    assert event["message"] == "outer"
    assert [cause["type"] for cause in event["metadata"]["causes"]] == ["KeyError"]


def test_a_logged_error_arrives_and_a_warning_does_not(receiver: Receiver) -> None:
    log = logging.getLogger("app.orders")
    handler = client.ErrorHandler()
    log.addHandler(handler)
    try:
        log.warning("not this one")
        log.error("order %s failed", 17)
        try:
            fail("x")
        except KeyError:
            log.exception("and this one")
    finally:
        log.removeHandler(handler)
    first, second = receiver.wait_for(2)
    assert (first["message"], first["metadata"]["logger"]) == ("order 17 failed", "app.orders")
    assert second["metadata"]["exception"]["type"] == "KeyError"


def test_a_step_counts_executions_and_passes_the_exception_on(receiver: Receiver) -> None:
    @client.step("sync", workflow_id="w")
    def sync(number: int) -> int:
        return 1 // number

    @client.step("async", workflow_id="w")
    async def later(number: int) -> int:
        return 1 // number

    assert sync(1) == 1
    assert asyncio.run(later(1)) == 1
    with pytest.raises(ZeroDivisionError) as raised:
        asyncio.run(later(0))
    original = ValueError("the same object")
    with pytest.raises(ValueError, match="same object") as again, client.step("block", workflow_id="w"):
        raise original
    assert again.value is original
    assert isinstance(raised.value, ZeroDivisionError)
    assert client.flush(5)
    assert sorted(event["metadata"]["node"] for event in receiver.taken()) == ["async", "block"]
    reports = receiver.taken("/api/executions")
    assert (sum(r["finished"] for r in reports), sum(r["failed"] for r in reports)) == (4, 2)
    assert {report["workflow_id"] for report in reports} == {"w"}


def test_many_threads_lose_nothing(receiver: Receiver) -> None:
    def work(thread: int) -> None:
        for number in range(200):
            client.capture_message(f"{thread}-{number}")

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    messages = [event["message"] for event in receiver.taken()]
    assert (len(messages), len(set(messages))) == (1600, 1600)


def test_it_waits_as_long_as_the_server_asks(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"}), (503, {"Retry-After": "0"})]
    client.capture_message("patient")
    assert [event["message"] for event in receiver.wait_for(1)] == ["patient"]
    assert receiver.times[1] - receiver.times[0] >= 1


def test_a_bad_item_does_not_sink_its_neighbours(receiver: Receiver) -> None:
    receiver.answers = [(422, {}), (202, {}), (422, {})]
    client.capture_message("first")
    client.capture_message("second")
    client.flush(5)
    assert [event["message"] for event in receiver.taken()] == ["first"]
    assert client.dropped() == 1


def test_a_wrong_key_is_said_once(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    receiver.answers = [(401, {}), (401, {})]
    for message in ("one", "two"):
        client.capture_message(message)
        client.flush(5)
    assert client.dropped() == 2
    assert capsys.readouterr().err.count("is the key right?") == 1


def test_errors_wait_for_a_server_that_is_away() -> None:
    with receiving() as first:
        port = int(first.url.rpartition(":")[2])
    client.init(f"http://the-key@127.0.0.1:{port}/1")
    client.capture_message("early")
    assert not client.flush(0.3)
    with receiving(port) as receiver:
        assert [event["message"] for event in receiver.wait_for(1)] == ["early"]
        client.close(1)
    client._sender = None


def test_nothing_raises_into_the_caller(receiver: Receiver) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    assert client.capture_exception(Odd(), extra=Odd(), tags={"t": object()}) is not None
    (event,) = receiver.wait_for(1)
    assert "can't be read" in event["message"]


def test_before_init_everything_is_a_no_op() -> None:
    assert client.capture_message("nobody hears") is None
    assert client.flush()
    with client.step("quiet"):
        pass


def test_what_is_queued_is_sent_at_exit(receiver: Receiver) -> None:
    done = run_script(receiver, "client.capture_message('last words')")
    assert (done.returncode, done.stderr) == (0, "")
    assert [event["message"] for event in receiver.wait_for(1)] == ["last words"]


def test_a_forked_child_sends_its_own_and_only_its_own(receiver: Receiver) -> None:
    done = run_script(
        receiver,
        """
        import os
        client.capture_message("parent")
        if os.fork() == 0:
            client.capture_message("child")
            client.flush(5)
            os._exit(0)
        os.wait()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(event["message"] for event in receiver.wait_for(2)) == ["child", "parent"]


def test_it_imports_only_the_standard_library() -> None:
    script = """
        import sys
        from ingest import client
        names = {name.partition(".")[0] for name in sys.modules}
        print(sorted(names - set(sys.stdlib_module_names) - {"ingest", "__main__"}))
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ("http://k@h:8080/1", None, (False, "h", 8080, "", "k")),
        ("https://k@h/prefix/12", None, (True, "h", 443, "/prefix", "k")),
        ("http://h:81", "k", (False, "h", 81, "", "k")),
        ("http://h/errors/", "k", (False, "h", 80, "/errors", "k")),
    ],
)
def test_an_address_is_understood(given: str, key: str | None, expected: tuple[object, ...]) -> None:
    assert tuple(parse_address(given, key)) == expected


@pytest.mark.parametrize("given", ["", "h:8080", "ftp://k@h/1", "http://h:8080/1", "http://k@h:port/1"])
def test_an_impossible_address_is_refused_at_init(given: str) -> None:
    with pytest.raises(ValueError, match=r"http://KEY@errors\.example\.com:8080/1"):
        client.init(given)
