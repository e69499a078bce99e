"""A small lake on disk, without Postgres: files as the mirror writes them, of today's and of the first version."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import polars as pl

from analytics.lake import COLUMNS, Dataset, Part, day_dir

FIRST_DAY = date(2026, 11, 2)  # a Monday
DAYS = 14
WORKFLOWS = [str(UUID(int=number)) for number in range(1, 6)]
PROJECT = str(UUID(int=100))


def write_part(
    lake_dir: Path, dataset: Dataset, day: date, start: int, frame: pl.DataFrame, *, old: bool = False
) -> Path:
    """One file of one day, the only one of its range `[start, start + 10)`; `old`: without what came later."""
    path = day_dir(lake_dir, dataset, day) / Part.name(start, start + 10, 1, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    today = frame.select(pl.col(name).cast(kind) for name, kind in COLUMNS[dataset].items())
    (today.drop("stands_for", strict=False) if old else today).write_parquet(path)
    return path


def errors_of(day: date, rows: int, *, stands_for: int = 1, xact: int = 1) -> pl.DataFrame:
    """`rows` errors spread over the day, of six groups, three severities and five workflows."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    number = pl.int_range(rows, eager=True)
    step = timedelta(days=1) / max(rows, 1)
    pick = lambda values: [values[n % len(values)] for n in range(rows)]  # noqa: E731
    return pl.DataFrame(
        {
            "error_id": [str(UUID(int=day.toordinal() * 10**6 + xact * 10**4 + n)) for n in range(rows)],
            "timestamp": [begin + n * step for n in range(rows)],
            "source": pick(["worker", "worker", "webhook", "system"]),
            "error_type": pick(["execution", "input", "system"]),
            "severity": pick(["high", "medium", "low"]),
            "workflow_id": pick(WORKFLOWS),
            "metadata": pick(
                [
                    '{"message": "fetch failed", "http_status": 502, "node": "call", "tags": {"plan": "pro"}}',
                    '{"message": "bad input", "exception": {"type": "ValueError"}, "attempt": 1, "release": "1.4.0"}',
                ]
            ),
            "project_id": [PROJECT] * rows,
            "run_id": [str(UUID(int=n // 2 + 1)) for n in number],
            "title": pick([f"Failure {group}" for group in range(6)]),
            "fingerprint": pick([f"1-{group}" for group in range(6)]),
            "received_at": [begin + n * step + timedelta(seconds=1 + n % 7) for n in range(rows)],
            "xact_id": [xact] * rows,
            "stands_for": [stands_for] * rows,
        }
    )


def executions_of(day: date, *, xact: int = 1) -> pl.DataFrame:
    """A report for each workflow and hour: 100 finished, and as many failed as the workflow's number."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    cells = [(hour, number) for hour in range(24) for number in range(len(WORKFLOWS))]
    return pl.DataFrame(
        {
            "report_id": [str(UUID(int=day.toordinal() * 1000 + index)) for index in range(len(cells))],
            "timestamp": [begin + timedelta(hours=hour, minutes=5) for hour, _ in cells],
            "source": ["worker"] * len(cells),
            "project_id": [PROJECT] * len(cells),
            "workflow_id": [WORKFLOWS[number] for _, number in cells],
            "finished": [100] * len(cells),
            "failed": [number + 1 for _, number in cells],
            "received_at": [begin + timedelta(hours=hour, minutes=6) for hour, _ in cells],
            "xact_id": [xact] * len(cells),
        }
    )


def make_lake(lake_dir: Path, first_day: date = FIRST_DAY) -> Path:
    """Two weeks from `first_day` on: 120 errors a day, in the second one 240; the first three days as the first version
    wrote them; on the last day one row that stands for 500; and trials of every hour."""
    for number in range(DAYS):
        day, start = first_day + timedelta(days=number), number * 10
        rows = errors_of(day, 120 if number < 7 else 240, xact=start + 1)
        if number == DAYS - 1:
            flood = errors_of(day, 1, stands_for=500, xact=start + 2).with_columns(metadata=pl.lit('{"counted": true}'))
            rows = pl.concat([rows, flood])
        write_part(lake_dir, "errors", day, start, rows, old=number < 3)
        write_part(lake_dir, "executions", day, start, executions_of(day, xact=start + 1))
    return lake_dir
