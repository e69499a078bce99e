"""A storm: one group's errors from eight clients at once, while a neighbour goes on sending its own, one at a time."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg

from tests.end_to_end.running import Running

CLIENTS = 8
STORM, NEIGHBOUR = UUID(int=0x57), UUID(int=0x4E)
_BATCH = 100
_PADDING = "x" * 600  # an error of about 1 KB


@dataclass(frozen=True, slots=True)
class Weather:
    """`delays` are the neighbour's waits for an answer, in seconds; sizes in bytes; `refused` are answers with 429."""

    errors: int
    seconds: float
    refused: int
    delays: list[float]
    memory_grown: int
    stored: int

    @property
    def worst_delay(self) -> float:
        return max(self.delays)


def storm(installation: Running, errors: int) -> Weather:
    """Send `errors` as fast as they are taken. Every request must be answered, with 202 or as counted."""
    before, began = _memory(installation), time.monotonic()
    over = threading.Event()
    delays: list[float] = []
    neighbour = threading.Thread(target=_send_single_ones, args=(installation, over, delays))
    neighbour.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            refused = sum(pool.map(lambda _: _send_batches(installation, errors // CLIENTS), range(CLIENTS)))
    finally:
        seconds = time.monotonic() - began
        grown = _memory(installation) - before
        over.set()
        neighbour.join()
    return Weather(errors, seconds, refused, delays, grown, stored_bytes(installation))


def stored_bytes(installation: Running) -> int:
    """What the errors take in Postgres, with indexes and the ledger of ids."""
    with psycopg.connect(installation.info["database_url"]) as connection:
        row = connection.execute(
            """select sum(pg_total_relation_size(inhrelid)) + pg_total_relation_size('meshhook_errors.error_ids')
            from pg_inherits where inhparent = 'meshhook_errors.error_metrics'::regclass"""
        ).fetchone()
    assert row is not None
    return int(row[0])


def _memory(installation: Running) -> int:
    """Resident bytes of the API's processes."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in installation.pids("api")]
    assert pages
    return sum(pages) * 4096


def _send_batches(installation: Running, errors: int) -> int:
    """One client; answers how many requests were told to wait."""
    connection, refused = _connection(installation), 0
    for _ in range(errors // _BATCH):
        answer = _post(connection, installation, [_error(STORM, "the queue is full") for _ in range(_BATCH)])
        assert answer["accepted"] == _BATCH, answer
        refused += "counted" in answer
    connection.close()
    return refused


def _send_single_ones(installation: Running, over: threading.Event, delays: list[float]) -> None:
    connection = _connection(installation)
    while not over.is_set():
        sent = time.monotonic()
        assert _post(connection, installation, [_error(NEIGHBOUR, "HTTP 502")])["accepted"] == 1
        delays.append(time.monotonic() - sent)
        over.wait(0.05)
    connection.close()


def _error(project: UUID, message: str) -> dict[str, str]:
    return {"error_id": str(uuid4()), "project_id": str(project), "message": message, "padding": _PADDING}


def _connection(installation: Running) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(installation.info["api_url"]).netloc, timeout=60)


def _post(
    connection: http.client.HTTPConnection, installation: Running, events: list[dict[str, str]]
) -> dict[str, int]:
    headers = {"Authorization": f"Bearer {installation.info['ingest_key']}", "Content-Type": "application/json"}
    connection.request("POST", "/api/error-events", json.dumps(events), headers)
    response = connection.getresponse()
    answer: dict[str, int] = json.loads(response.read())
    assert response.status in (202, 429), answer
    return answer
