"""The lake: immutable Parquet files whose names are the commit record.

    LAKE/errors/day=2026-11-24/part-<from>-<to>-1of2.parquet
    LAKE/errors/day=2026-11-20/sealed-<from>-<to>-<token>.parquet
    LAKE/executions/day=…/…
    LAKE/.mirror/…                     where the mirror builds; no reader's business

Invariants
1. A file is complete when its name appears, never changes afterwards, and its name is never used again.
2. A **range** `[from, to)` of transaction ids is published as n **parts**, one for each day that it touches, named
   `1ofn` … `nofn`. Ranges of a dataset follow each other; the next one starts only when the last one is complete.
3. A **sealed** file holds every row of its day written by transactions below its `to`, where every range below `to`
   was complete. It replaces what it was made of in one exchange of the day's directory.
4. So the **watermark** follows from the names alone: the end of the newest range if all its parts stand, else its
   start, and at least the highest `to` of a sealed file. Every row written by a transaction below the watermark is in
   a listed file, exactly once.
5. A reader lists first and asks Postgres for the rows at and above the watermark afterwards. What is published in
   between is in a part that the reader didn't list, and in Postgres, which forgets nothing above the watermark.
   Where a listed file is gone when it is read, the day was sealed meanwhile: the reader lists again.

Parts of an unfinished newest range are left out of our own reads; their rows come from Postgres.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
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
_SEAL = re.compile(r"^sealed-(?P<start>\d{20})-(?P<end>\d{20})-(?P<token>[0-9a-f]{16})\.parquet$")
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


@dataclass(frozen=True, slots=True, order=True)
class Seal:
    """One file: all rows of day `day` written by transactions below `end`, the first of them in the range that
    begins with `start`."""

    end: int
    start: int
    day: date
    path: Path

    @staticmethod
    def name(start: int, end: int, token: str) -> str:
        """The file name of a sealed file; `token` (16 hexadecimal digits) makes it one that never was."""
        return f"sealed-{start:020d}-{end:020d}-{token}.parquet"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that a reader may read, and the transaction id from which Postgres has the rest."""

    parts: tuple[Part, ...]
    watermark: int
    unfinished: tuple[Part, ...] = ()
    seals: tuple[Seal, ...] = ()
    superseded: tuple[Part | Seal, ...] = ()
    """Those that a sealed file beside them has replaced: empty, for a moment; or somebody has put them there."""

    @property
    def files(self) -> tuple[Part | Seal, ...]:
        """What stands for the rows below the watermark."""
        return (*self.parts, *self.seals)

    def paths(self, first: date | None = None, last: date | None = None) -> list[str]:
        """The files of the days from `first` to `last` (UTC, both included)."""
        return [
            str(file.path)
            for file in self.files
            if (first is None or file.day >= first) and (last is None or file.day <= last)
        ]

    def days(self) -> list[date]:
        """The days that have a file, newest first."""
        return sorted({file.day for file in self.files}, reverse=True)


def dataset_dir(lake_dir: Path, dataset: Dataset) -> Path:
    """Where the files of `dataset` stand."""
    return lake_dir / dataset


def day_dir(lake_dir: Path, dataset: Dataset, day: date) -> Path:
    """Where the files of one day stand."""
    return dataset_dir(lake_dir, dataset) / f"day={day.isoformat()}"


def list_parts(lake_dir: Path, dataset: Dataset) -> Listing:
    """Read the names of a dataset's files. Others are ignored here; `verify` reports them."""
    names = set(_names(lake_dir, dataset))
    # Folders are read one after the other: a range may have appeared behind our back, and a later one, or a sealed
    # file that tells of it, before us. What is found twice was there all the while between, for names are used once.
    while (again := set(_names(lake_dir, dataset))) != names:
        names = again
    found = [file for name in names if (file := _file_of(*name)) is not None]
    seals: dict[date, Seal] = {}
    for seal in sorted(file for file in found if isinstance(file, Seal)):
        rival = seals.get(seal.day)
        if rival is None or rival.end < seal.end or stands(seal.path):
            seals[seal.day] = seal
    sealed_to = max((seal.end for seal in seals.values()), default=0)
    parts = sorted(
        file
        for file in found
        if isinstance(file, Part) and (file.day not in seals or file.start >= seals[file.day].end)
    )
    standing = {*parts, *seals.values()}
    superseded = tuple(file for file in found if file not in standing)
    watermark, unfinished = _newest_range([part for part in parts if part.start >= sealed_to], sealed_to)
    complete = tuple(part for part in parts if part not in unfinished)
    return Listing(complete, watermark, unfinished, tuple(sorted(seals.values())), superseded)


def _newest_range(parts: list[Part], sealed_to: int) -> tuple[int, tuple[Part, ...]]:
    """The watermark, and the parts of the newest range if some of it are missing."""
    if not parts:
        return sealed_to, ()
    start, end = parts[-1].start, parts[-1].end
    newest = tuple(part for part in parts if part.start == start)
    return (end, ()) if len(newest) == newest[0].of else (start, newest)


def _names(lake_dir: Path, dataset: Dataset) -> Iterator[tuple[str, str, date]]:
    """Name, folder and day of every file: plain text, for there may be thousands, and each question asks for them."""
    for folder, day in _day_dirs(lake_dir, dataset):
        for name in os.listdir(folder):  # noqa: PTH208 - a Path for each name takes twice as long
            yield name, folder, day


def file_of(path: Path, day: date) -> Part | Seal | None:
    """What a file of the lake's day `day` is by its name; None for what isn't ours."""
    return _file_of(path.name, str(path.parent), day)


@lru_cache(maxsize=50_000)
def _file_of(name: str, folder: str, day: date) -> Part | Seal | None:
    if match := _PART.match(name):
        start, end, number, of = (int(match[group]) for group in ("start", "end", "number", "of"))
        return Part(start, end, number, of, day, Path(folder, name))
    if match := _SEAL.match(name):
        return Seal(int(match["end"]), int(match["start"]), day, Path(folder, name))
    return None


def stands(path: str | Path) -> bool:
    """Whether a file that was listed is there still. Where it was replaced just now, an empty one has its name."""
    try:
        return os.stat(path).st_size > 0  # noqa: PTH116 - readers list plain text
    except FileNotFoundError:
        return False


def is_sealed(path: str) -> bool:
    """Whether the file at `path` is a sealed one, by its name."""
    return path.rpartition("/")[2].startswith("sealed-")


def _day_dirs(lake_dir: Path, dataset: Dataset) -> Iterator[tuple[str, date]]:
    root = str(dataset_dir(lake_dir, dataset))
    try:
        names = os.listdir(root)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if match := _DAY.match(name):
            yield f"{root}/{name}", date.fromisoformat(match["day"])


def strangers(lake_dir: Path, dataset: Dataset) -> list[Path]:
    """Parquet files that readers of `**/*.parquet` would count although they are none of ours."""
    root = dataset_dir(lake_dir, dataset)
    return [path for path in root.glob("**/*.parquet") if not _is_ours(path, root)]


def _is_ours(path: Path, root: Path) -> bool:
    """By name and place alone: what is published meanwhile is no stranger."""
    day = _DAY.match(path.parent.name)
    if day is None or path.parent.parent != root:
        return False
    return file_of(path, date.fromisoformat(day["day"])) is not None
