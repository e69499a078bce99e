"""What files of the lake hold: by their footers, and by reading them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from analytics.evolution import parts_in_sql
from analytics.lake import SCHEMA_VERSION, Dataset, Part, Seal
from ingest.statements import filled, load_statements
from jobs.ranges import ID_COLUMN

_SQL = load_statements(__file__)
_KEY = "meshhook_errors."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MergedPart = tuple[int, int, int, int, int]
"""A part that a sealed file was made of: start, end, number, of, rows."""


class Damaged(Exception):
    """A file can't be read, or doesn't hold what its name and footer say; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Figures of one file, or of several together."""

    rows: int
    counted: int  # sum of stands_for, of finished for trials
    ids: str  # sum over all ids of the first 60 bits of their MD5: no order, but every id counts
    first_xact: int | None
    last_xact: int | None
    first_us: int | None
    last_us: int | None

    def lie_in(self, file: Part | Seal) -> bool:
        """Whether all rows belong in that file by day and transaction. A sealed file may have none: its day was erased
        or retired, and it keeps the day's accounts."""
        if self.rows == 0:
            return isinstance(file, Seal)
        if self.first_us is None or self.last_us is None or self.first_xact is None or self.last_xact is None:
            return False
        first = file.start if isinstance(file, Part) else 0
        return (
            _day(self.first_us) == file.day == _day(self.last_us)
            and first <= self.first_xact
            and self.last_xact < file.end
        )


def _day(microseconds: int) -> date:
    return (_EPOCH + timedelta(microseconds=microseconds)).date()


def open_reader(spill: Path | None = None, *, memory: str = "512MB") -> duckdb.DuckDBPyConnection:
    """A DuckDB with bounded memory, which puts what it can't hold into `spill`."""
    options: dict[str, str | int | bool] = {"threads": 1, "memory_limit": memory, "autoinstall_known_extensions": False}
    if spill is not None:
        options["temp_directory"] = str(spill)
    reader = duckdb.connect(config=options)  # type: ignore[arg-type]
    reader.execute("set timezone = 'UTC'")
    return reader


def read_contents(reader: duckdb.DuckDBPyConnection, dataset: Dataset, paths: Sequence[Path]) -> Contents:
    """Read the figures of files. Raises Damaged where one can't be read."""
    return Contents(*_row(reader, dataset, paths, _SQL[dataset]))


def rows_twice(reader: duckdb.DuckDBPyConnection, dataset: Dataset, path: Path) -> int:
    """How many rows of a file stand in it already. Raises Damaged where it can't be read."""
    return int(_row(reader, dataset, [path], filled(_SQL["twice"], id=ID_COLUMN[dataset]))[0])


def _row(
    reader: duckdb.DuckDBPyConnection, dataset: Dataset, paths: Sequence[Path], statement: bytes
) -> tuple[Any, ...]:
    parts, values = parts_in_sql(dataset, [str(path) for path in paths])
    try:
        rows: list[tuple[Any, ...]] = reader.execute(filled(statement, parts=parts).decode(), values).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise Damaged(f"{_named(error, paths)} can't be read ({type(error).__name__}).") from error
    return rows[0]


def _named(error: duckdb.Error, paths: Sequence[Path]) -> str:
    return next((str(path) for path in paths if str(path) in str(error)), str(paths[0].parent))


def read_footer(path: Path) -> dict[str, str]:
    """What we wrote into a file's footer, without the beginning of the keys. Raises Damaged."""
    try:
        found = pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Damaged(f"{path} can't be read ({type(error).__name__}).") from error
    return {key.removeprefix(_KEY): value for key, value in found.items() if key.startswith(_KEY)}


def merged_parts(path: Path, footer: dict[str, str]) -> list[MergedPart]:
    """The parts that a sealed file was made of. Raises Damaged where its footer doesn't tell."""
    try:
        return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in json.loads(footer["parts"])]
    except (KeyError, ValueError, TypeError) as error:
        raise Damaged(f"{path}: its footer doesn't say what it was made of.") from error


def parts_of(file: Part | Seal) -> list[MergedPart]:
    """The parts whose rows a file holds, by its footer. Raises Damaged."""
    footer = read_footer(file.path)
    if isinstance(file, Seal):
        return merged_parts(file.path, footer)
    try:
        return [(file.start, file.end, file.number, file.of, int(footer["rows"]))]
    except (KeyError, ValueError) as error:
        raise Damaged(f"{file.path}: its footer doesn't say how many rows it has.") from error


def footer_of(dataset: Dataset, day: date, span: tuple[int, int], identifier: str, **more: str) -> dict[str, str]:
    """What the footer of a file of ours says."""
    told = {
        "dataset": dataset,
        "schema_version": str(SCHEMA_VERSION),
        "day": day.isoformat(),
        "from_xact": str(span[0]),
        "to_xact": str(span[1]),
        "system_identifier": identifier,
        **more,
    }
    return {_KEY + name: value for name, value in told.items()}
