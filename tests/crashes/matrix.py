"""What is tried: a mirror that dies, or is frozen and wakes up later, at each of its steps, while a plain DuckDB reads.

Each case runs the real mirror in a process of its own, on the real Postgres and a real lake. It publishes a range of
three days and seals them, among them what came days late and what came while a day was being merged. At the named step
it is stopped, a successor does all that is left, and then everything is counted.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Literal

import duckdb
import psycopg
import structlog

from analytics.lake import Dataset, list_parts
from ingest.database import Connection, connect
from jobs.exceptions import JobError, LeadershipLost
from jobs.mirror import Mirror
from jobs.verify import verify
from jobs.workbench import Workbench
from tests.seeding import insert_error, insert_report, now

PUBLISHING = (
    "bench made",
    "bench taken over",
    "bench cleared",
    "range claimed",
    "rollups published",
    "part opened",
    "part written",
    "part flushed",
    "part linked",
    "directory flushed",
    "range published",
)
SEALING = (
    "seal begun",
    "seal written",
    "seal flushed",
    "rollups built",
    "late parts linked",
    "lock checked",
    "rollups placed",
    "exchanged",
    "exchange flushed",
    "old put aside",
    "old names removed",
    "old rollups removed",
    "old file removed",
)
STEPS = (*PUBLISHING, *SEALING)
Fate = Literal["killed", "frozen"]
FATES: tuple[Fate, ...] = ("killed", "frozen")
CASES: list[tuple[str, Fate]] = [(step, fate) for step in STEPS for fate in FATES]

_DAYS: dict[Dataset, int] = {"errors": 3, "executions": 1}
_LATER = timedelta(days=5)  # by that clock every day of a case is closed
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.crashes.matrix"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case ended."""

    step: str
    fate: Fate
    rows: int
    reads: int
    refused_reads: int
    seconds: float
    problems: tuple[str, ...]


def run_case(database_url: str, lake_dir: Path, step: str, fate: Fate) -> Outcome:
    """Let a mirror meet its fate at `step`; answers what was wrong afterwards, if anything."""
    began = time.monotonic()
    with connect(database_url, "tests") as connection, _reader(database_url, lake_dir) as read:
        _predecessor(connection, database_url, lake_dir)
        unfortunate = _PROCESSES.Process(target=_unfortunate, args=(database_url, lake_dir, step, fate))
        unfortunate.start()
        problems = _until_it_stops(connection, unfortunate, fate)
        _succeed(database_url, lake_dir)
        if fate == "frozen" and not problems:
            assert unfortunate.pid is not None
            os.kill(unfortunate.pid, signal.SIGCONT)
            unfortunate.join(20)
            if unfortunate.exitcode != _STEPPED_DOWN:
                problems.append(f"the frozen one ended with {unfortunate.exitcode}")
            unfortunate.kill()
        rows, wrong = _count(connection, lake_dir)
        problems += wrong
    problems += read.problems
    return Outcome(step, fate, rows, read.reads, read.refused, time.monotonic() - began, tuple(problems))


# The one that is stopped -----------------------------------------------------------------------

_STEPPED_DOWN = 7


def _predecessor(connection: Connection, database_url: str, lake_dir: Path) -> None:
    """An earlier mirror, dead by now: it published a range, sealed the oldest day and left its bench as it was."""
    session = connect(database_url, "predecessor")
    mirror = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300)
    _insert(connection, days=(1, 2, 3), each=20)
    mirror.tick(everything=True)
    mirror.seal(_noon(days_ago=3) + timedelta(days=1, hours=16))
    bench: Workbench = mirror._workbench()
    bench.file("part").write_bytes(b"half a part")
    session.close()


