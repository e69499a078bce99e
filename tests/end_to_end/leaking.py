"""The planted corpus on its way through every door, as senders of each kind would send it."""

import contextlib
import http.client
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from ingest import client
from ingest.doors.meshhook.connection import connect as connect_meshhook
from jobs.demo.tables import create_tables
from tests.end_to_end.running import ROOT, Running
from tests.ingest.doors.otlp_requests import JSON, PROTOBUF, encoded, log_record, request_of
from tests.labelled.plants import Event, Planted, planted
from tests.meshhook import Worker

_BATCH = 150
_KEPT_SECONDS = 2  # a server closes a connection that nobody uses
_SENTRY = "application/x-sentry-envelope"


class Entrance:
    """A connection to the API. `answers` are the bodies of all answers, `accepted` counts what each door took."""

    def __init__(self, installation: Running) -> None:
        self._installation = installation
        self._connection = http.client.HTTPConnection(urlsplit(installation.info["api_url"]).netloc, timeout=60)
        self._used = time.monotonic()
        self.answers: list[str] = []
        self.accepted: dict[str, int] = {}

    def post(self, path: str, body: bytes, media_type: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._installation.info['ingest_key']}", "Content-Type": media_type}
        if time.monotonic() - self._used > _KEPT_SECONDS:
            self._connection.close()  # it opens itself again
        self._connection.request("POST", path, body, headers)
        self._used = time.monotonic()
        response = self._connection.getresponse()
        answer = response.read()
        self.answers.append(answer.decode(errors="replace"))
        return response.status, answer

    def took(self, door: str, count: int) -> None:
        self.accepted[door] = self.accepted.get(door, 0) + count

    def send_each(self, door: str, plants: Sequence[Planted]) -> None:
        """One native object a request."""
        for plant in plants:
            status, _ = self.post("/api/error-events", _json(_marked(plant.event, door)), JSON)
            assert status in (202, 422), status
            self.took(door, int(status == 202))

    def send_arrays(self, door: str, plants: Sequence[Planted]) -> None:
        for some in _batches(plants):
            self._native(door, _json([_marked(plant.event, door) for plant in some]), JSON)

    def send_lines(self, door: str, plants: Sequence[Planted]) -> None:
        lines = b"\n".join(_json(_marked(plant.event, door)) for plant in plants)
        self._native(door, lines, "application/x-ndjson")

    def _native(self, door: str, body: bytes, media_type: str) -> None:
        status, answer = self.post("/api/error-events", body, media_type)
        assert status == 202, answer
        self.took(door, json.loads(answer)["accepted"])

    def send_envelopes(self, door: str, plants: Sequence[Planted]) -> None:
        for plant in plants:
            lines: list[Any] = [{}, {"type": "event"}, sentry_event(plant.event, door)]
            status, answer = self.post(self._sentry("envelope"), b"\n".join(map(_json, lines)), _SENTRY)
            assert status == 200, answer
            self.took(door, 1)

    def send_stores(self, door: str, plants: Sequence[Planted]) -> None:
        for plant in plants:
            status, answer = self.post(self._sentry("store"), _json(sentry_event(plant.event, door)), JSON)
            assert status == 200, answer
            self.took(door, 1)

    def _sentry(self, door: str) -> str:
        return f"/api/1/{door}/?sentry_key={self._installation.info['ingest_key']}"

    def send_logs(self, door: str, plants: Sequence[Planted], media_type: str = PROTOBUF) -> None:
        for some in _batches(plants):
            request = request_of(*(otlp_record(plant.event, door) for plant in some), resource={"service.name": "shop"})
            status, answer = self.post("/v1/logs", encoded(request, media_type), media_type)
            assert status == 200, answer
            self.took(door, len(some))

    def send_json_logs(self, door: str, plants: Sequence[Planted]) -> None:
        self.send_logs(door, plants, JSON)


def through_the_api(entrance: Entrance, plants: Sequence[Planted]) -> None:
    """All of the corpus through each protocol; of the two doors that take one event at a time a third of it, because
    what they take is read as it is read in an array or an envelope."""
    entrance.send_each("object", plants[::3])
    entrance.send_arrays("array", plants)
    entrance.send_lines("lines", plants)
    entrance.send_envelopes("envelope", plants)
    entrance.send_stores("store", plants[::3])
    entrance.send_logs("OTLP protobuf", plants)
    entrance.send_json_logs("OTLP JSON", plants)


