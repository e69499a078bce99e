"""The demo really fails as its script says, its truth is exact, and what is captured of it is that truth."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest import client
from ingest.database import Connection, connect
from ingest.doors.meshhook.connection import Limits
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.hall import Hall
from jobs.demo.play import Play, PlayBroken
from jobs.demo.script import Script
from jobs.demo.tables import create_tables
from jobs.demo.truth import OUTCOMES, Truth
from jobs.meshhook import MeshHookWatch
from tests.end_to_end.running import ROOT, until
from tests.ingest.receiver import receiving
from tests.jobs.test_cli import command, said

MINUTE = 60.0
# A quick play of 6 minutes of script: the longest healthy run lasts about a second.
QUICK = Limits(stuck_after_seconds=4, failed_after_seconds=2)


def one(connection: Connection, statement: str) -> tuple[int, ...]:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row


def assert_tables_tell(truth: Truth, connection: Connection, *, sets_failed: bool) -> None:
    """What anybody counts in MeshHook's tables."""
    events = dict(connection.execute("select type, count(*) from public.workflow_events group by 1").fetchall())
    assert events["run_created"] == truth.total("runs_started")
    assert events["step_started"] == truth.total("steps_started")
    assert events["step_succeeded"] == truth.total("steps_succeeded")
    assert events["run_completed"] == len(truth.runs("succeeded"))
    assert one(
        connection,
        """select count(*) filter (where (payload ->> 'attempt')::int < 5),
            count(*) filter (where (payload ->> 'attempt')::int = 5)
        from public.workflow_events where type = 'step_failed'""",
    ) == (truth.total("tries_repeated"), truth.total("steps_exhausted"))

    status = {
        status: {str(run_id) for run_id in ids}
        for status, ids in connection.execute("select status, array_agg(id) from public.workflow_runs group by 1")
    }
    failed = set(truth.runs("failed"))
    assert status["succeeded"] == set(truth.runs("succeeded"))
    assert status["canceled"] == set(truth.runs("canceled"))
    assert status.get("failed", set()) == (failed if sets_failed else set())
    assert status["running"] == set(truth.stuck) | (set() if sets_failed else failed)
    assert one(
        connection, "select count(*) from public.workflow_runs where (finished_at is null) <> (status = 'running')"
    ) == (0,)

    last = dict(
        connection.execute(
            """select distinct on (run_id) run_id::text, type from public.workflow_events order by run_id, id desc"""
        ).fetchall()
    )
    assert {last[run_id] for run_id in failed} == {"step_failed"}
    assert {last[run_id] for run_id in truth.runs("dead_lettered")} == {"run_created"}
    assert {last[run_id] for run_id in truth.runs("hanging")} <= {"step_started", "step_failed"}
    assert one(
        connection,
        """select count(*) filter (where moved_to_dlq_at is not null), count(*) filter (where completed_at is not null),
            coalesce(sum(attempt) filter (where moved_to_dlq_at is null), 0)
                + coalesce(sum(attempt - 1) filter (where moved_to_dlq_at is not null), 0)
                - count(*) filter (where completed_at is not null)
        from public.job_tracking""",
    ) == (
        truth.total("jobs_dead_lettered"),
        sum(
            workflow.counts["runs_started"] - len(workflow.runs["dead_lettered"])
            for label, workflow in truth.workflows.items()
            if label.startswith("invoice-export")
        ),
        truth.total("jobs_repeated"),
    )


