"""Erasing while everything runs: errors keep coming in, days are sealed, and plain DuckDB counts all the while."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest

from tests.end_to_end.running import Running, read_files, running, until

GONE, OTHER = str(UUID(int=7)), str(UUID(int=8))
BEFORE = 40  # errors of each project on each of two days
START = (datetime.now(UTC) - timedelta(days=3)).isoformat()
LONG_AGO = timedelta(hours=26)  # of a day that is sealed by now


def errors(project: str, moment: datetime, number: int) -> list[dict[str, str]]:
    return [
        {"error_id": str(uuid4()), "project_id": project, "timestamp": moment.isoformat(), "message": "refused"}
        for _ in range(number)
    ]


def in_the_lake(installation: Running, project: str) -> list[str]:
    files = installation.directory / "lake" / "errors" / "**" / "*.parquet"
    statement = f"select error_id from read_parquet('{files}') where project_id = '{project}'"
    return [row[0] for row in read_files(statement)]


def by_api(installation: Running, project: str) -> list[str]:
    """The ids of all errors of a project, page by page."""
    asked, found = {"project_id": project, "limit": "500", "start": START}, []
    while True:
        page = installation.request("GET", f"/api/error-events?{urlencode(asked)}")
        found += [event["error_id"] for event in page["events"]]
        if not page["next_cursor"]:
            return found
        asked["cursor"] = page["next_cursor"]


def counted(installation: Running, project: str, interval: str = "1h", start: str = START) -> tuple[int, int]:
    """Errors and finished trials of a project."""
    asked = urlencode({"project_id": project, "interval": interval, "start": start})
    buckets = installation.request("GET", f"/api/error-metrics?{asked}")["buckets"]
    return sum(bucket["errors"] for bucket in buckets), sum(bucket["finished"] for bucket in buckets)


class Meanwhile:
    """Sends an error of each project after the other, and counts the other's in the lake, until it is left."""

    def __init__(self, installation: Running) -> None:
        self.sent: dict[str, list[str]] = {GONE: [], OTHER: []}
        self.counts: list[int] = []
        self._installation = installation
        self._stop = threading.Event()

    def send(self) -> None:
        while not self._stop.is_set():
            for project, sent in self.sent.items():
                (error,) = errors(project, datetime.now(UTC), 1)
                self._installation.request("POST", "/api/error-events", error, "ingest_key")
                sent.append(error["error_id"])

    def count(self) -> None:
        while not self._stop.wait(0.05):
            self.counts.append(len(in_the_lake(self._installation, OTHER)))

    @contextmanager
    def goes_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=work) for work in (self.send, self.count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()


def seed(installation: Running) -> dict[str, list[str]]:
    """Errors and trials of both projects on two days, all in the lake, the older day sealed; answers the errors."""
    now, ids = datetime.now(UTC), {}
    for project in (GONE, OTHER):
        items = [error for moment in (now - LONG_AGO, now) for error in errors(project, moment, BEFORE)]
        installation.request("POST", "/api/error-events", items, "ingest_key")
        installation.request("POST", "/api/executions", {"project_id": project, "finished": 9}, "ingest_key")
        ids[project] = [item["error_id"] for item in items]
    lake = installation.directory / "lake" / "errors"
    until(lambda: list(lake.glob(f"day={(now - LONG_AGO).date()}/sealed-*.parquet")))
    until(lambda: all(len(in_the_lake(installation, project)) == 2 * BEFORE for project in ids))
    return ids


@pytest.mark.timeout(120)
def test_a_project_is_erased_while_errors_of_it_and_of_another_keep_coming(tmp_path: Path) -> None:
    with running(tmp_path / "data", MESHHOOK_ERRORS_MIRROR_MAX_LAG="1") as installation:
        before = seed(installation)
        meanwhile = Meanwhile(installation)
        with meanwhile.goes_on():
            until(lambda: len(meanwhile.sent[GONE]) > 20)
            begun = len(meanwhile.sent[GONE])
            erased = installation.command("erase", "--project", GONE, "--yes")
            assert erased.returncode == 0, erased.stderr
            ended = len(meanwhile.sent[GONE])
            until(lambda: len(meanwhile.sent[GONE]) > ended + 20)
        mine, others = meanwhile.sent[GONE], before[OTHER] + meanwhile.sent[OTHER]

        left = by_api(installation, GONE)
        # They were committed one after the other: what was there at the erasure's own cut is gone, all later ones stay.
        assert sorted(left) == sorted(mine[len(mine) - len(left) :])
        assert len(mine) - ended - 1 <= len(left) <= len(mine) - begun
        assert sorted(by_api(installation, OTHER)) == sorted(others)
        assert counted(installation, GONE) == (len(left), 0)
        assert counted(installation, OTHER) == (len(others), 9)
        hour = (datetime.now(UTC) - timedelta(hours=1)).isoformat()  # in intervals that only Postgres has
        assert counted(installation, GONE, "10s", hour) == (len(left), 0)
        assert counted(installation, OTHER, "10s", hour) == (len(others) - BEFORE, 9)

        until(lambda: len(in_the_lake(installation, OTHER)) == len(others))
        until(lambda: sorted(in_the_lake(installation, GONE)) == sorted(left))
        assert sorted(in_the_lake(installation, OTHER)) == sorted(others)
        assert meanwhile.counts == sorted(meanwhile.counts) and len(meanwhile.counts) > 5
        until(lambda: ", 0 not due yet" in installation.command("verify").stdout)
        proved = installation.command("verify")
        assert (proved.returncode, proved.stdout.startswith("Equal")) == (0, True), proved.stdout
