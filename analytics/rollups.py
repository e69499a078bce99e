"""Rollups: what a file of the lake comes to per minute, per hour and per day, in a file of its own.

    LAKE/rollups/minute/errors/day=2026-11-24/part-<from>-<to>-1of2-<token>.parquet
    LAKE/rollups/hour/errors/day=2026-11-24/part-<from>-<to>-1of2-<token>.parquet
    LAKE/rollups/outline/…, LAKE/rollups/day/…      of sealed days alone

A rollup is named after the file that it was made from. That file never changes and its name is never used again, so a
rollup is right for as long as the file stands, and of no meaning without it: which rows count follows from the names
of the files alone. A reader takes rollups in place of files, one for one, and the file itself where its rollup is
missing.

The token makes a name that never was: a rollup that is made again doesn't take an old one's name under a reader's eyes.

A day whose rows were retired for their age leaves a sealed file without them. Its rollups, `…-<token>-kept.parquet`,
tell of the rows that were retired and of those that came later: they hold what no file does any more, and count instead
of the file.

    LAKE/rollups/months/hour/errors/2026-10-<files>-<token>.parquet

A month that is over has the rollups of its sealed days once more in one file, for opening a file costs more than its
rows. `<files>` is a hash of the names of those days' sealed files: it counts for as long as all of these stand, and no
other sealed file of that month does.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from analytics.lake import Dataset, Listing, Seal

Grain = Literal["day", "outline", "hour", "minute"]
GRAINS: dict[Grain, int] = {"day": 86_400, "outline": 3600, "hour": 3600, "minute": 60}
"""How many seconds a bucket of each has, the coarsest first. An **outline** is one per hour that knows neither
workflows nor groups: a hundredth of the rows, for the charts of long ranges."""
DERIVED: tuple[Grain, ...] = ("outline", "day")
"""Those that are made of the one per hour, of sealed days alone: the parts of a day that is not over are small."""
CHEAPEST: tuple[Grain, ...] = ("outline", "day", "hour", "minute")
"""The same as GRAINS, those with the fewest rows first."""
MONTHLY: tuple[Grain, ...] = ("day", "outline", "hour")
"""Those that months have, too."""
_NOT_IN_OUTLINES = ("workflow_id", "fingerprint")
_NAME = re.compile(r"^(?P<file>(?:part|sealed)-[0-9a-f-]+(?:of\d+)?[0-9a-f-]*)-[0-9a-f]{16}(?P<kept>-kept)?\.parquet$")
_MONTH_NAME = re.compile(r"^(?P<key>\d{4}-\d{2}-[0-9a-f]{16})-[0-9a-f]{16}\.parquet$")
_ENDING = ".parquet"

_UTC_MICROSECONDS = pl.Datetime("us", "UTC")
# Part of the product's public contract, as those of the files (docs/schema.md).
ROLLUP_COLUMNS: dict[Dataset, pl.Schema] = {
    "errors": pl.Schema(
        {
            "bucket": _UTC_MICROSECONDS,
            "source": pl.String(),
            "error_type": pl.String(),
            "severity": pl.String(),
            "workflow_id": pl.String(),
            "project_id": pl.String(),
            "fingerprint": pl.String(),
            "errors": pl.Int64(),
            "last_seen": _UTC_MICROSECONDS,
        }
    ),
    "executions": pl.Schema(
        {
            "bucket": _UTC_MICROSECONDS,
            "source": pl.String(),
            "project_id": pl.String(),
            "workflow_id": pl.String(),
            "finished": pl.Int64(),
            "failed": pl.Int64(),
        }
    ),
}


def rollup_columns(dataset: Dataset, grain: Grain) -> pl.Schema:
    """The columns of the rollups of one grain."""
    columns = ROLLUP_COLUMNS[dataset]
    if grain != "outline":
        return columns
    return pl.Schema({name: kind for name, kind in columns.items() if name not in _NOT_IN_OUTLINES})


@dataclass(frozen=True, slots=True)
class Rollups:
    """The rollups that a reader may take."""

    paths: Mapping[Grain, Mapping[str, Path]]
    """By grain and the name of the file that each was made from."""
    kept: frozenset[str] = frozenset()
    """The files of which rollups hold more than they do."""
    months: Mapping[Grain, Mapping[str, Path]] = field(default_factory=dict)
    """Those of whole months, by grain and the month's key."""

    def have_months(self) -> bool:
        """Whether there are any of whole months."""
        return any(self.months.values())

    def of_days(self) -> "Rollups":
        """Those without the ones of whole months, which hold the same once more."""
        return Rollups(self.paths, self.kept)

    def only_kept(self) -> "Rollups":
        """Those that nothing can be read instead of."""
        paths = {
            grain: {name: path for name, path in made.items() if name in self.kept}
            for grain, made in self.paths.items()
        }
        return Rollups(paths, self.kept)


NO_ROLLUPS = Rollups({grain: {} for grain in GRAINS})


