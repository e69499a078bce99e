"""Rollups of whole months, made of those of their days: a cache, and nothing depends on it.

A month is due when it is over, every day of it that has files is sealed, and all have rollups. A rollup is named after
the sealed files that it tells of, so it need not appear or go in any one step: while the names differ nobody reads it.
When a day changes, those of its month are removed, for what was erased must be gone.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

from analytics.lake import Dataset, Listing, list_parts
from analytics.rollups import (
    MONTHLY,
    Grain,
    Month,
    list_wanted,
    month_dir,
    month_made_from,
    month_name,
    months_of,
    rollups_in,
)
from jobs.contents import Damaged, read_footer
from jobs.rollup import REBUILD, as_it_is, difference, place_rollups, remove_files, select_of, write_rollup
from jobs.workbench import Workbench


@dataclass(frozen=True, slots=True)
class BuiltMonth:
    """The rollups of a month: where each lies on the workbench, and where it belongs."""

    dataset: Dataset
    month: Month
    rollups: tuple[tuple[Path, Path], ...]


def due_months(lake_dir: Path, dataset: Dataset, today: date) -> list[Month]:
    """The months that lack a rollup which could be made, the oldest first."""
    listing = list_parts(lake_dir, dataset)
    return [month for month in _ended(listing, today) if any(_lacking(lake_dir, dataset, month))]


def build_month(
    bench: Workbench, lake_dir: Path, dataset: Dataset, month: Month, *, reader: duckdb.DuckDBPyConnection
) -> BuiltMonth:
    """Make what a month lacks, on the workbench; memory is bounded by what `reader` may take. Raises duckdb.Error and
    OSError; nothing is left then."""
    built: list[tuple[Path, Path]] = []
    try:
        for grain, paths in _lacking(lake_dir, dataset, month):
            name = month_name(month.key, secrets.token_hex(8))
            lies = bench.file(f"{grain}-{name}")
            built.append((lies, month_dir(lake_dir, grain, dataset) / name))
            write_rollup(reader, dataset, grain, as_it_is(dataset, grain, *paths), lies, month.key)
    except BaseException:
        remove_files(lies for lies, _ in built)
        raise
    return BuiltMonth(dataset, month, tuple(built))


def place_month(bench: Workbench, lake_dir: Path, built: BuiltMonth) -> bool:
    """Let them appear, unless a day of the month has changed meanwhile; answers whether. Raises LeadershipLost."""
    is_current = built.month.key in {month.key for month in months_of(list_parts(lake_dir, built.dataset))}
    if is_current:
        place_rollups(bench, built.rollups)
    else:
        remove_files(lies for lies, _ in built.rollups)
    return is_current


def remove_old_months(lake_dir: Path, dataset: Dataset) -> list[Path]:
    """Remove those that tell of files which don't stand together any more; answers which."""
    current = {month.key for month in months_of(list_parts(lake_dir, dataset))}
    old = [path for grain in MONTHLY for path in _of(lake_dir, grain, dataset) if _key(path) not in current]
    remove_files(old)
    return old


def month_problems(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, listing: Listing
) -> Iterator[str]:
    """Each rollup that a reader may take and that isn't what its days' come to. Those of the days are sound, or
    missing; a missing one of a month is no problem."""
    for wrong in _wrong(reader, lake_dir, dataset, listing):
        yield f"{wrong.path} {wrong.problem} {REBUILD}"


def rebuild_months(
    bench: Workbench, lake_dir: Path, dataset: Dataset, reader: duckdb.DuckDBPyConnection, today: date
) -> tuple[list[str], list[Path]]:
    """Make what is missing, and what is wrong where it can be made again; answers what was made, and what was removed
    for good. Nothing may be sealed meanwhile. Raises duckdb.Error, OSError, LeadershipLost."""
    removed = remove_old_months(lake_dir, dataset)
    for wrong in list(_wrong(reader, lake_dir, dataset, list_parts(lake_dir, dataset))):
        if _sources(lake_dir, dataset, wrong.grain, wrong.month):
            remove_files([wrong.path])
    made = []
    for month in due_months(lake_dir, dataset, today):
        built = build_month(bench, lake_dir, dataset, month, reader=reader)
        place_month(bench, lake_dir, built)
        made += [f"{dataset}, {target.parent.parent.name}: {target.name}" for _, target in built.rollups]
    return made, removed


def _ended(listing: Listing, today: date) -> list[Month]:
    """The months before that of `today` of which no day waits for being sealed."""
    sealed = {seal.day for seal in listing.seals}
    waiting = {(part.day.year, part.day.month) for part in listing.parts if part.day not in sealed}
    return [
        month
        for month in months_of(listing)
        if (of := (month.seals[0].day.year, month.seals[0].day.month)) < (today.year, today.month) and of not in waiting
    ]


def _lacking(lake_dir: Path, dataset: Dataset, month: Month) -> Iterator[tuple[Grain, list[Path]]]:
    """The grains that a month doesn't have and could, with the rollups of its days."""
    for grain in MONTHLY:
        if any(_key(path) == month.key for path in _of(lake_dir, grain, dataset)):
            continue
        if sources := _sources(lake_dir, dataset, grain, month):
            yield grain, sources


def _sources(lake_dir: Path, dataset: Dataset, grain: Grain, month: Month) -> list[Path]:
    """What the rollup of a month is made of: those of its days one after the other, for a bucket lies in one day.
    Nothing where one of them has none."""
    made = _of_days(lake_dir, dataset, grain, month)
    return [made[seal.path.name] for seal in month.seals] if len(made) == len(month.seals) else []


def _of_days(lake_dir: Path, dataset: Dataset, grain: Grain, month: Month) -> dict[str, Path]:
    days = [seal.day for seal in month.seals]
    made = list_wanted(lake_dir, dataset, {"hour": days, grain: days}).paths[grain]
    return {seal.path.name: made[seal.path.name] for seal in month.seals if seal.path.name in made}


class _Wrong(NamedTuple):
    path: Path
    grain: Grain
    month: Month
    problem: str


def _wrong(reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, listing: Listing) -> Iterator[_Wrong]:
    for month in months_of(listing):
        for grain in MONTHLY:
            for path in (path for path in _of(lake_dir, grain, dataset) if _key(path) == month.key):
                problem = _problem(reader, lake_dir, dataset, grain, path, month)
                if problem is not None:
                    yield _Wrong(path, grain, month, problem)


def _problem(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, grain: Grain, path: Path, month: Month
) -> str | None:
    made = _of_days(lake_dir, dataset, grain, month)
    selects = [select_of(dataset, grain, seal.path) for seal in month.seals if seal.path.name not in made]
    if made:
        selects.append(as_it_is(dataset, grain, *made.values()))
    try:
        if read_footer(path).get("made_from") != month.key:
            return "wasn't made from the files that it is named after."
        rows = difference(reader, dataset, grain, path, " union all ".join(f"({select})" for select in selects))
    except duckdb.InterruptException:
        raise
    except (Damaged, duckdb.Error):
        return "can't be read." if path.exists() else None
    return f"differs from the rollups of its days in {rows} rows." if rows else None


def _of(lake_dir: Path, grain: Grain, dataset: Dataset) -> list[Path]:
    return rollups_in(month_dir(lake_dir, grain, dataset))


def _key(path: Path) -> str | None:
    return month_made_from(path.name)
