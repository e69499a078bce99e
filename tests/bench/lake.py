"""The lake at size: every query behind the pages, beside Postgres on a slice of the rows and beside plain DuckDB."""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
from rich.console import Console
from rich.table import Table

from analytics.events import error_by_id
from analytics.filters import Filters
from analytics.groups import breakdown, group_details, list_groups
from analytics.lake import list_parts
from analytics.latest import latest_errors
from analytics.queries import error_series, group_counts, read_series, top_groups
from analytics.store import Store
from ingest.database import Connection, connect, migrate
from ingest.statements import filled, load_statements
from jobs.postgres import EmbeddedPostgres
from jobs.ranges import read_range
from tests.bench.behind import measure as behind_at
from tests.bench.history import History, make_history
from tests.end_to_end.running import running

BUDGET_MS = 150
_SQL = load_statements(__file__)
_CHDB = load_statements(__file__.replace("lake.py", "beside_chdb.py"))
_HOUR, _DAY = 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    what: str
    ours: str
    against: str
    budget: str
    is_met: bool


def times(question: Callable[[], object], rounds: int) -> tuple[float, float]:
    """p50 and p95 (nearest rank) in ms, after one round that warms up."""
    question()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        question()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return statistics.median(took), took[math.ceil(len(took) * 0.95) - 1]


def questions(store: Store, history: History) -> dict[str, Callable[[], object]]:
    """Every query behind every page, by what it is for."""
    end = history.end
    day, week, all_ = end - timedelta(days=1), end - timedelta(days=7), history.start
    no = Filters()
    newest = latest_errors(store, day, end, no, 1).row(0, named=True)
    known = UUID(newest["error_id"])
    group = Filters(fingerprint=(newest["fingerprint"],))
    rare = Filters(fingerprint=(group_counts(store, all_, end, no).row(-1, named=True)["fingerprint"],))
    workflow = Filters(workflow_id=(UUID(newest["workflow_id"]),))
    return {
        "overview, series by severity, 24 h": lambda: error_series(store, day, end, 1_800, no, "severity"),
        "overview, series by severity, 7 d": lambda: error_series(store, week, end, 10_800, no, "severity"),
        "overview, series per minute, 24 h": lambda: error_series(store, day, end, 60, no),
        "overview, top groups, 24 h": lambda: top_groups(store, day, end, no, 8),
        "overview, top groups, 7 d": lambda: top_groups(store, week, end, no, 8),
        "overview, latest errors": lambda: latest_errors(store, day, end, no, 8),
        "history by day, all": lambda: read_series(store, all_, end, _DAY, no),
        "history by hour, all": lambda: read_series(store, all_, end, _HOUR, no),
        "history by day, all, one workflow": lambda: read_series(store, all_, end, _DAY, workflow),
        "history by hour, all, high alone": lambda: read_series(store, all_, end, _HOUR, Filters(severity=("high",))),
        "history by hour, all, one workflow": lambda: read_series(store, all_, end, _HOUR, workflow),
        "history, latest 200 errors of a rare group": lambda: latest_errors(store, all_, end, rare, 200),
        "history, top groups, all": lambda: top_groups(store, all_, end, no, 50),
        "history, latest 200 errors": lambda: latest_errors(store, all_, end, no, 200),
        "errors, list with spark lines, 24 h": lambda: list_groups(store, day, end, limit=25),
        "errors, list with spark lines, 7 d": lambda: list_groups(store, week, end, limit=25, points=28),
        "group, details": lambda: group_details(store, newest["fingerprint"]),
        "group, series, 7 d": lambda: error_series(store, week, end, 10_800, group),
        "group, by workflow, 7 d": lambda: breakdown(store, week, end, group, "workflow_id"),
        "group, latest errors": lambda: latest_errors(store, week, end, group, 10, with_metadata=True),
        "one error by its id": lambda: error_by_id(store, known),
    }


def _know_groups(connection: Connection, paths: list[str]) -> None:
    with duckdb.connect() as reader:
        rows = reader.execute(_SQL["groups"].decode(), {"paths": paths}).fetchall()
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into error_groups (fingerprint, title, first_seen, last_seen, errors, source, error_type, severity,"
            " project_id, workflow_id, head) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(*row, row[0]) for row in rows],
        )


def page_figures(store: Store, history: History, rounds: int) -> list[Figure]:
    """The pages' queries against their budget."""
    figures = []
    for what, question in questions(store, history).items():
        p50, p95 = times(question, rounds)
        figures.append(Figure(what, f"p50 {p50:.0f}, p95 {p95:.0f} ms", "", f"p95 ≤ {BUDGET_MS} ms", p95 <= BUDGET_MS))
    return figures