def _unfortunate(database_url: str, lake_dir: Path, step: str, fate: Fate) -> None:
    """Publish, seal, remove what is old; stop at `step`. Ends with a code that says that it has stepped down."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # its dying words interest nobody
    session = connect(database_url, "unfortunate")
    late = connect(database_url, "late")
    met = False

    def meet(reached: str) -> None:
        nonlocal met
        if reached == step and not met:
            met = True
            os.kill(os.getpid(), signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
        if reached == "seal flushed":  # while a day is merged, something days late is published
            _insert(late, days=(2,), each=1)
            mirror.tick(everything=True)

    _insert(late, days=(1, 2, 3), each=5)
    mirror = _waiting_for_the_lock(session, lake_dir, meet)
    try:
        mirror.tick(everything=True)
        mirror.seal(now() + _LATER)
        mirror._workbench().remove_old(0)
        mirror.tick(everything=True)
    except (JobError, psycopg.OperationalError):
        os._exit(_STEPPED_DOWN)
    os._exit(0)


def _waiting_for_the_lock(session: Connection, lake_dir: Path, step: Any = lambda _: None) -> Mirror:
    for _ in range(400):
        try:
            return Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300, step=step)
        except LeadershipLost:
            time.sleep(0.02)
    raise TimeoutError("the lock never became free")


def _until_it_stops(connection: Connection, process: Any, fate: Fate) -> list[str]:
    """Wait for its fate. A frozen one loses its session, as Postgres would end it after two minutes of silence."""
    if fate == "killed":
        process.join(20)
        return [] if process.exitcode == -signal.SIGKILL else [f"it wasn't killed: {process.exitcode}"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.is_alive():
        if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where application_name like '%%unfortunate' and datname = current_database()"
            )
            return []
        time.sleep(0.01)
    return [f"it wasn't frozen: {process.exitcode}"]


def _succeed(database_url: str, lake_dir: Path) -> None:
    """The next mirror: it finishes what was begun, publishes something new and seals everything."""
    with connect(database_url, "successor") as session, connect(database_url, "later") as later:
        mirror = _waiting_for_the_lock(session, lake_dir)
        mirror.tick(everything=True)
        _insert(later, days=(1, 3), each=3)
        mirror.tick(everything=True)
        mirror.seal(now() + _LATER)


def _insert(connection: Connection, days: tuple[int, ...], each: int) -> None:
    with connection.transaction():
        for ago in days:
            for second in range(each):
                insert_error(connection, timestamp=_noon(ago) + timedelta(seconds=second))
        if 1 in days:
            insert_report(connection, 10, 2, timestamp=_noon(1))


def _noon(days_ago: int) -> datetime:
    return datetime.combine(now().date() - timedelta(days=days_ago), datetime.min.time(), tzinfo=UTC) + timedelta(
        hours=12
    )


# The count -------------------------------------------------------------------------------------


def _count(connection: Connection, lake_dir: Path) -> tuple[int, list[str]]:
    """Whether every row stands in the lake once, the days are sealed, and nothing lies about."""
    report = verify(connection, lake_dir)
    problems = [*report.problems, *(["rows were left behind"] if report.waiting > 2 else [])]  # the frozen one's last
    here = connection.execute(
        "select count(*) from error_metrics where xact_id < %s::text::xid8", [list_parts(lake_dir, "errors").watermark]
    ).fetchone()
    rows, ids = duckdb.sql(
        f"select count(*), count(distinct error_id) from '{lake_dir}/errors/**/*.parquet'"
    ).fetchall()[0]
    if here is None or not here[0] == rows == ids:
        problems.append(
            f"Postgres has {here and here[0]} errors below the watermark, the lake {rows} rows and {ids} ids"
        )
    for dataset, days in _DAYS.items():
        listing = list_parts(lake_dir, dataset)
        if len(listing.seals) != days or listing.superseded or listing.unfinished:
            problems.append(f"{dataset}: {len(listing.seals)} of {days} days are sealed")
    benches = [path for path in (lake_dir / ".mirror").iterdir() if path.name != "old"]
    if len(benches) != 1 or list(benches[0].iterdir()):
        problems.append(f"left on the workbenches: {[str(path) for bench in benches for path in bench.iterdir()]}")
    return rows, problems


# The reader ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reading:
    """What a reader met."""

    reads: int = 0
    refused: int = 0
    problems: tuple[str, ...] = ()


@contextmanager
def _reader(database_url: str, lake_dir: Path) -> Iterator[Reading]:
    """Somebody with plain DuckDB, who counts the files over and over in another process."""
    reading, stop, results = Reading(), _PROCESSES.Event(), _PROCESSES.SimpleQueue()
    process = _PROCESSES.Process(target=read_in_a_loop, args=(database_url, lake_dir, stop, results))
    process.start()
    try:
        yield reading
    finally:
        stop.set()
        process.join(20)
    reading.reads, reading.refused, reading.problems = results.get()


def read_in_a_loop(database_url: str, lake_dir: Path, stop: Event, results: Any) -> None:
    """Until `stop`: no row stands twice, and none below the watermark is missing. An error is allowed."""
    reads, refused, problems = 0, 0, []
    with connect(database_url, "reader") as connection, duckdb.connect() as plain:
        while not stop.wait(0.005):
            watermark = list_parts(lake_dir, "errors").watermark
            if not watermark:
                continue
            expected = connection.execute(
                "select count(*) from error_metrics where xact_id < %s::text::xid8", [watermark]
            ).fetchone()
            try:
                found = plain.sql(
                    "select count(*), count(distinct error_id), count(*) filter (where xact_id < ?)"
                    f" from '{lake_dir}/errors/**/*.parquet'",
                    params=[watermark],
                ).fetchall()[0]
            except duckdb.Error:
                refused += 1
                continue
            reads += 1
            if found[0] != found[1] or expected is None or found[2] != expected[0]:
                problems.append(f"a reader saw {found}, below {watermark} are {expected}")
    results.put((reads, refused, tuple(problems[:3])))
