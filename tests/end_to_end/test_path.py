"""From a real failure in another process to the API, the lake, the page, Slack and mail. No part is replaced."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.running import ROOT, Running, read_files, until
from tests.end_to_end.worker import WORKFLOW
from tests.servers import Mailbox, Slack

ROUNDS = 5
ERRORS_A_ROUND = 4


def run_worker(installation: Running, rounds: int = ROUNDS) -> None:
    command = [sys.executable, "-m", "tests.end_to_end.worker", installation.info["dsn"], str(rounds)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


def count(installation: Running, **filters: str) -> int:
    metrics = installation.request("GET", f"/api/error-metrics?{urlencode({'interval': '1h'} | filters)}")
    return sum(bucket["errors"] for bucket in metrics["buckets"])


@pytest.fixture(scope="module")
def worked(installation: Running) -> Running:
    """An installation to which a worker has sent its errors."""
    run_worker(installation)
    return installation


def test_the_api_counts_every_error_and_every_execution(worked: Running) -> None:
    assert count(worked) == ROUNDS * ERRORS_A_ROUND
    assert count(worked, workflow_id=WORKFLOW) == ROUNDS * (ERRORS_A_ROUND - 1)
    metrics = worked.request("GET", "/api/error-metrics?interval=1d")
    sums = [sum(bucket[name] for bucket in metrics["buckets"]) for name in ("finished", "failed")]
    assert sums == [ROUNDS * 2, ROUNDS]


def test_errors_are_classified_grouped_and_masked(worked: Running) -> None:
    events = worked.request("GET", "/api/error-events?limit=100")["events"]
    by_title: dict[str, set[tuple[str, str]]] = {}
    for event in events:
        by_title.setdefault(event["title"].split(":")[0], set()).add((event["error_type"], event["severity"]))
    assert by_title["parseOrder"] == {("input", "low")}
    assert by_title["push"] == {("system", "high")}
    assert len({event["fingerprint"] for event in events}) == ERRORS_A_ROUND
    assert "hunter2-planted" not in json.dumps(events)
    (whole,) = [event for event in events if event["title"].startswith("push")][:1]
    assert worked.request("GET", f"/api/error-events/{whole['error_id']}")["metadata"]["release"] == "1.4.2"


def test_pages_of_events_follow_each_other_without_gap_or_repetition(worked: Running) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = worked.request("GET", f"/api/error-events?limit=7{cursor}")
        seen += [event["error_id"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == ROUNDS * ERRORS_A_ROUND


def test_plain_duckdb_and_plain_polars_read_the_lake(worked: Running) -> None:
    files = f"{worked.info['lake_url']}/errors/**/*.parquet"
    expected = ROUNDS * ERRORS_A_ROUND
    lake = Path(worked.info["lake_url"])
    until(lambda: any(lake.glob("errors/**/*.parquet")), 30)
    until(lambda: read_files(f"select count(*) from '{files}'") == [(expected,)], 30)
    by_type = read_files(f"select error_type, count(*) from '{files}' group by 1 order by 1")
    frame = pl.read_parquet(files, hive_partitioning=True)
    assert frame.group_by("error_type").len().sort("error_type").rows() == by_type
    assert count(worked) == expected  # now read from the lake, and none counted twice
    done = worked.command("verify")
    assert (done.returncode, done.stdout.startswith("Equal")) == (0, True), done.stdout


def test_the_live_page_moves_without_a_reload(worked: Running, chromium: Browser) -> None:
    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(worked.info["app_url"] + "/?range=6h&severity=high")
    page.fill("#name", "admin")
    page.fill("#password", worked.password)
    page.click("button")
    figure = page.locator('[data-testid="stMetricValue"]').first
    high = count(worked, severity="high")
    expect(figure).to_have_text(str(high), timeout=30_000)
    page.evaluate("window.stillTheSamePage = true")
    worked.request("POST", "/api/error-events", {"message": "one more", "severity": "high"}, key="ingest_key")
    expect(figure).to_have_text(str(high + 1), timeout=10_000)
    expect(page.get_by_text("one more").first).to_be_visible()
    assert page.evaluate("window.stillTheSamePage") is True
    assert "severity=high" in page.url
    assert "range=6h" in page.url
    expect(page.get_by_role("radio", name="6h")).to_be_checked()
    page.context.close()


def test_a_breach_and_its_resolve_reach_slack_and_mail(
    worked: Running, slack_receiver: Slack, mail_server: tuple[Mailbox, int]
) -> None:
    mailbox = mail_server[0]
    channels = [
        worked.request("POST", "/api/channels", body)["id"]
        for body in (
            {"name": "team", "kind": "slack", "webhook_url": slack_receiver.url},
            {"name": "on call", "kind": "email", "to": ["oncall@example.com"]},
        )
    ]
    rule = {
        "name": "Webhook trouble",
        "scope": {"source": ["webhook"]},
        "window_seconds": 10,
        "threshold": 5,
        "keep_firing_seconds": 0,
        "channel_ids": channels,
    }
    worked.request("POST", "/api/alert-rules", rule)
    # All within one 10-second window, wherever in it we are.
    until(lambda: _breach(worked), 30)
    until(lambda: len(slack_receiver.bodies) == 2 and len(mailbox.mails) == 2, 40)
    assert [body["text"].split("]")[0] for body in slack_receiver.bodies] == ["[firing", "[resolved"]
    told = json.dumps(slack_receiver.bodies[0])
    assert "Webhook trouble" in told
    assert "source=webhook" in told
    assert [mail["Subject"].split("]")[0] for mail in mailbox.mails] == ["[firing", "[resolved"]
    (alert,) = worked.request("GET", "/api/alerts")["alerts"]

    def sent() -> list[tuple[str, str]]:
        notifications = worked.request("GET", f"/api/alerts/{alert['id']}")["notifications"]
        return [(one["kind"], one["status"]) for one in notifications]

    # A message is there a moment before its delivery is on record.
    until(lambda: sent() == [("firing", "delivered")] * 2 + [("resolved", "delivered")] * 2)


def _breach(worked: Running) -> bool:
    """Send enough for a breach, until there is one: a window may begin in between."""
    body = [{"message": "invalid signature", "source": "webhook"}] * 6
    worked.request("POST", "/api/error-events", body, key="ingest_key")
    return bool(until(lambda: worked.request("GET", "/api/alerts")["alerts"], 5))


def test_nothing_is_open_without_a_key_or_a_sign_in(worked: Running, chromium: Browser) -> None:
    for path in ("/api/error-metrics", "/api/error-events", "/api/alert-rules", "/api/channels", "/api/alerts"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(worked.info["api_url"] + path)
        assert refused.value.code == 401, path
    page = chromium.new_context().new_page()
    page.goto(worked.info["app_url"] + "/history")
    assert "/sign-in?next=%2Fhistory" in page.url
    page.context.close()


def test_a_second_up_says_that_it_runs_already(worked: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "up", "--data-dir", str(worked.directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert worked.info["app_url"] in second.stderr


def test_the_doctor_finds_it_well(worked: Running) -> None:
    done = worked.command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