def load_slice(connection: Connection, history: History, rows: int, scratch: Path) -> None:
    """The newest `rows` rows in Postgres, where an installation has those of its last days, too: counted and published
    long since. With indexes of its own for each question."""
    listed = "[" + ", ".join(f"'{path}'" for path in list_parts(history.lake_dir, "errors").paths()) + "]"
    text = scratch / "slice.csv"
    with duckdb.connect() as reader:
        reader.execute("set timezone = 'UTC'")
        reader.execute(filled(_SQL["slice"], paths=listed, rows=str(rows), path=str(text)).decode())
    with connection.cursor() as cursor, cursor.copy(_SQL["keep"]) as copy, text.open("rb") as file:
        while block := file.read(1 << 20):
            copy.write(block)
    text.unlink()
    for columns in ("error_id", 'fingerprint, "timestamp"', 'workflow_id, "timestamp"'):
        connection.execute(f"create index on error_metrics ({columns})".encode())
    connection.execute("vacuum analyze error_metrics")
    connection.execute(_SQL["counted"], {"watermark": str(list_parts(history.lake_dir, "errors").watermark)})


def postgres_figures(connection: Connection, store: Store, history: History, rows: int, scratch: Path) -> list[Figure]:
    """Beside that slice: its queries, its bytes, its COPY. Nothing is extrapolated: the lake has all of its rows,
    Postgres the slice, and the same range is asked of both."""
    figures = _compared(connection, store, history)
    row = connection.execute(_SQL["size"]).fetchone()
    assert row is not None
    paths = list_parts(history.lake_dir, "errors").paths()
    ours = sum(Path(path).stat().st_size for path in paths) / history.rows
    theirs = row[0] / rows
    what, against = f"bytes per error ({rows:,} of them in Postgres)", f"{theirs:.0f} bytes"
    figures.append(Figure(what, f"{ours:.0f} bytes, 1/{theirs / ours:.1f}", against, "≤ 1/15", theirs / ours >= 15))
    return [*figures, _mirror_figure(connection, rows, scratch)]


def _compared(connection: Connection, store: Store, history: History) -> list[Figure]:
    """The same questions about the whole days that Postgres has."""
    row = connection.execute("select date_trunc('day', min(\"timestamp\")) from error_metrics").fetchone()
    assert row is not None
    start, end = min(row[0] + timedelta(days=1), history.end - timedelta(days=1)), history.end
    days = (end - start).days
    span = {"start": start, "end": end}
    figures = []
    for name, ours in shared_questions(store, start, end).items():
        ask = _SQL[name]
        theirs, _ = times(lambda ask=ask: connection.execute(ask, span).fetchall(), 3)  # type: ignore[misc]
        mine, _ = times(ours, 5)
        what, against = f"{name} of {days} days, beside Postgres", f"{theirs:.0f} ms (Postgres)"
        figures.append(Figure(what, f"{mine:.0f} ms, {theirs / mine:.0f} ×", against, "≥ 100 ×", theirs / mine >= 100))
    return figures


def shared_questions(store: Store, start: datetime, end: datetime) -> dict[str, Callable[[], object]]:
    """What others are asked, too."""
    return {
        "series": lambda: error_series(store, start, end, _HOUR, Filters(), "severity"),
        "top": lambda: top_groups(store, start, end, Filters(), 10),
        "newest": lambda: latest_errors(store, start, end, Filters(), 50),
    }


def _mirror_figure(connection: Connection, rows: int, scratch: Path) -> Figure:
    """Reading a range and writing it as Parquet, beside a COPY that is thrown away."""
    row = connection.execute("select max(xact_id::text::bigint) + 1 from error_metrics").fetchone()
    assert row is not None
    began = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy("copy (select * from error_metrics) to stdout") as copy:
        for _ in copy:
            pass
    theirs = rows / (time.perf_counter() - began)
    began = time.perf_counter()
    frame = read_range(connection, "errors", 0, int(row[0]))
    frame.write_parquet(scratch / "range.parquet", compression="zstd", compression_level=1)
    ours = rows / (time.perf_counter() - began)
    what, against = "the mirror's reading and writing, without rollups", f"{theirs:,.0f} rows/s (COPY)"
    return Figure(what, f"{ours:,.0f} rows/s, {ours / theirs:.2f}", against, "≥ 0.50", ours / theirs >= 0.5)


