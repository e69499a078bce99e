"""How soon a breach is told: from the commit of the decisive error to the message at the receiver, with 1,000 rules
and a steady stream of other errors."""

import json
import statistics
import subprocess
import sys
import threading
import time
from uuid import uuid4

import psycopg

from tests.end_to_end.running import ROOT, Running
from tests.servers import Slack, slack_server

_RULES = 1_000


def measure(
    installation: Running, errors_per_second: int, breaches: int, rules: int = _RULES
) -> tuple[float, float, int]:
    """p50 and p99 in seconds, and how many of the breaches were told."""
    with slack_server() as slack:
        channel = installation.request(
            "POST", "/api/channels", {"name": f"bench {uuid4()}", "kind": "slack", "webhook_url": slack.url}
        )
        workflows = _rules(installation, channel["id"], rules, breaches)
        streaming = threading.Thread(
            target=stream, args=(installation, errors_per_second, breaches * 0.7 + 4), daemon=True
        )
        streaming.start()
        time.sleep(2)
        delays = [delay for workflow in workflows if (delay := _breach(installation, slack, workflow)) is not None]
        streaming.join()
    ordered = sorted(delays)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], len(ordered)


def _rules(installation: Running, channel: str, rules: int, watched: int) -> list[str]:
    """Rules written as the API writes them: some watch a workflow of their own, the others never fire."""
    workflows = [str(uuid4()) for _ in range(watched)]
    with psycopg.connect(installation.info["database_url"], autocommit=True) as connection:
        connection.execute("set search_path to meshhook_errors")
        for number in range(rules):
            own = number < watched
            connection.execute(
                """insert into alert_rules (name, signal, scope, window_seconds, threshold, channel_ids)
                values (%s, 'count', %s::jsonb, 300, %s, array[%s::uuid])""",
                (
                    f"{uuid4()}",
                    json.dumps({"workflow_id": [workflows[number]]}) if own else '{"source": ["worker"]}',
                    5 if own else 10_000_000 + number,
                    channel,
                ),
            )
        connection.execute("select pg_notify('meshhook_errors_rules', '')")
    return workflows


def stream(installation: Running, errors_per_second: int, seconds: float) -> None:
    """Errors at a steady rate, from a process of its own."""
    port = installation.info["api_url"].rpartition(":")[2]
    command = [sys.executable, "-m", "tests.bench.stream", port, installation.info["ingest_key"]]
    subprocess.run([*command, str(errors_per_second), str(seconds)], cwd=ROOT, check=False)


def _breach(installation: Running, slack: Slack, workflow: str) -> float | None:
    """Seconds from the answer, which is sent after the commit, to the message."""
    told = len(slack.bodies)
    body = [{"message": "decisive", "workflow_id": workflow}] * 5
    installation.request("POST", "/api/error-events", body, key="ingest_key")
    committed = time.perf_counter()
    while len(slack.bodies) == told:
        if time.perf_counter() - committed > 10:
            return None
        time.sleep(0.002)
    delay = time.perf_counter() - committed
    time.sleep(0.25)
    return delay
