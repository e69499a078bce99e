"""The client's spool: what a server that is away misses waits on disk, for this process or the next."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest import client
from ingest.client import sender
from ingest.client.address import parse_address
from ingest.client.spool import Spool, places
from tests.ingest.receiver import Receiver, receiving
from tests.ingest.scripts import ROOT, run_script, script_of, start_script

AT_ONCE = "from ingest.client import sender\nsender._SPOOL_AFTER = 0\n"


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_FIRST_PAUSE", 0.1)
    monkeypatch.setattr(sender, "_SPOOL_AFTER", 0)
    monkeypatch.setattr(sender, "_SCAN_SECONDS", 0.1)


@pytest.fixture
def away() -> str:
    """The address of a server that isn't there."""
    with receiving() as receiver:
        return receiver.url


@contextmanager
def back(url: str) -> Iterator[Receiver]:
    """The server, there again."""
    with receiving(int(url.rpartition(":")[2])) as receiver:
        yield receiver
        client.close(1)
        client._sender = None


def files(spool_dir: Path, kind: str = "errors") -> list[Path]:
    return sorted(spool_dir.glob(f"*/*.{kind}"))


def messages_in(spool_dir: Path) -> list[str]:
    return [json.loads(line)["message"] for file in files(spool_dir) for line in file.read_bytes().splitlines()]


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_what_is_unsent_at_exit_is_sent_by_the_next_process(away: str, spool_dir: Path) -> None:
    done = run_script(away, "client.capture_message('kept')\nwith client.step('counted'): pass\nclient.flush(0.2)")
    assert (done.returncode, done.stderr.count("sent by the next process")) == (0, 1)
    (directory,) = spool_dir.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in directory.iterdir()] == [0o600, 0o600]
    with back(away) as receiver:
        client.init(away, "the-key")
        assert client.flush(10)
        assert receiver.messages() == ["kept"]
        assert [report["finished"] for report in receiver.taken("/api/executions")] == [1]
        assert list(directory.iterdir()) == []
        assert client.dropped() == 0


def test_a_process_that_is_killed_leaves_what_it_could_not_send(away: str, spool_dir: Path) -> None:
    body = """
        import time
        for number in range(1500):
            client.capture_message(str(number))
        while client._sender.queue:
            time.sleep(0.01)
        print("ready", flush=True)
        time.sleep(60)
    """
    process = start_script(away, body, setup=AT_ONCE)
    process.kill()
    process.wait()
    with back(away) as receiver:
        client.init(away, "the-key")
        assert client.flush(10)
        assert receiver.messages() == [str(number) for number in range(1500)]
        assert files(spool_dir) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_answers_later_is_away_too(receiver: Receiver, spool_dir: Path, status: int) -> None:
    receiver.judge = lambda _items: status
    for number in range(3):
        client.capture_message(str(number))
    wait_until(lambda: len(messages_in(spool_dir)) == 3)
    receiver.judge = lambda _items: 202
    assert client.flush(10)
    assert receiver.messages() == ["0", "1", "2"]
    assert files(spool_dir) == []


