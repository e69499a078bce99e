"""Rollups: what a file of the lake comes to per minute and per hour, in a file of its own.

    LAKE/rollups/minute/errors/day=2026-11-24/part-<from>-<to>-1of2-<token>.parquet
    LAKE/rollups/hour/errors/day=2026-11-24/part-<from>-<to>-1of2-<token>.parquet

A rollup is named after the file that it was made from. That file never changes and its name is never used again, so a
rollup is right for as long as the file stands, and of no meaning without it: which rows count follows from the names
of the files alone. A reader takes rollups in place of files, one for one, and the file itself where its rollup is
missing.

The token makes a name that never was: a rollup that is made again doesn't take an old one's name under a reader's eyes.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from analytics.lake import Dataset

Grain = Literal["minute", "hour"]
GRAINS: dict[Grain, int] = {"hour": 3600, "minute": 60}
"""How many seconds a bucket of each has, the coarsest first."""
_TOKEN_LENGTH = 16
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

Rollups = Mapping[Grain, Mapping[str, Path]]
"""By grain and the name of the file that each was made from."""
NO_ROLLUPS: Rollups = {grain: {} for grain in GRAINS}


def rollup_dir(lake_dir: Path, grain: Grain, dataset: Dataset, day: date) -> Path:
    """Where the rollups of one day stand."""
    return lake_dir / "rollups" / grain / dataset / f"day={day.isoformat()}"


def rollup_name(file: str, token: str) -> str:
    """What a rollup of the file called `file` is called; `token` has 16 hexadecimal digits."""
    return f"{file.removesuffix(_ENDING)}-{token}{_ENDING}"


def made_from(name: str) -> str | None:
    """The name of the file that a rollup was made from; None for what is no rollup's name."""
    stem, dash, token = name.removesuffix(_ENDING).rpartition("-")
    if not dash or not name.endswith(_ENDING) or len(token) != _TOKEN_LENGTH or not stem.startswith(("part-", "seal")):
        return None
    return stem + _ENDING


def list_rollups(lake_dir: Path, dataset: Dataset, days: Iterable[date]) -> Rollups:
    """The rollups of these days. Those of a file are alike: where there are two, one of them."""
    chosen = list(days)
    found: dict[Grain, dict[str, Path]] = {grain: {} for grain in GRAINS}
    for grain in GRAINS:
        for day in chosen:
            for path in rollups_in(rollup_dir(lake_dir, grain, dataset, day)):
                if (file := made_from(path.name)) is not None:
                    found[grain][file] = path
    return found


def rollups_in(directory: Path) -> list[Path]:
    """Everything in a directory that may not be there; what is not a rollup's, too."""
    try:
        return [directory / name for name in sorted(os.listdir(directory))]  # noqa: PTH208 - as in `lake`
    except (FileNotFoundError, NotADirectoryError):
        return []