@dataclass(frozen=True, slots=True)
class Month:
    """Several sealed days of one month: all that are sealed, the oldest first."""

    key: str
    """What a rollup of just these files is called, but for its token: the month, and a hash of the files' names."""
    seals: tuple[Seal, ...]


def months_of(listing: Listing) -> list[Month]:
    """The months that have more than one sealed day, the oldest first."""
    by_month: dict[tuple[int, int], list[Seal]] = {}
    for seal in listing.seals:
        by_month.setdefault((seal.day.year, seal.day.month), []).append(seal)
    return [
        Month(_month_key(year, month, tuple(sorted(seal.path.name for seal in seals))), _by_day(seals))
        for (year, month), seals in sorted(by_month.items())
        if len(seals) > 1
    ]


def _by_day(seals: Iterable[Seal]) -> tuple[Seal, ...]:
    return tuple(sorted(seals, key=lambda seal: seal.day))


@lru_cache(maxsize=1_000)
def _month_key(year: int, month: int, names: tuple[str, ...]) -> str:
    return f"{year:04d}-{month:02d}-{hashlib.sha256(chr(10).join(names).encode()).hexdigest()[:16]}"


def month_dir(lake_dir: Path, grain: Grain, dataset: Dataset) -> Path:
    """Where the rollups of months stand."""
    return lake_dir / "rollups" / "months" / grain / dataset


def month_name(key: str, token: str) -> str:
    """What a rollup of a month is called; `token` has 16 hexadecimal digits."""
    return f"{key}-{token}{_ENDING}"


def month_made_from(name: str) -> str | None:
    """The key of the month that a rollup was made from; None for what is no such rollup's name."""
    match = _MONTH_NAME.match(name)
    return None if match is None else match["key"]


def rollup_dir(lake_dir: Path, grain: Grain, dataset: Dataset, day: date) -> Path:
    """Where the rollups of one day stand."""
    return _root(lake_dir, grain, dataset) / _day_name(day)


def _root(lake_dir: Path, grain: Grain, dataset: Dataset) -> Path:
    return lake_dir / "rollups" / grain / dataset


def _day_name(day: date) -> str:
    return f"day={day.isoformat()}"


def rollup_name(file: str, token: str, *, is_kept: bool = False) -> str:
    """What a rollup of the file called `file` is called; `token` has 16 hexadecimal digits."""
    return f"{file.removesuffix(_ENDING)}-{token}{'-kept' if is_kept else ''}{_ENDING}"


def made_from(name: str) -> str | None:
    """The name of the file that a rollup was made from; None for what is no rollup's name."""
    match = _NAME.match(name)
    return None if match is None else match["file"] + _ENDING


def is_kept(name: str) -> bool:
    """Whether a rollup holds what its file doesn't any more."""
    match = _NAME.match(name)
    return match is not None and match["kept"] is not None


def list_rollups(lake_dir: Path, dataset: Dataset, days: Iterable[date]) -> Rollups:
    """All rollups of these days."""
    chosen = tuple(days)
    return list_wanted(lake_dir, dataset, dict.fromkeys(GRAINS, chosen))


def list_wanted(lake_dir: Path, dataset: Dataset, wanted: Mapping[Grain, Iterable[date]]) -> Rollups:
    """The rollups of these days by grain, of which the one per hour tells what is kept. Those of a file are alike:
    where there are two, one of them."""
    found: dict[Grain, dict[str, Path]] = {grain: {} for grain in GRAINS}
    kept: dict[Grain, dict[str, Path]] = {grain: {} for grain in GRAINS}
    for grain, days in wanted.items():
        root = str(_root(lake_dir, grain, dataset))
        for day in days:
            folder = f"{root}/{_day_name(day)}"  # plain text, as in `lake`
            for name in _names_in(folder):
                rollup = _rollup_of(name, folder)
                if rollup is not None:
                    (kept if rollup.is_kept else found)[grain][rollup.file] = rollup.path
    told = frozenset(name for paths in kept.values() for name in paths)
    for grain, paths in found.items():
        found[grain] = {name: path for name, path in paths.items() if name not in told} | kept[grain]
    months = {grain: _months_in(month_dir(lake_dir, grain, dataset)) for grain in MONTHLY if wanted.get(grain)}
    return Rollups(found, told, months)


def _months_in(directory: Path) -> dict[str, Path]:
    found = ((month_made_from(path.name), path) for path in rollups_in(directory))
    return {key: path for key, path in found if key is not None}


class _Rollup(NamedTuple):
    file: str
    path: Path
    is_kept: bool


@lru_cache(maxsize=50_000)  # each question asks for them again
def _rollup_of(name: str, folder: str) -> _Rollup | None:
    match = _NAME.match(name)
    return None if match is None else _Rollup(match["file"] + _ENDING, Path(folder, name), match["kept"] is not None)


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - as in `lake`
    except (FileNotFoundError, NotADirectoryError):
        return []


def rollups_in(directory: Path) -> list[Path]:
    """Everything in a directory that may not be there; what is not a rollup's, too."""
    return [directory / name for name in _names_in(str(directory))]
