"""The lake: immutable Parquet parts whose names are the commit record.

    LAKE/errors/day=2026-11-24/part-<from>-<to>-1of2.parquet
    LAKE/executions/day=…/…

Invariants
1. A part is complete when its name appears (written beside, flushed, linked) and never changes afterwards.
2. A **range** `[from, to)` of transaction ids is published as n parts, one for each day that it touches, named
   `1ofn` … `nofn`. Ranges of a dataset follow each other; the next one starts only when the last one is complete.
3. So the **watermark** follows from the names alone: the end of the newest range if all its parts stand, else its
   start. Every row written by a transaction below the watermark is in a listed part, exactly once.
4. A reader lists first and asks Postgres for the rows at and above the watermark afterwards. What is published in
   between is in a part that the reader didn't list, and in Postgres, which forgets nothing above the watermark.

Parts of an unfinished newest range are left out of our own reads; their rows come from Postgres.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Literal

import polars as pl

Dataset = Literal["errors", "executions"]
DATASETS: tuple[Dataset, ...] = ("errors", "executions")
SCHEMA_VERSION = 2

_UTC_MICROSECONDS = pl.Datetime("us", "UTC")
# Column order and types of the files: part of the product's public contract (docs/schema.md). Ids are text, so
# that every tool reads them alike; metadata is a JSON document.
COLUMNS: dict[Dataset, pl.Schema] = {
    "errors": pl.Schema(
        {
            "error_id": pl.String(),
            "timestamp": _UTC_MICROSECONDS,
            "source": pl.String(),
            "error_type": pl.String(),
            "severity": pl.String(),
            "workflow_id": pl.String(),
            "metadata": pl.String(),
            "project_id": pl.String(),
            "run_id": pl.String(),
            "title": pl.String(),
            "fingerprint": pl.String(),
            "received_at": _UTC_MICROSECONDS,
            "xact_id": pl.Int64(),
            "stands_for": pl.Int64(),  # since version 2
        }
    ),
    "executions": pl.Schema(
        {
            "report_id": pl.String(),
            "timestamp": _UTC_MICROSECONDS,
            "source": pl.String(),
            "project_id": pl.String(),
            "workflow_id": pl.String(),
            "finished": pl.Int64(),
            "failed": pl.Int64(),
            "received_at": _UTC_MICROSECONDS,
            "xact_id": pl.Int64(),
        }
    ),
}

_PART = re.compile(r"^part-(?P<start>\d{20})-(?P<end>\d{20})-(?P<number>\d+)of(?P<of>\d+)\.parquet$")
_DAY = re.compile(r"^day=(?P<day>\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One file: the rows of day `day` written by transactions in `[start, end)`, number `number` of `of`."""

    start: int
    end: int
    number: int
    of: int
    day: date
    path: Path

    @staticmethod
    def name(start: int, end: int, number: int, of: int) -> str:
        """The file name of a part."""
        return f"part-{start:020d}-{end:020d}-{number}of{of}.parquet"


@dataclass(frozen=True, slots=True)
class Listing:
    """The parts that a reader may read, and the transaction id from which Postgres has the rest."""

    parts: tuple[Part, ...]
    watermark: int
    unfinished: tuple[Part, ...] = ()

    def paths(self, first: date | None = None, last: date | None = None) -> list[str]:
        """The files of the days from `first` to `last` (UTC, both included)."""
        return [
            str(part.path)
            for part in self.parts
            if (first is None or part.day >= first) and (last is None or part.day <= last)
        ]

    def days(self) -> list[date]:
        """The days that have a part, newest first."""
        return sorted({part.day for part in self.parts}, reverse=True)


def dataset_dir(lake_dir: Path, dataset: Dataset) -> Path:
    """Where the parts of `dataset` stand."""
    return lake_dir / dataset


def day_dir(lake_dir: Path, dataset: Dataset, day: date) -> Path:
    """Where the parts of one day stand."""
    return dataset_dir(lake_dir, dataset) / f"day={day.isoformat()}"


def list_parts(lake_dir: Path, dataset: Dataset) -> Listing:
    """Read the names of a dataset's parts. Files that aren't parts are ignored here; `verify` reports them."""
    parts = sorted(_parts(lake_dir, dataset))
    # Folders are read one after the other: a range may have appeared behind our back, and a later one before us.
    while not _is_whole(parts) and (again := sorted(_parts(lake_dir, dataset))) != parts:
        parts = again
    if not parts:
        return Listing((), 0)
    start, end = parts[-1].start, parts[-1].end
    newest = [part for part in parts if part.start == start and part.end == end]
    if len(newest) == newest[0].of:
        return Listing(tuple(parts), end)
    return Listing(tuple(part for part in parts if part.start != start), start, tuple(newest))


def _is_whole(parts: list[Part]) -> bool:
    """Whether ranges follow each other without a gap, and all but the newest have all their parts."""
    end = 0
    for (start, stop), members in groupby(parts, key=lambda part: (part.start, part.end)):
        found = list(members)
        if start != end or (len(found) != found[0].of and found[-1] is not parts[-1]):
            return False
        end = stop
    return True


def _parts(lake_dir: Path, dataset: Dataset) -> Iterator[Part]:
    for folder, day in _day_dirs(lake_dir, dataset):
        for path in folder.iterdir():
            if match := _PART.match(path.name):
                start, end, number, of = (int(match[group]) for group in ("start", "end", "number", "of"))
                yield Part(start, end, number, of, day, path)


def _day_dirs(lake_dir: Path, dataset: Dataset) -> Iterator[tuple[Path, date]]:
    root = dataset_dir(lake_dir, dataset)
    if not root.is_dir():
        return
    for folder in root.iterdir():
        if match := _DAY.match(folder.name):
            yield folder, date.fromisoformat(match["day"])


def strangers(lake_dir: Path, dataset: Dataset) -> list[Path]:
    """Parquet files that readers of `**/*.parquet` would count although they are no parts of ours."""
    return [path for path in dataset_dir(lake_dir, dataset).glob("**/*.parquet") if not _PART.match(path.name)]