def assert_pages_show(truth: Truth, connection: Connection) -> None:
    """What the capture makes of it, when all silences are long enough."""
    until(
        lambda: one(connection, "select count(*) from stuck_runs where reason = 'too_long'") == (len(truth.stuck),), 25
    )
    errors = dict(
        connection.execute(
            """select case when title like 'Job in the dead-letter queue%' then 'dead letter'
                when title like '%: run stuck%' then 'stuck' when title like '%: run failed at%' then 'run failed'
                else severity::text end, count(*)
            from error_metrics group by 1"""
        ).fetchall()
    )
    assert errors == {
        "low": truth.total("tries_repeated"),
        "high": truth.total("steps_exhausted"),
        "run failed": len(truth.runs("failed")),
        "dead letter": truth.total("jobs_dead_lettered"),
        "stuck": len(truth.stuck),
    }
    assert one(connection, "select sum(finished)::int, sum(failed)::int from execution_metrics") == truth.executions


@contextmanager
def watching(database_url: str) -> Iterator[None]:
    with connect(database_url, "tests") as connection:
        connect_meshhook(connection, QUICK)
    watch = MeshHookWatch(database_url, Hall())
    watch.start()
    try:
        yield
    finally:
        watch.stop()


@pytest.mark.parametrize("sets_failed", [False, True], ids=["status stays running", "status failed is set"])
def test_the_truth_is_what_the_tables_and_the_pages_tell(
    connection: Connection, database_url: str, sets_failed: bool
) -> None:
    create_tables(connection)
    play = Play(database_url, speed=60, seconds_of_script=6 * MINUTE, sets_failed=sets_failed)
    with watching(database_url):
        truth = play.run(threading.Event())
        assert_tables_tell(truth, connection, sets_failed=sets_failed)
        assert_pages_show(truth, connection)

    assert truth.runs("unfinished") == []
    assert (len(truth.runs("hanging")), len(truth.runs("canceled")), truth.total("runs_paused")) == (5, 3, 3)
    assert truth.webhooks_refused == {"bad_signature": 15, "unknown_slug": 10}
    assert {"customer-sync v1", "customer-sync v2", "customer-sync v3"} <= truth.workflows.keys()
    broken = truth.workflows["customer-sync v2"]
    assert len(broken.runs["failed"]) == broken.counts["runs_started"] > 0
    errors = {row[0] for row in connection.execute("select distinct payload ->> 'error' from public.workflow_events")}
    assert errors >= {
        "Error: HTTP 502",
        "Error: HTTP 503",
        "Error: HTTP 422",
        "TypeError: fetch failed",
        "TimeoutError: The operation was aborted due to timeout",
        "TypeError: Cannot read properties of undefined (reading 'phone')",
    }
    lasted = "select max(extract(epoch from finished_at - started_at)) < 10 / 3.0 from public.workflow_runs"
    assert one(connection, lasted) == (True,), "a healthy run at 60 times the speed, where stuck ones last 10 s"


def test_what_the_web_layer_refuses_it_reports_itself(connection: Connection, database_url: str) -> None:
    create_tables(connection)
    with receiving() as receiver:
        dsn = receiver.url.replace("http://", "http://mhe_key@") + "/1"
        truth = Play(database_url, speed=60, seconds_of_script=5 * MINUTE, dsn=dsn).run(threading.Event())
        reported = receiver.taken()
    assert client.capture_message("after the play nothing is reported") is None
    assert truth.webhooks_reported == len(reported) == 25
    assert {event["source"] for event in reported} == {"webhook"}
    assert sorted(event["metadata"]["http_status"] for event in reported) == [401] * 15 + [404] * 10
    projects = {str(row[0]) for row in connection.execute("select id from public.projects")}
    assert {event["project_id"] for event in reported} == projects


def test_a_second_play_begins_with_versions_that_work(connection: Connection, database_url: str) -> None:
    create_tables(connection)
    stop = threading.Event()
    first = Play(database_url, speed=60, seconds_of_script=6 * MINUTE)
    deploy = next(trouble for trouble in first.script.troubles if trouble.kind == "deploy")
    truth = first.run(stop, lambda second: stop.set() if second > (deploy.start + deploy.end) / 2 else None)
    published = "select slug, version from public.workflows where status = 'published' and slug = 'customer-sync'"
    assert connection.execute(published.encode()).fetchall() == [("customer-sync", 3)]
    assert truth.script_seconds < deploy.end
    assert truth.total("runs_started") == sum(len(truth.runs(outcome)) for outcome in OUTCOMES)

    stop.clear()
    again = Play(database_url, speed=60, seconds_of_script=6 * MINUTE)
    truth = again.run(stop, lambda second: stop.set() if second > 30 else None)
    assert set(truth.workflows) & {"customer-sync v1", "customer-sync v2"} == set()