def through_the_client(installation: Running) -> str:
    """All of it from a worker in Python; answers what that process wrote."""
    command = [sys.executable, "-m", "tests.end_to_end.leaking", installation.info["dsn"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def through_meshhook(installation: Running, plants: Sequence[Planted]) -> int:
    """Each planted text as the error of a step and as that of a dead job, those with an address in the name of the step
    too; answers how many errors that makes, without those of the runs."""
    told = [plant for plant in plants if plant.text is not None and "\0" not in plant.text]
    url = installation.info["database_url"]
    with psycopg.connect(url, autocommit=True, options="-c search_path=meshhook_errors,public") as connection:
        create_tables(connection)
        connect_meshhook(connection)
        worker = Worker(connection)
        for some in _batches(told):
            run = worker.run()
            worker.created(run)
            for number, plant in enumerate(sorted(some, key=lambda plant: plant.kind == "email")):
                name = f"tell {plant.text}"[:100] if plant.kind == "email" else f"step {number}"
                worker.fail(run, 5, str(plant.text), node={"id": name, "type": "http_call"})
            worker.status(run, "failed")
        connection.cursor().executemany(
            """insert into public.job_tracking
                (msg_id, queue_name, attempt, moved_to_dlq_at, error_message, error_stack)
            values (1, 'workflow_jobs', 5, now(), %s, %s)""",
            [(plant.text, f"Error: {plant.text}\n    at pay (/app/pay.js:3:4)") for plant in told],
        )
    return 2 * len(told)


def sentry_event(event: Event, door: str) -> Event:
    """The event as an SDK of Sentry would tell it."""
    metadata = _metadata(event)
    exception = metadata.pop("exception", None) or {}
    frames = [
        {"filename": frame["file"], "lineno": frame["line"], "function": frame["function"]}
        | {name: value for name, value in frame.items() if name in ("vars", "context_line", "pre_context", "in_app")}
        for frame in metadata.pop("frames", [])
    ]
    given_tags = metadata.pop("tags", {})
    tags = {**(given_tags if isinstance(given_tags, dict) else dict(given_tags)), "door": door}
    sent: Event = {"event_id": uuid4().hex, "platform": "python", "tags": tags, "extra": metadata}
    for name in ("request", "user", "breadcrumbs", "logger", "release", "environment", "server_name"):
        if name in metadata:
            sent[name] = metadata.pop(name)
    if "message" in event:
        sent["logentry"] = {"message": "%s", "params": [event["message"]]}
    if exception or frames:
        value = {"type": exception.get("type", "Error"), "value": exception.get("value", "x")}
        sent["exception"] = {"values": [value | {"module": "app", "stacktrace": {"frames": frames}}]}
    if isinstance(event.get("title"), str):
        sent["transaction"] = event["title"]
    if isinstance(event.get("fingerprint"), list | str):
        sent["fingerprint"] = event["fingerprint"]
    return sent | {name: event[name] for name in event.keys() - {"message", "title", "fingerprint", "metadata"}}


def otlp_record(event: Event, door: str) -> Any:
    """The event as a logging library's exporter would tell it."""
    attributes = _metadata(event) | {"door": door}
    exception = attributes.pop("exception", None) or {}
    attributes |= {f"exception.{name}": value for name, value in exception.items() if name in ("type", "value")}
    if "exception.value" in attributes:
        attributes["exception.message"] = attributes.pop("exception.value")
    if "stack" in attributes:
        attributes["exception.stacktrace"] = attributes.pop("stack")
    if "workflow_id" in event:
        attributes["meshhook.workflow_id"] = event["workflow_id"]
    others = {name: event[name] for name in event.keys() - {"message", "metadata", "workflow_id"}}
    return log_record(event.get("message", "it failed"), attributes=attributes | others)


def _metadata(event: Event) -> Event:
    given = event.get("metadata", {})
    return dict(given) if isinstance(given, dict) else {"metadata": given}


def _marked(event: Event, door: str) -> Event:
    return event | {"door": door}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _fail(text: str) -> None:
    raise RuntimeError(text)


def main(dsn: str) -> None:
    """A worker that reports each planted event as a message, and each planted text as an exception and a log line."""
    client.init(dsn, spool_dir=False, max_queued=100_000)
    log = logging.getLogger("leaking")
    log.addHandler(client.ErrorHandler())
    log.propagate = False
    for plant in planted():
        event = plant.event
        context = _metadata(event) | {name: event[name] for name in event.keys() - {"message", "metadata"}}
        client.capture_message(event.get("message", "it failed"), **context, door="client message")
        if plant.text is not None:
            with contextlib.suppress(RuntimeError):
                try:
                    _fail(plant.text)
                except RuntimeError:
                    client.capture_exception(door="client exception")
                    raise
            log.error("it says %s", plant.text, extra={"door": "client log"})
    if not client.flush(30):
        sys.exit("not everything was sent")


if __name__ == "__main__":
    main(sys.argv[1])
