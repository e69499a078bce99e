"""The client's delivery against a real server that is slow, full, broken, strict or away."""

import threading
import time
from typing import Any

import pytest

from ingest import client
from ingest.client.connection import seconds_to_wait
from ingest.client.sender import Sender
from tests.ingest.receiver import DROP, HANG, Receiver, receiving


def test_errors_travel_in_batches_of_at_most_100(receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "1"})]
    client.capture_message("0")
    receiver.wait_for_requests(1)  # the rest gathers while this one waits
    for number in range(1, 250):
        client.capture_message(str(number))
    assert client.flush(10)
    assert receiver.messages() == [str(number) for number in range(250)]
    assert len(receiver.bodies) <= 4
    assert receiver.connections == 1


def test_many_threads_lose_nothing(receiver: Receiver) -> None:
    def work(thread: int) -> None:
        for number in range(200):
            client.capture_message(f"{thread}-{number}")
            with client.step("count"):
                pass

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    messages = receiver.messages()
    assert (len(messages), len(set(messages))) == (1600, 1600)
    assert sum(report["finished"] for report in receiver.taken("/api/executions")) == 1600


@pytest.mark.parametrize("is_flushed", [False, True])
def test_it_waits_as_long_as_the_server_asks(receiver: Receiver, is_flushed: bool) -> None:
    receiver.answers = [(429, {"Retry-After": "2"}), (503, {"Retry-After": "0"})]
    error_id = client.capture_message("patient")
    if is_flushed:  # in a hurry, too
        assert client.flush(10)
    assert [event["error_id"] for event in receiver.wait_for(1)] == [error_id]
    assert receiver.times[1] - receiver.times[0] >= 2
    assert len(receiver.times) == 3


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("120", 120),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("999999999", 3600),
        ("nan", None),
        ("-1", None),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: float | None) -> None:
    assert seconds_to_wait(header, now=100) == expected


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429, DROP])
def test_what_may_pass_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {}), (status, {})]
    client.capture_message("persistent")
    assert client.flush(10)
    assert receiver.messages() == ["persistent"]
    assert client.dropped() == 0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422])
def test_a_final_refusal_is_counted_and_said_once(
    receiver: Receiver, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    receiver.answers = [(status, {}), (status, {})]
    for message in ("one", "two"):
        client.capture_message(message)
        assert client.flush(5)
    assert client.dropped() == 2
    said = capsys.readouterr().err
    assert said.count("meshhook-errors:") == 1
    assert str(status) in said
    assert "the-key" not in said
    client.capture_message("three")
    assert [event["message"] for event in receiver.wait_for(1)] == ["three"]


@pytest.mark.parametrize("status", [413, 422])
def test_a_bad_item_does_not_sink_its_neighbours(receiver: Receiver, status: int) -> None:
    def judge(items: list[dict[str, Any]]) -> int:
        return status if any(item["message"] == "bad" for item in items) else 202

    receiver.judge = judge
    receiver.answers = [(503, {"Retry-After": "1"})]
    for number in range(20):
        client.capture_message("bad" if number == 13 else str(number))
    assert client.flush(10)
    assert receiver.messages() == [str(number) for number in range(20) if number != 13]
    assert client.dropped() == 1


def test_a_rejection_inside_an_accepted_batch_is_counted(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answer = b'{"accepted": 1, "duplicates": 0, "rejected": [{"index": 1, "error": "error_type: is wrong."}]}'
    client.capture_message("one")
    client.capture_message("two", error_type="?")
    assert client.flush(5)
    assert client.dropped() == 1
    assert "error_type: is wrong" in capsys.readouterr().err


def test_a_connection_that_idled_too_long_costs_no_pause(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    rests = []
    monkeypatch.setattr(Sender, "_rest", lambda *_: rests.append(True) or True)
    receiver.idle_seconds = 0.2
    client.capture_message("first")
    assert client.flush(5)
    time.sleep(0.5)  # the server ends the connection
    client.capture_message("second")
    assert client.flush(5)
    assert receiver.messages() == ["first", "second"]
    assert (receiver.connections, rests) == (2, [])


def test_errors_wait_for_a_server_that_is_away() -> None:
    with receiving() as first:
        port = int(first.url.rpartition(":")[2])
    client.init(f"http://the-key@127.0.0.1:{port}/1")
    ids = [client.capture_message(str(number)) for number in range(3)]
    with client.step("counted"):
        pass
    assert not client.flush(0.3)
    with receiving(port) as receiver:
        assert client.flush(10)
        assert [event["error_id"] for event in receiver.taken()] == ids
        assert [report["finished"] for report in receiver.taken("/api/executions")] == [1]
        client.close(1)
    client._sender = None


def test_a_report_is_sent_again_with_its_id(receiver: Receiver) -> None:
    seen = []

    def judge(items: list[dict[str, Any]]) -> int:
        seen.append([item["report_id"] for item in items])
        return 503 if len(seen) < 3 else 202

    receiver.judge = judge
    with client.step("counted"):
        pass
    assert client.flush(10)
    assert seen[0] == seen[1] == seen[2]


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    with receiving() as receiver:
        client.init(receiver.url, "the-key", max_queued=50)
        receiver.answers = [(HANG, {})]
        ids = [client.capture_message(str(number)) for number in range(60)]
        assert [error_id is None for error_id in ids] == [False] * 50 + [True] * 10
        assert client.dropped() == 10
        receiver.over.set()  # the hanging answer ends without a word
        assert client.flush(10)
        assert receiver.messages() == [str(number) for number in range(50)]
        client.close(1)
    client._sender = None


def test_close_says_what_it_had_to_leave(receiver: Receiver) -> None:
    receiver.answers = [(HANG, {})]
    client.capture_message("left behind")
    assert not client.close(0.2)
    assert client.dropped() == 1
    assert client.capture_message("too late") is None
    assert client.dropped() == 2


def test_a_second_init_sends_what_the_first_had(receiver: Receiver) -> None:
    client.capture_message("before")
    with receiving() as other:
        client.init(other.url, "another-key")
        client.capture_message("after")
        assert client.flush(5)
        assert (receiver.messages(), other.messages()) == (["before"], ["after"])
        client.close(1)


def test_without_stderr_it_goes_on(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    receiver.answers = [(401, {})]
    client.capture_message("refused")
    assert client.flush(5)
    client.capture_message("taken")
    assert client.flush(5)
    assert receiver.messages() == ["taken"]
