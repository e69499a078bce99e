"""Rollups: what a file of the lake comes to per minute and per hour, in a file of its own.

    LAKE/rollups/minute/errors/day=2026-11-24/part-<from>-<to>-1of2-<token>.parquet
    LAKE/rollups/hour/errors/day=2026-11-24/part-<from>-<to>-1of2-<token>.parquet

A rollup is named after the file that it was made from. That file never changes and its name is never used again, so a
rollup is right for as long as the file stands, and of no meaning without it: which rows count follows from the names
of the files alone. A reader takes rollups in place of files, one for one, and the file itself where its rollup is
missing.

The token makes a name that never was: a rollup that is made again doesn't take an old one's name under a reader's eyes.

A day whose rows were retired for their age leaves a sealed file without them. Its rollups, `…-<token>-kept.parquet`,
tell of the rows that were retired and of those that came later: they hold what no file does any more, and count instead
of the file.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from analytics.lake import Dataset

Grain = Literal["minute", "hour"]
GRAINS: dict[Grain, int] = {"hour": 3600, "minute": 60}
"""How many seconds a bucket of each has, the coarsest first."""
_NAME = re.compile(r"^(?P<file>(?:part|sealed)-[0-9a-f-]+(?:of\d+)?[0-9a-f-]*)-[0-9a-f]{16}(?P<kept>-kept)?\.parquet$")
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


@dataclass(frozen=True, slots=True)
class Rollups:
    """The rollups that a reader may take."""

    paths: Mapping[Grain, Mapping[str, Path]]
    """By grain and the name of the file that each was made from."""
    kept: frozenset[str] = frozenset()
    """The files of which rollups hold more than they do."""

    def only_kept(self) -> "Rollups":
        """Those that nothing can be read instead of."""
        paths = {
            grain: {name: path for name, path in made.items() if name in self.kept}
            for grain, made in self.paths.items()
        }
        return Rollups(paths, self.kept)


NO_ROLLUPS = Rollups({grain: {} for grain in GRAINS})


def rollup_dir(lake_dir: Path, grain: Grain, dataset: Dataset, day: date) -> Path:
    """Where the rollups of one day stand."""
    return lake_dir / "rollups" / grain / dataset / f"day={day.isoformat()}"


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
    """The rollups of these days. Those of a file are alike: where there are two, one of them."""
    chosen = list(days)
    found: dict[Grain, dict[str, Path]] = {grain: {} for grain in GRAINS}
    kept: set[str] = set()
    for grain in GRAINS:
        for day in chosen:
            for path in rollups_in(rollup_dir(lake_dir, grain, dataset, day)):
                file = made_from(path.name)
                if file is None:
                    continue
                if is_kept(path.name):
                    kept.add(file)
                elif file in kept:
                    continue
                found[grain][file] = path
    return Rollups(found, frozenset(kept))


def rollups_in(directory: Path) -> list[Path]:
    """Everything in a directory that may not be there; what is not a rollup's, too."""
    try:
        return [directory / name for name in sorted(os.listdir(directory))]  # noqa: PTH208 - as in `lake`
    except (FileNotFoundError, NotADirectoryError):
        return []
