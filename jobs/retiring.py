"""Retiring: rows of the lake that are older than its detail is kept leave it, day by day; the rollups tell of them on.

A retired day keeps a sealed file without rows, whose footer has the day's accounts: so the watermark stays, `verify`
finds every range whole, and what comes late makes a part beside it. A day stays as long as Postgres has one of its
rows: it is retired, or retired again, once their partition was dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from analytics.evolution import parts_in_sql
from analytics.lake import DATASETS, Dataset, Listing, Part, Seal, list_parts
from ingest.database import Connection
from ingest.statements import filled, load_statements
from jobs.contents import Damaged, parts_of
from jobs.kept_rollups import require_kept
from jobs.rewriting import Gone, Rewriter
from jobs.rollup import Telling

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class Retired:
    """A day whose rows left the lake."""

    dataset: Dataset
    day: date
    rows: int


class Retirer:
    """Belongs to one mirror, and works in its thread, between two publishes."""

    def __init__(self, connection: Connection, lake_dir: Path) -> None:
        self._connection = connection
        self._lake_dir = lake_dir
        self._empty: set[Path] = set()  # sealed files without rows: a file never changes

    def due(self, before: date) -> Iterator[tuple[Dataset, date, Listing]]:
        """The days before `before` that have rows, oldest first."""
        for dataset in DATASETS:
            listing = list_parts(self._lake_dir, dataset)
            for day in reversed(listing.days()):
                if day < before and not all(self._is_empty(file) for file in listing.files if file.day == day):
                    yield dataset, day, listing

    def _is_empty(self, file: Part | Seal) -> bool:
        if file.path in self._empty:
            return True
        try:
            rows = sum(part[-1] for part in parts_of(file))
        except Damaged:
            return True  # `verify` says so; nothing is taken from a day that can't be read
        if rows == 0:
            self._empty.add(file.path)
        return rows == 0

    def retire(
        self, rewriter: Rewriter, reader: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, listing: Listing
    ) -> Retired | None:
        """Retire one day; None where Postgres still has rows of it. Raises what `Rewriter.rewrite` raises."""
        paths = tuple(file.path for file in listing.files if file.day == day)
        require_kept(reader, self._lake_dir, dataset, day, paths)
        relation, values = parts_in_sql(dataset, [str(path) for path in paths])
        counted = reader.execute(filled(_SQL[f"counted_{dataset}"], parts=relation).decode(), values).fetchall()[0][0]
        # One that comes after this look is in no file yet, and isn't published while we are at it.
        if self._connection.execute(_SQL[f"is_here_{dataset}"], {"day": day}).fetchone() == (True,):
            return None
        rows = rewriter.rewrite(dataset, day, listing, Gone("true", {}), Telling(paths))
        # Noted afterwards: a crash in between leaves a day that is retired and not noted, which a page doesn't tell.
        told = {"dataset": dataset, "day": day, "rows": rows, "counted": counted}
        self._connection.execute(_SQL["note"], told)
        return Retired(dataset, day, rows)
