"""Parts of earlier versions, read as if today's had written them: columns were only ever added, at the end.

A column that came later stands in every part from some point on, because parts are written one after the other. Sealed
files have all of today's: sealing began when the newest one was there, and merges earlier parts with it filled in.
"""

from bisect import bisect_left
from functools import lru_cache

import polars as pl

from analytics.lake import Dataset, is_sealed
from ingest.statements import load_statements

_SQL = load_statements(__file__)
_NEWEST_COLUMN: dict[Dataset, str | None] = {"errors": "stands_for", "executions": None}


def parts_in_sql(dataset: Dataset, paths: list[str]) -> tuple[str, dict[str, list[str]]]:
    """A relation for a `from` clause over the files at `paths` (parts oldest first), and its parameters."""
    column = _NEWEST_COLUMN[dataset]
    if column is None:
        return _SQL["parts"].decode(), {"paths": paths}
    seals = [path for path in paths if is_sealed(path)]
    parts = [path for path in paths if not is_sealed(path)]
    later = bisect_left(parts, True, key=lambda path: _has_column(path, column))
    earlier, today = parts[:later], [*parts[later:], *seals]
    if not earlier:
        return _SQL["parts"].decode(), {"paths": today}
    if not today:
        return _SQL["earlier_parts"].decode(), {"earlier": earlier}
    return _SQL["both"].decode(), {"earlier": earlier, "paths": today}


@lru_cache(maxsize=50_000)
def _has_column(path: str, column: str) -> bool:
    """A part never changes. One that can't be read counts as new: whoever reads it next says what is wrong."""
    try:
        return column in pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError):
        return True


def as_of_today(frame: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """The rows of one part with today's columns."""
    column = _NEWEST_COLUMN[dataset]
    if column is None or column in frame.columns:
        return frame
    return frame.with_columns(pl.lit(1, pl.Int64()).alias(column))
