"""before_send: the program's own say in what is sent."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ingest import client
from tests.ingest.receiver import Receiver, receiving
from tests.ingest.scripts import run_script

Start = Callable[[Callable[[dict[str, Any]], Any]], Receiver]


@pytest.fixture
def start() -> Iterator[Start]:
    """Init with a before_send."""
    with receiving() as receiver:

        def init(before_send: Callable[[dict[str, Any]], Any]) -> Receiver:
            client.init(receiver.url, "the-key", project_id="p", release="1.4", before_send=before_send)
            return receiver

        yield init
        client.close(1)
        client._sender = None


def test_it_changes_what_is_sent_on_another_thread(start: Start) -> None:
    threads = []

    def before_send(event: dict[str, Any]) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        event["metadata"]["tags"] = {"customer": "hidden"}
        return {**event, "error_id": "its own"}

    receiver = start(before_send)
    error_id = client.capture_message("changed", tags={"customer": "Ada"})
    (event,) = receiver.wait_for(1)
    assert (event["message"], event["metadata"]["tags"]) == ("changed", {"customer": "hidden"})
    assert event["error_id"] == error_id  # so that a resend stays a duplicate
    assert threads == ["meshhook-errors"]


def test_it_drops_what_it_answers_none_for(start: Start) -> None:
    receiver = start(lambda event: None if event["message"] == "noise" else event)
    for message in ("noise", "signal", "noise"):
        client.capture_message(message)
    assert client.flush(5)
    assert receiver.messages() == ["signal"]
    client.capture_message("noise")
    assert client.flush(5)
    assert receiver.messages() == ["signal"]
    assert client.dropped() == 0


def _raises(_event: dict[str, Any]) -> None:
    raise KeyError("planted in the hook's error")


def _leaves(_event: dict[str, Any]) -> None:
    raise SystemExit


@pytest.mark.parametrize(
    "before_send",
    [_raises, _leaves, lambda event: "no event", lambda event: {**event, "metadata": {"set": {1}}}],
    ids="raises leaves text no-json".split(),
)
def test_where_it_fails_nothing_goes_out_that_it_might_have_taken_out(
    start: Start, before_send: Callable[[dict[str, Any]], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = start(before_send)
    ids = []
    for number in range(2):
        try:
            int(f"planted {number}")
        except ValueError:
            ids.append(client.capture_exception(tags={"planted": "planted"}, title="planted"))
    assert client.flush(5)
    events = receiver.taken()
    assert [event["error_id"] for event in events] == ids
    assert all(b"planted" not in body for _, body in receiver.bodies)
    metadata = events[0]["metadata"]
    assert metadata["exception"] == {"type": "ValueError", "module": "builtins"}
    (frame,) = metadata["frames"]
    assert (set(frame), frame["file"]) == ({"file", "line", "function"}, __file__)
    assert "before_send failed" in metadata["note"]
    assert (events[0]["project_id"], metadata["release"], client.dropped()) == ("p", "1.4", 0)
    assert capsys.readouterr().err.count("before_send failed") == 1


def test_it_may_report_without_end(start: Start) -> None:
    def before_send(event: dict[str, Any]) -> dict[str, Any]:
        client.capture_message("about an error")
        return event

    receiver = start(before_send)
    client.capture_message("once")
    assert client.flush(5)
    assert receiver.messages() == ["once"]


def test_where_it_hangs_a_process_ends_and_keeps_what_may_be_sent(receiver: Receiver) -> None:
    setup = "import time\nclient.init({url!r}, 'the-key', before_send=lambda event: time.sleep(60))\n"
    body = "client.capture_message('planted')\nclient.capture_message('planted')\nclient.close(0.5)"
    done = run_script(receiver.url, body, setup=setup.format(url=receiver.url))
    assert done.returncode == 0
    client.close(1)
    client.init(receiver.url, "the-key")
    assert client.flush(5)
    assert [event["metadata"]["note"] for event in receiver.wait_for(2)] == [
        "before_send failed (it doesn't return): the message and the context are left out"
    ] * 2
