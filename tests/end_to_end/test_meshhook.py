"""A small MeshHook that really fails, watched by a whole installation whose jobs are killed meanwhile: what the API and
the pages tell is what really happened."""

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ingest.database import connect
from jobs.demo.play import Play
from jobs.demo.tables import create_tables
from jobs.demo.truth import WorkflowTruth
from tests.end_to_end.running import Running, running, until

SPEED = 60
STUCK_AFTER_SECONDS = 8


def test_what_is_told_of_meshhook_is_what_really_happened(tmp_path: Path) -> None:
    with running(tmp_path / "data") as installation:
        with connect(installation.info["database_url"], "tests") as connection:
            create_tables(connection)
        limits = ("--failed-after", "2s", "--stuck-after", f"{STUCK_AFTER_SECONDS}s")
        connected = installation.command("connect-meshhook", *limits)
        assert connected.returncode == 0, connected.stderr

        play = Play(
            installation.info["database_url"], speed=SPEED, seconds_of_script=8 * 60, dsn=installation.info["dsn"]
        )
        killer = threading.Thread(target=kill_the_jobs, args=(installation, 2), daemon=True)
        killer.start()
        truth = play.run(threading.Event())
        killer.join()

        until(lambda: stuck(installation) == set(truth.stuck), 60)
        until(lambda: executions(installation) == truth.executions, 30)
        assert errors_by_severity(installation) == {
            "low": truth.total("tries_repeated") + truth.webhooks_reported,
            "medium": len(truth.runs("failed")),
            "high": truth.total("steps_exhausted") + truth.total("jobs_dead_lettered") + len(truth.stuck),
        }
        for workflow in truth.workflows.values():
            assert_workflow_is_told(installation, workflow)
        assert truth.webhooks_reported == sum(truth.webhooks_refused.values()) > 0
        doctor = installation.command("doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert "MeshHook" in doctor.stdout


def kill_the_jobs(installation: Running, times: int) -> None:
    for _ in range(times):
        time.sleep(3)
        installation.kill("jobs")


def metrics(installation: Running, **filters: Any) -> dict[str, Any]:
    answer: dict[str, Any] = installation.request(
        "GET", "/api/error-metrics?" + urlencode({"interval": "1d"} | filters)
    )
    return answer


def executions(installation: Running, **filters: Any) -> tuple[int, int]:
    buckets = metrics(installation, **filters)["buckets"]
    return sum(bucket["finished"] for bucket in buckets), sum(bucket["failed"] for bucket in buckets)


def errors_by_severity(installation: Running, **filters: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for bucket in metrics(installation, group_by="severity", **filters)["buckets"]:
        counts[bucket["group"]] = counts.get(bucket["group"], 0) + bucket["errors"]
    return counts


def stuck(installation: Running) -> set[str]:
    """Runs that last too long, as the pages list them."""
    with connect(installation.info["database_url"], "tests") as connection:
        return {str(row[0]) for row in connection.execute("select run_id from stuck_runs where reason = 'too_long'")}


def assert_workflow_is_told(installation: Running, workflow: WorkflowTruth) -> None:
    failed = workflow.counts["steps_exhausted"] + len(workflow.runs["failed"])
    ended = sum(len(workflow.runs[outcome]) for outcome in ("succeeded", "failed", "canceled"))
    finished = workflow.counts["steps_succeeded"] + workflow.counts["steps_exhausted"] + ended
    scope = {"workflow_id": workflow.workflow.id}
    assert executions(installation, **scope) == (finished, failed)
    hanging = sum(len(workflow.runs[outcome]) for outcome in ("hanging", "dead_lettered", "unfinished"))
    told = {
        "low": workflow.counts["tries_repeated"],
        "medium": len(workflow.runs["failed"]),
        "high": workflow.counts["steps_exhausted"] + workflow.counts["jobs_dead_lettered"] + hanging,
    }
    assert errors_by_severity(installation, **scope) == {name: count for name, count in told.items() if count}
    for bucket in metrics(installation, **scope)["buckets"]:
        assert bucket["error_rate"] == (bucket["failed"] / bucket["finished"] if bucket["finished"] else None)
