"""What our triggers cost MeshHook: pgbench with the statements of its own workers, with and without them in turn."""

import os
import random
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ingest.database import connect, migrate
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.connection import disconnect
from jobs.demo.tables import create_tables
from jobs.postgres import EmbeddedPostgres, programs

_NODES = ('"mapLead", "type": "transform"', '"createContact", "type": "http_call"', '"terminate", "type": "terminate"')
_FAILURE = '{"node": {"id": "createContact", "type": "http_call"}, "attempt": 1, "error": "Error: HTTP 502"}'


@dataclass(frozen=True)
class Cost:
    """Runs per second and the 99th percentile of a run in ms, without and with the triggers; medians of all rounds.
    `ratio` and `p99_ratio` compare neighbours. `failure_ms` is what a failing step costs more."""

    without: float
    with_triggers: float
    ratio: float
    p99_without: float
    p99_with: float
    p99_ratio: float
    failure_ms: float


def measure(rounds: int, runs: int, clients: int = 1) -> Cost:
    """Alternate `rounds` times, `runs` whole runs each time."""
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres")
        url = server.start()
        try:
            with connect(url, "bench") as connection:
                migrate(connection)
                create_tables(connection)
                script = Path(directory) / "run.sql"
                script.write_text(_script(connection))
                return _measure(connection, url, script, rounds, runs, clients)
        finally:
            server.stop()


def _measure(connection: psycopg.Connection, url: str, script: Path, rounds: int, runs: int, clients: int) -> Cost:
    told: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    failures: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds + 1):
        order = [False, True]
        random.Random(number).shuffle(order)
        for has_triggers in order:
            (connect_meshhook if has_triggers else disconnect)(connection)
            figures = _pgbench(url, script, runs, clients)
            failure = _failure_ms(url)
            if number:  # the first round only warms up
                told[has_triggers].append(figures)
                failures[has_triggers].append(failure)
            connection.execute("truncate meshhook_errors.meshhook_inbox")
    pairs = list(zip(told[False], told[True], strict=True))
    return Cost(
        *(statistics.median(tps for tps, _ in told[on]) for on in (False, True)),
        statistics.median(after[0] / before[0] for before, after in pairs),
        *(statistics.median(p99 for _, p99 in told[on]) for on in (False, True)),
        statistics.median(after[1] / before[1] for before, after in pairs),
        statistics.median(failures[True]) - statistics.median(failures[False]),
    )


def _pgbench(url: str, script: Path, runs: int, clients: int) -> tuple[float, float]:
    """Runs per second, and the 99th percentile in ms. The password goes by the environment."""
    parts = conninfo_to_dict(url)
    environment = {**os.environ, "PGPASSWORD": str(parts.pop("password"))}
    with tempfile.TemporaryDirectory() as logs:
        command = [str(programs() / "pgbench"), make_conninfo(**parts), "--no-vacuum", "--log", "-f", str(script)]
        # MeshHook's workers send each query with its values, unprepared.
        command += ["-t", str(runs // clients), "-c", str(clients), "-M", "extended"]
        began = time.perf_counter()
        subprocess.run(command, env=environment, cwd=logs, check=True, capture_output=True)
        took = time.perf_counter() - began
        lines = [line.split() for log in Path(logs).glob("pgbench_log.*") for line in log.read_text().splitlines()]
    latencies = sorted(int(line[2]) / 1000 for line in lines)
    tps = len(latencies) / (sum(latencies) / 1000 / clients) if latencies else runs / took
    return tps, latencies[int(len(latencies) * 0.99)]


def _failure_ms(url: str, times: int = 60) -> float:
    """The median milliseconds of a `step_failed`."""
    with psycopg.connect(url, autocommit=True) as worker:
        row = worker.execute("select id from public.workflow_runs limit 1").fetchone()
        assert row is not None
        took = []
        for _ in range(times):
            began = time.perf_counter()
            worker.execute(
                "insert into public.workflow_events (run_id, type, payload) values (%s, 'step_failed', %s)",
                (
                    row[0],
                    '{"node": {"id": "createContact", "type": "http_call"}, "attempt": 1, "error": "Error: HTTP 502"}',
                ),
            )
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def _script(connection: psycopg.Connection) -> str:
    """One run of three steps as MeshHook's web layer, orchestrator and executors write it, each statement by itself."""
    project = _id(
        connection, "insert into public.projects (owner, name) values (gen_random_uuid(), 'Acme') returning id"
    )
    workflow = _id(
        connection,
        "insert into public.workflow_definitions (project_id, slug, version, definition, name)"
        f" values ('{project}', 'lead-intake', 1, '{{}}', 'Lead intake') returning id",
    )

    def event(kind: str, payload: str) -> str:
        return f"insert into workflow_events (run_id, type, payload) values (:id, '{kind}', '{payload}'::jsonb);"

    lines = [
        "select id, project_id from workflow_definitions where slug = 'lead-intake' order by version desc limit 1;",
        "insert into workflow_runs (project_id, workflow_id, status)"
        f" values ('{project}', '{workflow}', 'running') returning id \\gset",
        event("run_created", '{"headers": {"content-type": "application/json"}, "body": "{}"}'),
    ]
    for node in _NODES:
        lines.append("select type, payload from workflow_events where run_id = :id order by ts asc;")
        lines.append(event("step_started", f'{{"node": {{"id": {node}}}}}'))
        if "http_call" in node:
            lines.append(event("http_attempted", f'{{"node": {{"id": {node}}}, "status": 200}}'))
        if "terminate" not in node:
            lines.append(
                event("step_succeeded", f'{{"node": {{"id": {node}}}, "next": null, "output": {{"ok": true}}}}')
            )
    lines.append(event("run_completed", '{"reason": "terminated"}'))
    lines.append("update workflow_runs set status = 'succeeded', finished_at = now() where id = :id;")
    return "\n".join(lines) + "\n"


def _id(connection: psycopg.Connection, statement: str) -> str:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])
