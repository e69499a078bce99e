"""@sentry/node and @sentry/browser, as released: a Node program, a webhook server, and a page of another origin."""

import os
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Request

from tests.listening import Project, until
from tests.sdks.workshop import Workshop

ROOT = Path(__file__).parents[2]
WORKFLOW = "6f1d1c7e-0000-4000-8000-0000000000cc"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_node_program_reports_a_cause_and_an_unhandled_rejection(project: Project, workshop: Workshop) -> None:
    ended = subprocess.run(workshop.command("failing.mjs", project.dsn), capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1, ended.stderr.decode()
    caught, rejected = sorted(project.events(), key=lambda event: event["title"])
    assert (caught["title"], caught["source"], caught["severity"]) == ("Error: delivery 17 failed", "worker", "medium")
    (cause,) = caught["metadata"]["causes"]
    assert (cause["type"], cause["relation"]) == ("SyntaxError", "cause")
    frame = caught["metadata"]["frames"][-1]
    assert (frame["function"], frame["in_app"], frame["line"]) == ("deliver", True, 10)
    assert "delivery 17 failed" in frame["context_line"]
    assert rejected["title"] == "TypeError: refund.amount is undefined"
    assert (rejected["severity"], rejected["metadata"]["handled"]) == ("high", False)
    assert rejected["metadata"]["frames"][-1]["function"] == "refund"
    # The session of the process is told of twice: on its first error, and as it crashes.
    assert project.counts() == {"errors": 2, "finished": 1, "failed": 1}


def test_webhooks_that_are_refused_arrive_with_status_and_workflow(project: Project, workshop: Workshop) -> None:
    command = workshop.command("webhooks.mjs", project.dsn)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/hooks"
        statuses = [post(f"{url}/orders", "good") for _ in range(3)]
        statuses += [post(f"{url}/orders?token=planted-query-token", "bad"), post(f"{url}/unknown", "bad")]
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors.decode()
    assert statuses == [202, 202, 202, 401, 404]
    refused, unknown = sorted(project.events(), key=lambda event: event["metadata"]["http_status"])
    for event in (refused, unknown):
        assert (event["source"], event["error_type"], event["severity"]) == ("webhook", "input", "low")
        assert event["metadata"]["request"]["method"] == "POST"
    assert (refused["metadata"]["http_status"], refused["workflow_id"]) == (401, WORKFLOW)
    assert refused["title"] == "SignatureError: the signature doesn't fit the payload"
    assert (unknown["metadata"]["http_status"], unknown["workflow_id"]) == (404, None)
    assert unknown["title"] == "No workflow has the slug unknown"
    assert unknown["metadata"]["workflow_slug"] == "unknown"
    # A message isn't a failure of its request for the SDK: four of five requests went well.
    assert project.counts() == {"errors": 2, "finished": 5, "failed": 1}
    assert "planted" not in str(project.events())


def test_the_lines_for_sveltekit_in_the_docs_do_what_they_say(project: Project, workshop: Workshop) -> None:
    (lines,) = re.findall(r"```js\n(import.*?)```", (ROOT / "docs" / "capture.md").read_text(), re.DOTALL)
    (workshop.directory / "hooks.server.mjs").write_text(lines)
    environment = {**os.environ, "SENTRY_DSN": project.dsn}
    command = workshop.command("sveltekit.mjs")
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    columns = ("title", "source", "error_type", "severity", "workflow_id")
    assert sorted(tuple(event[name] for name in columns) for event in project.events()) == [
        ("RangeError: the queue is full", "webhook", "execution", "high", WORKFLOW),
        ("Webhook refused: 401", "webhook", "input", "low", WORKFLOW),
        ("Webhook refused: 404", "webhook", "input", "low", None),
    ]
    kept = {event["metadata"]["http_status"]: event["metadata"]["workflow_slug"] for event in project.events()}
    assert kept == {401: "orders", 404: "unknown", 500: "orders"}


@pytest.fixture
def page(workshop: Workshop) -> Iterator[str]:
    """The address of a page that an origin of its own serves."""
    script = workshop.bundle("page.mjs").read_bytes()
    html = b"<h1></h1><button id=unseen></button><button id=seen></button><script src=/page.js></script>"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_script = self.path == "/page.js"
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
            self.end_headers()
            self.wfile.write(script if is_script else html)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/orders"
    server.shutdown()
    server.server_close()


def test_a_page_of_another_origin_reports_and_its_session_counts_once(
    project: Project, chromium: Browser, page: str
) -> None:
    tab = chromium.new_page()
    sent: list[Request] = []
    tab.on("requestfinished", lambda request: sent.append(request) if "/envelope/" in request.url else None)
    tab.goto(f"{page}?dsn={quote(project.dsn, safe='')}")
    tab.wait_for_selector("text=ready")
    tab.click("#seen")
    tab.click("#unseen")
    until(lambda: tab.wait_for_timeout(50) or len(project.events()) == 2)
    answers: list[Any] = [request.response() for request in sent]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"*"}
    until(lambda: tab.wait_for_timeout(50) or project.counts() == {"errors": 2, "finished": 1, "failed": 1})
    tab.close()
    by_handled = {event["metadata"]["handled"]: event for event in project.events()}
    unseen = by_handled[False]
    assert unseen["title"].startswith("TypeError: Cannot read properties of undefined (reading 'reduce')")
    assert unseen["severity"] == "high"
    frames = unseen["metadata"]["frames"]
    assert frames[-1]["function"] == "total"
    assert frames[-1]["file"].endswith("/page.js")
    assert unseen["metadata"]["request"]["url"].startswith(page)
    assert project.key not in str(unseen)  # the address of the page holds the DSN
    assert project.counts() == {"errors": 2, "finished": 1, "failed": 1}


def test_a_browser_asks_before_it_sends_what_is_not_simple(project: Project, chromium: Browser, page: str) -> None:
    """Older SDKs send the key in a header, which a browser asks for first."""
    tab = chromium.new_page()
    tab.goto(page)
    status = tab.evaluate(
        """async ([url, key]) => (await fetch(url, {
            method: "POST",
            headers: {"X-Sentry-Auth": `Sentry sentry_key=${key}`, "Content-Type": "application/json"},
            body: JSON.stringify({event_id: crypto.randomUUID().replaceAll("-", ""), message: "from a page"}),
        })).status""",
        [f"{project.url}/api/{project.number}/store/", project.key],
    )
    tab.close()
    assert status == 200
    assert [event["title"] for event in project.events()] == ["from a page"]


def post(url: str, signature: str) -> int:
    request = urllib.request.Request(url, b'{"order": 17}', {"X-MeshHook-Signature": signature})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
