"""The client's delivery against a real server that is slow, full, broken, strict or away."""

import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from ingest import client
from ingest.client.connection import seconds_to_wait
from ingest.client.sender import Sender
from tests.ingest.receiver import DROP, HANG, Receiver, receiving

PROJECT = "7f1d1c7e-0000-4000-8000-0000000000aa"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between attempts of our own; what a server asks for is kept."""
    monkeypatch.setattr("ingest.client.sender._FIRST_PAUSE", 0.1)
    monkeypatch.setattr("ingest.client.sender._HURRIED_PAUSE", 0.2)


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
    receiver.answers = [(429, {"Retry-After": "1"}), (503, {"Retry-After": "0"})]
    error_id = client.capture_message("patient")
    if is_flushed:  # in a hurry, too
        assert client.flush(10)
    assert [event["error_id"] for event in receiver.wait_for(1)] == [error_id]
    assert receiver.times[1] - receiver.times[0] >= 1  # much longer than a pause of its own
    assert len(receiver.times) == 3


def test_what_was_counted_for_a_limit_is_not_sent_again_and_the_next_waits(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"})]
    receiver.answer = b'{"status":429,"counted":1,"accepted":1,"duplicates":0,"rejected":[]}'
    client.capture_message("counted")
    receiver.wait_for_requests(1)
    client.capture_message("later")
    assert [event["message"] for event in receiver.wait_for(1)] == ["later"]
    assert receiver.times[1] - receiver.times[0] >= 1
    assert client.dropped() == 0


def test_it_waits_until_the_date_that_the_server_names(receiver: Receiver) -> None:
    until = int(time.time()) + 2  # a date has no fractions
    receiver.answers = [(503, {"Retry-After": formatdate(until, usegmt=True)})]
    client.capture_message("patient")
    assert client.flush(10)
    assert receiver.messages() == ["patient"]
    assert time.time() >= until


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
    receiver.answers = [(503, {})]
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


def test_a_full_queue_drops_the_newest_and_tells_how_many(tmp_path: Path) -> None:
    with receiving() as receiver:
        client.init(receiver.url, "the-key", max_queued=50, project_id="p", release="1.4", spool_dir=tmp_path)
        receiver.answers = [(HANG, {})]
        ids = [client.capture_message(str(number)) for number in range(60)]
        assert [error_id is None for error_id in ids] == [False] * 50 + [True] * 10
        assert client.dropped() == 10
        receiver.over.set()  # the hanging answer ends without a word
        assert client.flush(10)
        *messages, told = receiver.taken()
        assert [event["message"] for event in messages] == [str(number) for number in range(50)]
        assert told["title"] == "The client dropped 10 errors while the server was away"
        assert (told["source"], told["severity"], told["project_id"]) == ("system", "medium", "p")
        assert (told["metadata"]["dropped"], told["metadata"]["release"]) == (10, "1.4")
        assert told["metadata"]["since"] <= told["timestamp"]
        client.capture_message("later")
        assert client.flush(10)
        assert receiver.messages()[-2:] == [told["message"], "later"]  # it is told once
        client.close(1)
    client._sender = None


def test_a_drop_report_is_sent_again_with_its_id_and_number(tmp_path: Path) -> None:
    with receiving() as receiver:
        client.init(receiver.url, "the-key", max_queued=1, spool_dir=False)
        seen: list[dict[str, Any]] = []

        def judge(items: list[dict[str, Any]]) -> int:
            reports = [item for item in items if item["source"] == "system"]
            if reports and not seen:
                client.capture_message("fills the queue")
                client.capture_message("dropped meanwhile")
            seen.extend(reports)
            return 503 if len(seen) == 1 else 202

        receiver.judge = judge
        receiver.answers = [(503, {})]
        client.capture_message("one")
        client.capture_message("two")
        assert client.flush(10)
        assert [report["metadata"]["dropped"] for report in seen] == [1, 1, 1]
        assert seen[0]["error_id"] == seen[1]["error_id"] != seen[2]["error_id"]
        client.close(1)
    client._sender = None


@pytest.mark.parametrize("is_kept", [True, False])
def test_close_says_whether_all_was_sent_and_counts_what_is_lost(tmp_path: Path, is_kept: bool) -> None:
    with receiving() as receiver:
        client.init(receiver.url, "the-key", spool_dir=tmp_path if is_kept else False)
        receiver.answers = [(HANG, {})]
        client.capture_message("left behind")
        assert not client.close(0.2)
        assert client.dropped() == (0 if is_kept else 1)
        assert len(list(tmp_path.glob("*/*.errors"))) == (1 if is_kept else 0)
        before = client.dropped()
        assert client.capture_message("too late") is None
        assert client.dropped() == before + 1
    client._sender = None


@pytest.mark.parametrize(("path", "query"), [("1", ""), ("3", "?project=3"), (PROJECT, f"?project={PROJECT}")])
def test_the_project_of_the_dsn_goes_along(path: str, query: str) -> None:
    with receiving() as receiver:
        client.init(f"{receiver.url.replace('://', '://the-key@')}/{path}")
        client.capture_message("for a project")
        with client.step("counted"):
            pass
        assert client.flush(5)
        assert {where for where, _ in receiver.bodies} == {f"/api/error-events{query}", f"/api/executions{query}"}
        client.close(1)
    client._sender = None


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