def test_a_script_is_the_same_for_a_seed_and_leaves_nothing_out() -> None:
    script = Script(60 * MINUTE, 7)
    assert script.troubles == Script(60 * MINUTE, 7).troubles
    assert script.arrivals == Script(60 * MINUTE, 7).arrivals
    assert script.arrivals != Script(60 * MINUTE, 8).arrivals
    assert script.troubles != Script(60 * MINUTE, 8).troubles
    for minutes in (5, 60, 240):
        script = Script(minutes * MINUTE, 7)
        assert all(0 < trouble.start < trouble.end < minutes * MINUTE for trouble in script.troubles)
        assert [arrival.number for arrival in script.arrivals] == list(range(1, len(script.arrivals) + 1))
        for trouble in script.troubles:
            met = [arrival.slug for arrival in script.arrivals if trouble.start <= arrival.second < trouble.end]
            assert all(met.count(slug) >= 3 for slug in trouble.slugs)


def test_a_play_that_loses_its_database_says_so_and_keeps_its_truth(connection: Connection, database_url: str) -> None:
    create_tables(connection)
    play = Play(database_url, speed=60, seconds_of_script=6 * MINUTE)

    def break_it(second: float) -> None:
        if second > 40:
            connection.execute("alter table public.workflow_events rename to workflow_events_gone")

    with pytest.raises(PlayBroken, match="UndefinedTable"):
        play.run(threading.Event(), break_it)
    truth = play.truth()
    assert one(connection, "select count(*) from public.workflow_events_gone where type = 'step_succeeded'") == (
        truth.total("steps_succeeded"),
    )


def test_the_command_plays_and_takes_away_what_it_made(connection: Connection, database_url: str) -> None:
    environment = os.environ | {"DATABASE_URL": database_url, "MESHHOOK_ERRORS_DATA_DIR": "/nonexistent"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "demo", "--speed", "60", "--minutes", "60"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: one(connection, "select count(*) from pg_tables where tablename = 'workflow_runs'") == (1,))
        until(lambda: one(connection, "select count(*) from public.workflow_runs") > (5,))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert "a broken version is deployed" in output
    assert "What really happened" in output
    assert "Traceback" not in output
    started = one(connection, "select count(*) from public.workflow_events where type = 'run_created'")[0]
    (line,) = (line for line in output.splitlines() if line.startswith("all "))
    assert line.split()[1] == str(started)
    limits = "select stuck_after_seconds::int, failed_after_seconds::int from meshhook_connection"
    assert one(connection, limits) == (10, 2)

    removed = command("demo", "--remove", DATABASE_URL=database_url)
    assert removed.stdout == "The demo's tables are removed.\n", removed.stderr
    assert one(connection, "select count(*) from pg_tables where schemaname = 'public'") == (0,)
    assert one(connection, limits) == (600, 10)
    assert "no tables here" in command("demo", "--remove", DATABASE_URL=database_url).stdout


def test_the_command_leaves_a_real_meshhook_alone(connection: Connection, database_url: str) -> None:
    create_tables(connection)
    connection.execute("comment on table public.workflow_runs is null")
    for arguments in (("demo",), ("demo", "--remove")):
        assert "didn't make" in said(command(*arguments, DATABASE_URL=database_url))
    assert one(connection, "select count(*) from pg_trigger where tgname like 'meshhook_errors%'") == (0,)
    assert one(connection, "select count(*) from public.workflow_runs") == (0,)