def test_few_errors_stay_in_memory_while_a_server_is_away_shortly(
    away: str, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_SPOOL_AFTER", 60)
    client.init(away, "the-key", max_queued=100)
    for number in range(50):
        client.capture_message(str(number))
    assert not client.flush(0.3)
    assert files(spool_dir) == []
    client.capture_message("one more than half of the queue")
    wait_until(lambda: len(messages_in(spool_dir)) == 51)
    with back(away) as receiver:
        assert client.flush(10)
        assert len(set(receiver.messages())) == 51


def test_a_file_of_a_living_process_is_left_alone_until_it_is_dead(away: str, spool_dir: Path) -> None:
    body = """
        import time
        sender._FIRST_PAUSE = 60
        client.capture_message("of the other")
        while client._sender.queue:
            time.sleep(0.01)
        print("ready", flush=True)
        time.sleep(60)
    """
    process = start_script(away, body, setup=AT_ONCE)
    with back(away) as receiver:
        client.init(away, "the-key")
        client.capture_message("of this one")
        receiver.wait_for(1)
        time.sleep(0.5)
        assert client.flush(5)
        assert receiver.messages() == ["of this one"]
        process.kill()
        process.wait()
        assert [event["message"] for event in receiver.wait_for(2)] == ["of this one", "of the other"]


def test_many_processes_share_a_spool_and_none_sends_what_another_does(away: str, spool_dir: Path) -> None:
    body = "for number in range(150): client.capture_message(f'{NAME} {number}')\nclient.close(0)"
    processes = [
        subprocess.Popen(script_of(away, f"NAME = {name}\n{body}"), cwd=ROOT, stderr=subprocess.DEVNULL)
        for name in range(4)
    ]
    assert [process.wait(30) for process in processes] == [0] * 4
    assert len(files(spool_dir)) == 4
    with back(away) as receiver:
        senders = [
            subprocess.Popen(script_of(away, "import sys\nsys.exit(not client.flush(20))"), cwd=ROOT) for _ in range(3)
        ]
        assert [process.wait(30) for process in senders] == [0] * 3
        wait_until(lambda: files(spool_dir) == [])
        expected = sorted(f"{name} {number}" for name in range(4) for number in range(150))
        assert sorted(receiver.messages()) == expected


def test_a_process_that_ends_waits_for_what_is_on_its_way_from_the_spool(away: str, spool_dir: Path) -> None:
    run_script(away, "for number in range(50): client.capture_message(str(number))\nclient.close(0)")

    def judge(_items: list[Any]) -> int:
        time.sleep(1.2)  # longer than the time that it has for the spool
        return 202

    with back(away) as receiver:
        receiver.judge = judge
        done = run_script(away, "")
        assert (done.returncode, done.stderr) == (0, "")
        assert receiver.messages() == [str(number) for number in range(50)]
        assert files(spool_dir) == []


def test_a_process_that_only_begins_and_ends_sends_what_is_spooled(away: str, spool_dir: Path) -> None:
    run_script(away, "for number in range(150): client.capture_message(str(number))\nclient.close(0)")
    with back(away) as receiver:
        assert run_script(away, "").returncode == 0
        assert receiver.messages() == [str(number) for number in range(150)]
        assert files(spool_dir) == []


def test_a_torn_line_is_left_out(away: str, spool_dir: Path) -> None:
    run_script(away, "for number in range(3): client.capture_message(str(number))\nclient.close(0)")
    (file,) = files(spool_dir)
    whole = file.read_bytes()
    file.write_bytes(b"\x00\x00\n" + whole[:-30])
    with back(away) as receiver:
        client.init(away, "the-key")
        assert client.flush(10)
        assert receiver.messages() == ["0", "1"]
        assert files(spool_dir) == []


def test_a_full_spool_keeps_the_oldest_and_the_next_process_tells_how_many_were_dropped(
    away: str, spool_dir: Path
) -> None:
    body = """
        for number in range(50):
            client.capture_message(str(number))
        client.close(0)
        print(client.dropped())
    """
    done = run_script(away, body, ", spool_max_bytes=3000")
    dropped = int(done.stdout)
    assert "is full" in done.stderr
    assert 10 < dropped < 45
    (file,) = files(spool_dir)
    assert sum(len(line) for line in file.read_bytes().splitlines(keepends=True)[:-1]) <= 3000
    with back(away) as receiver:
        client.init(away, "the-key")
        assert client.flush(10)
        assert receiver.messages() == [
            *(str(number) for number in range(50 - dropped)),
            f"The client dropped {dropped} errors while the server was away",
        ]


def test_a_full_spool_leaves_the_rest_in_memory(away: str, spool_dir: Path) -> None:
    client.init(away, "the-key", spool_max_bytes=1500)
    for number in range(30):
        client.capture_message(str(number))
    wait_until(lambda: files(spool_dir))
    time.sleep(0.3)
    assert 0 < len(messages_in(spool_dir)) < 15
    with back(away) as receiver:
        assert client.flush(10)
        assert sorted(receiver.messages(), key=int) == [str(number) for number in range(30)]
        assert client.dropped() == 0


def test_the_bound_holds_for_all_processes_together(away: str, spool_dir: Path) -> None:
    for name in range(3):
        run_script(
            away,
            f"for number in range(8): client.capture_message('{name} ' + str(number))\nclient.close(0)",
            ", spool_max_bytes=2000",
        )
    kept = [message for message in messages_in(spool_dir) if "dropped" not in message]
    assert kept[:8] == [f"0 {number}" for number in range(8)]
    assert len(kept) < 16


def test_a_directory_that_can_not_be_written_to_means_memory(
    away: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    client.init(away, "the-key", spool_dir=tmp_path / "file")
    for number in range(3):
        client.capture_message(str(number))
    assert not client.flush(0.4)
    with back(away) as receiver:
        assert client.flush(10)
        assert receiver.messages() == ["0", "1", "2"]
    assert capsys.readouterr().err.count("kept in memory") == 1


def test_a_disk_that_is_full_in_the_middle_of_a_write_means_memory(receiver: Receiver, spool_dir: Path) -> None:
    # A limit of the file size stands for the disk: the write succeeds in part, the next one fails.
    body = """
        import resource, time
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
        for number in range(20):
            client.capture_message(str(number))
        time.sleep(0.6)
        print(client.flush(10), client.dropped())
    """
    receiver.answers = [(503, {})] * 2
    done = run_script(receiver.url, body, setup=AT_ONCE)
    assert (done.returncode, done.stdout) == (0, "True 0\n")
    assert done.stderr.count("kept in memory") == 1
    assert sorted(receiver.messages(), key=int) == [str(number) for number in range(20)]


@pytest.mark.parametrize("kind", ["link", "open"])
def test_a_directory_that_others_can_reach_is_not_used(
    away: str, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    roots, name = places(parse_address(away, "the-key"), str(tmp_path / "spool"))
    directory = Path(roots[0]) / name
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    directory.parent.mkdir()
    if kind == "link":
        directory.symlink_to(elsewhere)
    else:
        directory.mkdir()
        directory.chmod(0o777)
    client.init(away, "the-key", spool_dir=tmp_path / "spool")
    client.capture_message("private")
    assert not client.close(0.1)
    assert list(directory.iterdir()) == []
    assert "may be changed by others" in capsys.readouterr().err
    assert client.dropped() == 1
    client._sender = None


@pytest.mark.parametrize("way", ["parameter", "environment"])
def test_without_a_spool_nothing_touches_the_disk(
    away: str, spool_dir: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "environment":
        monkeypatch.setenv("MESHHOOK_ERRORS_CLIENT_SPOOL", "off")
    client.init(away, "the-key", spool_dir=False if way == "parameter" else None)
    client.capture_message("lost")
    assert not client.close(0.1)
    assert client.dropped() == 1
    assert not spool_dir.exists()
    client._sender = None


def test_it_stands_in_the_users_cache_or_the_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("TMPDIR", "/temporary")
    address = parse_address("http://secret@host/1", None)
    roots, name = places(address, None)
    assert roots == ["/cache", "/temporary"]
    assert "secret" not in name
    others = ("http://other@host/1", "http://secret@host:81/1", "http://secret@host/2")
    assert len({name, *(places(parse_address(other, None), None)[1] for other in others)}) == 4
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert places(address, None)[0][0] == "/home/somebody/.cache"


def test_the_next_place_is_used_where_the_first_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    spool = Spool([str(tmp_path / "file"), str(tmp_path / "second")], "name", 1000, lambda *_: None)
    assert spool.write("errors", [b"{}"]) == 1
    assert spool.next_batch() == ("errors", [b"{}"])
    spool.close()


def test_a_child_does_not_keep_a_dead_parents_file(away: str, spool_dir: Path) -> None:
    body = """
        import os, time
        client.capture_message("of the parent")
        while client._sender.queue:
            time.sleep(0.01)
        if os.fork() == 0:
            print("ready", flush=True)
            time.sleep(60)
        time.sleep(60)
    """
    process = start_script(away, body, setup=AT_ONCE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("needs a list of children")
    child = int(children.read_text().split()[0])
    process.kill()
    process.wait()
    try:
        with back(away) as receiver:
            client.init(away, "the-key")
            assert client.flush(10)
            assert receiver.messages() == ["of the parent"]
            os.kill(child, 0)  # it is still there
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_new_error_does_not_wait_for_all_that_is_spooled(away: str, spool_dir: Path) -> None:
    run_script(away, "for number in range(900): client.capture_message(str(number))\nclient.close(0)")
    with back(away) as receiver:
        go_on = threading.Event()
        receiver.judge = lambda _items: 202 * go_on.wait(10)
        client.init(away, "the-key")
        receiver.wait_for_requests(1)
        client.capture_message("live")
        go_on.set()
        assert client.flush(10)
        assert receiver.messages().index("live") <= 200
        assert len(receiver.messages()) == 901


def test_what_is_spooled_does_not_wait_for_a_pause_of_new_errors(away: str) -> None:
    run_script(away, "client.capture_message('spooled')\nclient.close(0)")

    def judge(_items: list[Any]) -> int:
        if len(receiver.times) < 10:
            client.capture_message("live")
        return 202

    with back(away) as receiver:
        receiver.judge = judge
        client.init(away, "the-key")
        client.capture_message("live")
        assert client.flush(10)
        assert receiver.messages().index("spooled") <= 3


def test_a_directory_that_was_cleaned_up_is_made_again(away: str, spool_dir: Path) -> None:
    client.init(away, "the-key")
    for count in (1, 2):
        client.capture_message(f"swept away {count}")
        wait_until(lambda count=count: len(messages_in(spool_dir)) == count)
        time.sleep(0.3)  # in which it begins to read the first file
    for file in files(spool_dir):
        file.unlink()
    next(spool_dir.iterdir()).rmdir()
    client.capture_message("kept")
    wait_until(lambda: messages_in(spool_dir) == ["kept"])
    with back(away) as receiver:
        assert client.flush(10)
        assert "kept" in receiver.messages()


def test_only_the_senders_thread_touches_the_disk(away: str, spool_dir: Path) -> None:
    body = """
        import sys, threading, time
        touching = set()

        def note(event, arguments):
            if arguments and "meshhook-errors-" in str(arguments[0]):
                touching.add(threading.current_thread().name)

        sys.addaudithook(note)
        for number in range(100):
            client.capture_message(str(number))
        while client._sender.queue:
            time.sleep(0.01)
        print(touching)
        client.close(0)
    """
    done = run_script(away, body, setup=AT_ONCE)
    assert done.stdout == "{'meshhook-errors'}\n"
    assert len(messages_in(spool_dir)) == 100
