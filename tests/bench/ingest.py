"""Durable ingest through the whole pipeline, beside what it is measured against."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ingest.hall import Hall
from ingest.rows import error_row
from ingest.statements import load_statements
from tests.bench.load import event
from tests.end_to_end.running import ROOT, Running, until
from tests.ports import free_port

_COPY = load_statements(str(ROOT / "ingest" / "lane.py"))["copy_errors"]


@contextmanager
def baseline() -> Iterator[int]:
    """The port of the Starlette route, served as the API is."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench.baseline:app", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT)
    try:
        until(lambda: drive(port, "none", 1, 0.05) > 0)
        yield port
    finally:
        process.terminate()
        process.wait()


def drive(port: int, key: str, batch: int, seconds: float, path: str = "/api/error-events") -> float:
    """Requests a second from a process of its own."""
    connections = 64 if batch == 1 else 8
    arguments = [port, path, key, batch, seconds, connections]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return float(done.stdout) if done.returncode == 0 else 0.0


def single_events(installation: Running, seconds: float, rounds: int) -> tuple[float, float]:
    """Median requests a second of the baseline and of ours, measured in turn."""
    port = int(installation.info["api_url"].rpartition(":")[2])
    theirs, ours = [], []
    with baseline() as baseline_port:
        for _ in range(rounds):
            theirs.append(drive(baseline_port, "none", 1, seconds))
            ours.append(drive(port, installation.info["ingest_key"], 1, seconds))
    return statistics.median(theirs), statistics.median(ours)


def envelopes(installation: Running, seconds: float, rounds: int) -> tuple[float, float]:
    """Median requests a second of the native door and of the Sentry door, measured in turn."""
    port = int(installation.info["api_url"].rpartition(":")[2])
    key = installation.info["ingest_key"]
    native, sentry = [], []
    for _ in range(rounds):
        native.append(drive(port, key, 1, seconds))
        sentry.append(drive(port, key, 1, seconds, "/api/1/envelope/"))
    return statistics.median(native), statistics.median(sentry)


def batches(installation: Running, seconds: float, rounds: int) -> tuple[float, float]:
    """Median rows a second of COPY of finished rows, and of ours in batches of 100."""
    port = int(installation.info["api_url"].rpartition(":")[2])
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(_copy(installation, seconds))
        ours.append(100 * drive(port, installation.info["ingest_key"], 100, seconds))
    return statistics.median(theirs), statistics.median(ours)


def _copy(installation: Running, seconds: float) -> float:
    """Finished rows into a table like ours, one transaction for each 100."""
    from datetime import UTC, datetime  # noqa: PLC0415

    received = datetime.now(UTC)
    block = b"".join(error_row(Hall().normalise(event(number), received)).line for number in range(100))
    rows = 0
    with psycopg.connect(installation.info["database_url"], autocommit=True) as connection:
        connection.execute(
            "create table if not exists public.copied (like meshhook_errors.error_metrics including all)"
        )
        statement = _COPY.replace(b"error_metrics", b"public.copied", 1)
        connection.execute("set search_path to public, meshhook_errors")
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(block)
            rows += 100
        spent = time.perf_counter() - began
        connection.execute("drop table public.copied")
    return rows / spent
