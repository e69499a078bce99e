"""sentry-sdk for Python, as released, in processes of its own."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.listening import Project, until
from tests.ports import free_port
from tests.sdks.failing import RUN, WORKFLOW

ROOT = Path(__file__).parents[2]
GOOD, FAILING = 20, 5


@pytest.fixture
def failed(project: Project) -> list[dict[str, Any]]:
    """The errors of a program that failed in many ways."""
    command = [sys.executable, "-m", "tests.sdks.failing", project.dsn]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1, ended.stderr.decode()
    return project.events()


def test_every_way_to_fail_arrives_once_and_as_it_was(project: Project, failed: list[dict[str, Any]]) -> None:
    assert [event["title"] for event in failed] == [
        "KeyError: 'order number'",
        "ExceptionGroup: two deliveries failed",
        "order A-17 of 3 items was refused",
        "KeyError: the import stopped",
        "transform: the transform gave up",
        "KeyError: 'order number'",
        "KeyError: 'order number'",
    ]
    assert {event["source"] for event in failed} == {"worker"}
    assert project.counts() == {"errors": 7, "finished": 0, "failed": 0}
    caught, group, logged, excepted, of_workflow, threaded, unhandled = (event["metadata"] for event in failed)

    assert caught["exception"] == {"type": "KeyError", "value": "'order number'"}
    assert [frame["function"] for frame in caught["frames"]] == ["caught", "<lambda>", "parse"]
    assert [(cause["type"], cause["relation"]) for cause in caught["causes"]] == [("ValueError", "cause")]
    assert caught["causes"][0]["frames"][-1]["context_line"].strip() == "return int(text)"
    members = {(cause["type"], cause["value"], cause["relation"]) for cause in group["causes"]}
    assert members == {
        ("ConnectionRefusedError", "first host", "member"),
        ("TimeoutError", "second host", "member"),
    }
    assert logged["logger"] == "orders"
    assert excepted["exception"]["type"] == "KeyError"
    assert (of_workflow["node"], of_workflow["attempt"], of_workflow["max_attempts"]) == ("transform", 3, 3)
    assert [entry["handled"] for entry in (caught, threaded, unhandled)] == [True, False, False]
    assert unhandled["release"] == "orders@1.4.2"
    assert unhandled["sdk"].startswith("sentry.python")


def test_workflow_and_run_become_columns(failed: list[dict[str, Any]]) -> None:
    of_workflow = failed[4]
    assert (of_workflow["workflow_id"], of_workflow["run_id"]) == (WORKFLOW, RUN)
    assert of_workflow["severity"] == "low"  # its level was warning


def test_neither_local_variables_nor_packages_nor_the_key_are_kept(
    project: Project, failed: list[dict[str, Any]]
) -> None:
    kept = json.dumps(failed)
    assert "hunter2-in-a-local-variable" not in kept.replace('planted = \\"hunter2-in-a-local-variable', "")
    assert "annotated-types" not in kept
    assert project.key not in kept  # the program's arguments hold the DSN, and the SDK sends them


def test_requests_of_an_application_become_trials_and_its_failures_errors(project: Project) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.sdks.serving", project.dsn, str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as serving:
        until(lambda: _status(f"http://127.0.0.1:{port}/") == 404)
        statuses = [_status(f"http://127.0.0.1:{port}/good") for _ in range(GOOD - 1)]
        statuses += [_status(f"http://127.0.0.1:{port}/failing?order={number}") for number in range(FAILING)]
        _, errors = serving.communicate(timeout=60)
    assert serving.returncode == 0, errors.decode()
    assert statuses == [200] * (GOOD - 1) + [500] * FAILING
    # The first question, whether it listens, was a good request too.
    assert project.counts() == {"errors": FAILING, "finished": GOOD + FAILING, "failed": FAILING}
    events = project.events()
    assert {(event["source"], event["severity"]) for event in events} == {("webhook", "high")}
    assert len({event["fingerprint"] for event in events}) == 1
    request = events[0]["metadata"]["request"]
    assert (request["method"], request["url"]) == ("GET", f"http://127.0.0.1:{port}/failing")
    assert request["query_string"] == "order=0"


def test_an_envelope_that_is_sent_twice_counts_once(project: Project) -> None:
    """The moment of sending is what tells a resend of sums from more of the same."""
    began = datetime.now(UTC).replace(microsecond=0).isoformat()
    event = {"event_id": uuid4().hex, "message": "once"}
    sums = {"aggregates": [{"started": began, "exited": 7, "errored": 2, "crashed": 1}]}
    session = {"sid": "a1", "init": True, "status": "ok", "started": began}
    lines: list[Any] = [{"sent_at": began}]
    for kind, payload in (("event", event), ("sessions", sums), ("session", session)):
        lines += [{"type": kind}, payload]
    body = "\n".join(map(json.dumps, lines)).encode()
    assert [project.post(body).status for _ in range(3)] == [200] * 3
    ended = json.dumps({**session, "init": False, "status": "crashed", "errors": 1})
    for _ in range(2):
        project.post(b'{}\n{"type": "session"}\n' + ended.encode())
    assert project.counts() == {"errors": 1, "finished": 11, "failed": 4}


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
