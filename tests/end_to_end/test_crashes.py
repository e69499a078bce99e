"""Killed in the middle of the work: nothing acknowledged is lost, and nothing stands twice in the lake."""

import os
import signal
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.end_to_end.running import Running, read_files, running, until

pytestmark = pytest.mark.timeout(400)  # a disk that others use too makes many small parts slow


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {
        "MESHHOOK_ERRORS_MIRROR_MAX_LAG": "1",
        "MESHHOOK_ERRORS_MIRROR_MAX_ROWS": "1000",
        "MESHHOOK_ERRORS_DETAILS_PER_MINUTE": "1000000",  # each row is looked for by its id
    }
    with running(tmp_path_factory.mktemp("crash") / "data", **settings) as started:
        yield started


class Load:
    """Senders that remember what was acknowledged, and send again what wasn't, as a client does."""

    def __init__(self, installation: Running, senders: int = 3) -> None:
        self._installation = installation
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(senders)]
        self._lock = threading.Lock()
        self.acknowledged: set[str] = set()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        while not self._stop.is_set():
            batch = [{"error_id": str(uuid4()), "message": f"boom {number}"} for number in range(20)]
            while not self._stop.is_set():
                try:
                    answer = self._installation.request("POST", "/api/error-events", batch, key="ingest_key")
                except (urllib.error.URLError, OSError):
                    time.sleep(0.05)
                    continue
                assert answer["accepted"] + answer["duplicates"] == len(batch)
                with self._lock:
                    self.acknowledged |= {event["error_id"] for event in batch}
                break
            time.sleep(0.01)


def ids_in_lake(installation: Running) -> list[str]:
    lake = Path(installation.info["lake_url"])
    if not any(lake.glob("errors/**/*.parquet")):
        return []
    rows = read_files(f"select error_id from '{lake}/errors/**/*.parquet'")
    return [row[0] for row in rows]


def assert_nothing_is_lost_or_twice(installation: Running, acknowledged: set[str]) -> None:
    until(lambda: acknowledged <= set(ids_in_lake(installation)), 150)
    published = ids_in_lake(installation)
    assert len(published) == len(set(published))
    with psycopg.connect(installation.info["database_url"]) as connection:
        stored = {str(row[0]) for row in connection.execute("select error_id from meshhook_errors.error_metrics")}
        counted = connection.execute("select sum(errors) from meshhook_errors.error_counts").fetchone()
    assert acknowledged <= stored
    assert counted == (len(stored),)
    done = until(lambda: (checked := installation.command("verify")).returncode == 0 and checked, 20)
    assert done.stdout.startswith("Equal")


@pytest.mark.parametrize("victims", [("api",), ("jobs",), ("api", "jobs")], ids="+".join)
def test_killed_during_load(installation: Running, victims: tuple[str, ...]) -> None:
    with Load(installation) as load:
        for _ in range(2):
            before = len(load.acknowledged)
            until(lambda goal=before + 200: len(load.acknowledged) > goal, 60)  # type: ignore[misc]
            installation.kill(*victims)
            until(lambda: all(installation.pids(role) for role in victims), 30)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before + 200, 60)
    assert_nothing_is_lost_or_twice(installation, load.acknowledged)
    assert "died (signal 9); it starts again" in installation.output.read_text()


def test_postgres_restarts_during_load(installation: Running) -> None:
    postmaster = installation.directory / "postgres" / "cluster" / "postmaster.pid"
    with Load(installation) as load:
        until(lambda: len(load.acknowledged) > 200, 60)
        os.kill(int(postmaster.read_text().splitlines()[0]), signal.SIGQUIT)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before + 500, 60)
    assert_nothing_is_lost_or_twice(installation, load.acknowledged)


def test_events_are_taken_while_postgres_is_away(installation: Running) -> None:
    """Into the spool, and from there into Postgres once it is back."""
    postmaster = installation.directory / "postgres" / "cluster" / "postmaster.pid"
    pid = int(postmaster.read_text().splitlines()[0])
    os.kill(installation.process.pid, signal.SIGSTOP)  # so that nobody starts Postgres again
    try:
        os.kill(pid, signal.SIGQUIT)
        until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2], 20)
        event = {"error_id": str(uuid4()), "message": "while Postgres is away"}
        answer = installation.request("POST", "/api/error-events", event, key="ingest_key")
        assert answer["accepted"] == 1
    finally:
        os.kill(installation.process.pid, signal.SIGCONT)
    until(lambda: installation.request("GET", f"/api/error-events/{event['error_id']}"), 40)
    assert_nothing_is_lost_or_twice(installation, {event["error_id"]})


def test_data_survives_a_restart_and_even_a_killed_supervisor(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with running(directory) as first:
        first.request("POST", "/api/error-events", {"message": "kept"}, key="ingest_key")
        password = first.password
    with running(directory) as second:
        assert [event["title"] for event in second.request("GET", "/api/error-events")["events"]] == ["kept"]
        assert second.password == password
        assert password not in second.output.read_text()
        children = [pid for role in ("api", "jobs", "app") for pid in second.pids(role)]
        assert len(children) == 3
        second.process.kill()
        second.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 20)
    with running(directory) as third:
        assert len(third.request("GET", "/api/error-events")["events"]) == 1