def drill_figure(store: Store, history: History, rounds: int) -> Figure:
    """The newest errors of a day beside plain DuckDB on the same files."""
    start, end = history.end - timedelta(days=1), history.end
    paths = list_parts(history.lake_dir, "errors").paths(start.date(), start.date())
    values = {"paths": paths, "start": start, "end": end}
    with duckdb.connect(config={"threads": 2}) as plain:
        plain.execute("set timezone = 'UTC'")
        theirs, _ = times(lambda: plain.sql(_SQL["plain"].decode(), params=values).pl(), rounds)
    ours, _ = times(lambda: latest_errors(store, start, end, Filters(), 200), rounds)
    what = "drill-down: the newest 200 errors of a day"
    return Figure(what, f"{ours:.0f} ms, {ours / theirs:.2f} ×", f"{theirs:.0f} ms", "≤ 1.3 ×", ours / theirs <= 1.3)


def chdb_figures(store: Store, history: History) -> list[Figure]:
    """The same questions about everything, by ClickHouse's engine on the same files."""
    try:
        from chdb.session import Session  # noqa: PLC0415
    except ImportError:
        return [Figure("beside chdb", "not measured", "chdb isn't installed: make env-bench", "", is_met=True)]
    figures = []
    session = Session()
    files = f"{history.lake_dir}/errors/*/*.parquet"
    moments = {"start": f"{history.start:%Y-%m-%d %H:%M:%S}", "end": f"{history.end:%Y-%m-%d %H:%M:%S}"}
    for name, ours in shared_questions(store, history.start, history.end).items():
        ask = filled(_CHDB[name], files=files, **moments).decode()
        theirs, _ = times(lambda ask=ask: session.query(ask), 3)  # type: ignore[misc]
        mine, _ = times(ours, 5)
        what, against = f"{name} of all days, beside chdb", f"{theirs:.0f} ms (chdb on the same files)"
        figures.append(Figure(what, f"{mine:.0f} ms, {theirs / mine:.1f} ×", against, "", is_met=True))
    return figures


def behind_figure(errors_per_second: int = 2_000, seconds: float = 45, max_lag: int = 5) -> Figure:
    """The mirror under a steady stream."""
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        settings = {"MESHHOOK_ERRORS_MIRROR_MAX_LAG": str(max_lag), "MESHHOOK_ERRORS_DETAILS_PER_MINUTE": "100000000"}
        with running(data, **settings) as installation:
            behind = behind_at(installation, data / "lake", errors_per_second, seconds)
    what = f"the mirror's lag at {behind.errors / seconds:,.0f} errors/s, {behind.questions} questions meanwhile"
    ours = f"{behind.seconds:.1f} s, +{behind.grown_bytes / 2**20:.0f} MiB after the first third"
    return Figure(what, ours, "", f"≤ {max_lag} s", behind.seconds <= max_lag)


def measure(lake_dir: Path, errors: int, rounds: int, slice_: int, scratch: Path) -> list[Figure]:
    """All rows. A lake that stands already is measured as it is."""
    history = _standing(lake_dir) or make_history(lake_dir, errors)
    server = EmbeddedPostgres(scratch / "postgres")
    url = server.start()
    try:
        with connect(url, "bench") as connection:
            migrate(connection)
            _know_groups(connection, list_parts(lake_dir, "errors").paths())
            load_slice(connection, history, slice_, scratch)
            store = Store(url, lake_dir)
            try:
                figures = [*page_figures(store, history, rounds), drill_figure(store, history, rounds)]
                figures += chdb_figures(store, history)
                return figures + postgres_figures(connection, store, history, slice_, scratch)
            finally:
                store.close()
    finally:
        server.stop()


def _standing(lake_dir: Path) -> History | None:
    listing = list_parts(lake_dir, "errors")
    if not listing.files:
        return None
    paths = listing.paths()
    with duckdb.connect() as reader:
        reader.execute("set timezone = 'UTC'")
        row = reader.execute(
            "select date_trunc('day', min(\"timestamp\")), date_trunc('day', max(\"timestamp\")) + interval 1 day,"
            " count(*) from read_parquet($paths, hive_partitioning = false)",
            {"paths": paths},
        ).fetchone()
    assert row is not None
    return History(lake_dir, row[0], row[1], row[2])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=lake")
    parser.add_argument("--errors", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--slice", type=int, default=1_000_000, help="rows that Postgres gets, too")
    parser.add_argument("--lake", type=Path, help="a lake that stands, or is made and stays; else a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        lake_dir = options.lake or scratch / "lake"
        figures = [*measure(lake_dir, options.errors, options.rounds, options.slice, scratch), behind_figure()]
    table = Table("what", "ours", "against", "budget", "met")
    for figure in figures:
        table.add_row(figure.what, figure.ours, figure.against, figure.budget, "yes" if figure.is_met else "MISSED")
    Console(width=150).print(table)
    results = json.dumps([asdict(figure) for figure in figures], indent=2, ensure_ascii=False)
    Path("bench-lake-results.json").write_text(results + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
