"""A sender whose events are hard to mask keeps nobody else waiting, at any door."""

import json
import threading
import time
import urllib.request
from typing import Any

import pytest

from tests.listening import Project

TEXT = "%2570%2561ssword%253DZq7Xw9Lm " * 3000  # a second or so of masking
EVENTS = 3


def native() -> tuple[str, bytes]:
    return "/api/error-events", json.dumps([{"message": f"{number} {TEXT}"} for number in range(EVENTS)]).encode()


def envelope() -> tuple[str, bytes]:
    lines: list[Any] = [{}]
    for number in range(EVENTS):
        lines += [{"type": "event"}, {"message": f"{number} {TEXT}"}]
    return "/api/{number}/envelope/", b"\n".join(json.dumps(line).encode() for line in lines)


def logs() -> tuple[str, bytes]:
    texts = [{"severityNumber": 17, "body": {"stringValue": f"{number} {TEXT}"}} for number in range(EVENTS)]
    return "/v1/logs", json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": texts}]}]}).encode()


def fingerprints() -> tuple[str, bytes]:
    own = [[f"{number} {TEXT[:10_000]}"] * 9 for number in range(EVENTS)]
    return "/api/error-events", json.dumps([{"message": "x", "fingerprint": each} for each in own]).encode()


def post(project: Project, path: str, body: bytes) -> float:
    """The seconds until the answer."""
    headers = {"Authorization": f"Bearer {project.key}", "Content-Type": "application/json"}
    if "envelope" in path:
        headers = {"X-Sentry-Auth": f"Sentry sentry_key={project.key}"}
    request = urllib.request.Request(project.url + path.format(number=project.number), body, headers)
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status < 300
    return time.monotonic() - began


@pytest.mark.parametrize("body", [native, envelope, logs, fingerprints])
def test_what_is_hard_to_mask_keeps_no_neighbour_waiting(project: Project, body: Any) -> None:
    took: list[float] = []
    hard = threading.Thread(target=lambda: took.append(post(project, *body())))
    hard.start()
    time.sleep(0.2)
    waited = []
    while hard.is_alive():
        waited.append(post(project, "/api/error-events", b'{"message": "neighbour"}'))
        time.sleep(0.02)

    assert len(waited) > 3, "it was hard"
    assert max(waited) < took[0] / 3
    assert len(project.events()) == EVENTS + len(waited)
