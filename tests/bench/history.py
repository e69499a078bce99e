"""A history of any size as a lake, the same for the same seed: bursts, days and nights, few groups with most errors.

The files are what the mirror would have sealed: its own statement writes them, its own rollups stand beside them.
Memory is bounded by one day.
"""

import argparse
import json
import math
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from analytics.lake import COLUMNS, DATASETS, Dataset, Seal, day_dir
from ingest.statements import filled, load_statements
from jobs import contents, sealing
from jobs.contents import footer_of
from jobs.month_rollups import rebuild_months
from jobs.rollup import build_rollups, place_rollups
from jobs.workbench import Workbench

WORKFLOWS = 400
GROUPS = 5_000
_SQL = load_statements(__file__)
_SEAL = load_statements(sealing.__file__)["seal"]
_CONTENTS = load_statements(contents.__file__)
_TABLES: dict[Dataset, str] = {"errors": "made", "executions": "trials"}
_WEEK = (1.0, 1.1, 1.15, 1.1, 0.95, 0.4, 0.35)  # Monday to Sunday
_TRANSACTIONS = 1_000_000  # a day's, at most


@dataclass(frozen=True, slots=True)
class History:
    """What was made: `rows` errors in `[start, end)`, whole days."""

    lake_dir: Path
    start: datetime
    end: datetime
    rows: int


def make_history(
    lake_dir: Path,
    rows: int,
    *,
    days: int = 90,
    seed: int = 6,
    last: date | None = None,
    memory: str = "1GB",
    tell: Callable[[str], None] = lambda _: None,
) -> History:
    """Write about `rows` errors over `days` days up to `last` (yesterday), and their trials, into an empty lake."""
    final = last or datetime.now(UTC).date() - timedelta(days=1)
    chosen = [final - timedelta(days=days - 1 - index) for index in range(days)]
    weights = [_WEEK[day.weekday()] for day in chosen]
    counts = [max(1, math.floor(rows * weight / sum(weights))) for weight in weights]
    lake_dir.mkdir(parents=True, exist_ok=True)
    bench = Workbench(lake_dir, lambda: True)
    spill = bench.path / "spill"
    options: dict[str, str | int | bool] = {"threads": 2, "memory_limit": memory, "temp_directory": str(spill)}
    with duckdb.connect(config=options) as reader:  # type: ignore[arg-type]
        reader.execute("set timezone = 'UTC'")
        for index, (day, count) in enumerate(zip(chosen, counts, strict=True)):
            _make_day(reader, bench, lake_dir, day, count, seed, 1 + index * _TRANSACTIONS)
            tell(f"{day}: {count:,}")
        for dataset in DATASETS:
            rebuild_months(bench, lake_dir, dataset, reader, final + timedelta(days=1))
    shutil.rmtree(bench.path, ignore_errors=True)
    midnight = datetime.min.time()
    start = datetime.combine(chosen[0], midnight, UTC)
    return History(lake_dir, start, datetime.combine(final, midnight, UTC) + timedelta(days=1), sum(counts))


def _make_day(
    reader: duckdb.DuckDBPyConnection, bench: Workbench, lake_dir: Path, day: date, rows: int, seed: int, start: int
) -> None:
    slots = {
        "rows": str(rows),
        "seed": str(seed),
        "day": str(day.toordinal()),
        "day_us": str(int(datetime.combine(day, datetime.min.time(), UTC).timestamp()) * 1_000_000),
        "groups": str(GROUPS),
        "workflows": str(WORKFLOWS),
        "start": str(start),
        **{f"noise_{salt}": _noise(seed, day, salt) for salt in range(1, 5)},
    }
    for dataset in DATASETS:
        reader.execute(filled(_SQL[dataset], **slots).decode())
    for dataset in DATASETS:
        _seal(reader, bench, lake_dir, dataset, day, (start, start + _TRANSACTIONS))


def _noise(seed: int, day: date, salt: int) -> str:
    """A number from 0 to 1 that follows from the row alone, however many threads there are."""
    return f"((hash(n, {seed}, {day.toordinal()}, {salt}) % 1000000007) / 1000000007.0)"


def _seal(
    reader: duckdb.DuckDBPyConnection,
    bench: Workbench,
    lake_dir: Path,
    dataset: Dataset,
    day: date,
    span: tuple[int, int],
) -> None:
    table = _TABLES[dataset]
    figures = reader.execute(filled(_CONTENTS[dataset], parts=table).decode()).fetchone()
    assert figures is not None
    rows, counted, ids = figures[:3]
    told = {"rows": str(rows), "counted": str(counted), "ids": str(ids)}
    parts = json.dumps([[*span, 1, 1, rows]], separators=(",", ":"))
    footer = footer_of(dataset, day, span, "history", **told, parts=parts)
    directory = day_dir(lake_dir, dataset, day)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / Seal.name(*span, secrets.token_hex(8))
    statement = filled(
        _SEAL,
        columns=", ".join(f'"{name}"' for name in COLUMNS[dataset]),
        parts=table,
        order=sealing.ORDER[dataset],
        path=f"'{path}'",
        row_group=str(sealing.ROW_GROUP),
        page_bytes=str(sealing.PAGE_BYTES),
        footer="{" + ", ".join(f"'{name}': '{value}'" for name, value in footer.items()) + "}",
    )
    reader.execute(statement.decode())
    place_rollups(bench, build_rollups(bench, lake_dir, dataset, day, path, reader=reader))


def main() -> None:
    """A directory and a number of errors → a lake."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.history")
    parser.add_argument("lake", type=Path)
    parser.add_argument("errors", type=int)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args()
    made = make_history(options.lake, options.errors, days=options.days, seed=options.seed, tell=print)
    print(f"{made.rows:,} errors from {made.start:%Y-%m-%d} to {made.end:%Y-%m-%d}")


if __name__ == "__main__":
    main()
