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

from analytics.lake import Dataset, Listing, Seal, list_parts
from analytics.rollups import (
    DERIVED,
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
from ingest.statements import filled, load_statements
from jobs.contents import Damaged, read_footer
from jobs.exceptions import SealRefused
from jobs.kept_rollups import require_kept
from jobs.rollup import (
    REBUILD,
    as_it_is,
    derived,
    difference,
    is_readable,
    place_rollups,
    remove_files,
    select_of,
    write_rollup,
)
from jobs.workbench import Workbench

_SQL = load_statements(__file__)
_EPOCH = date(1970, 1, 1)


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
    """Make what a month lacks, on the workbench; memory is bounded by what `reader` may take. Raises duckdb.Error,
    OSError, and SealRefused where the kept rollup of a day isn't what it was; nothing is left then."""
    for seal in month.seals:
        require_kept(reader, lake_dir, dataset, seal.day, [seal.path])
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
    if not is_current(lake_dir, built.dataset, built.month):
        remove_files(lies for lies, _ in built.rollups)
        return False
    place_rollups(bench, built.rollups)
    return True


def is_current(lake_dir: Path, dataset: Dataset, month: Month) -> bool:
    """Whether all files of the month stand, and no other that is sealed."""
    return month.key in {each.key for each in months_of(list_parts(lake_dir, dataset))}


def remove_old_months(lake_dir: Path, dataset: Dataset) -> list[Path]:
    """Remove those that tell of files which don't stand together any more; answers which."""
    current = {month.key for month in months_of(list_parts(lake_dir, dataset))}
    old = [path for grain in MONTHLY for path in _of(lake_dir, grain, dataset) if _key(path) not in current]
    remove_files(old)
    return old


def month_problems(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, listing: Listing
) -> Iterator[str]:
    """Each rollup that a reader may take and that isn't what its days' come to. A missing one is no problem."""
    for wrong in _wrong(reader, lake_dir, dataset, listing):
        yield f"{wrong.path} {wrong.problem} {REBUILD}"


@dataclass(slots=True)
class RebuiltMonths:
    """The rollups of months that were made, those that were removed for good, and why others weren't made."""

    made: list[str]
    removed: list[Path]
    beyond: list[str]


def rebuild_months(
    bench: Workbench, lake_dir: Path, dataset: Dataset, reader: duckdb.DuckDBPyConnection, today: date
) -> RebuiltMonths:
    """Make what is missing, and what is wrong. Nothing may be sealed meanwhile. Raises OSError, LeadershipLost."""
    done = RebuiltMonths([], remove_old_months(lake_dir, dataset), [])
    wrong = list(_wrong(reader, lake_dir, dataset, list_parts(lake_dir, dataset)))
    remove_files(each.path for each in wrong)
    for month in due_months(lake_dir, dataset, today):
        try:
            built = build_month(bench, lake_dir, dataset, month, reader=reader)
        except (duckdb.Error, SealRefused) as error:
            reason = str(error) if isinstance(error, SealRefused) else f"A day can't be read ({type(error).__name__})."
            done.beyond.append(f"{dataset}, {month.key[:7]} has no rollups of its own: {reason}")
            continue
        place_month(bench, lake_dir, built)
        placed = [target for _, target in built.rollups if target.exists()]
        done.made += [f"{dataset}, {target.parent.parent.name}: {target.name}" for target in placed]
    done.removed += [each.path for each in wrong if not _stands(lake_dir, dataset, each.grain, each.month)]
    return done


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
        if _stands(lake_dir, dataset, grain, month):
            continue
        if sources := _sources(lake_dir, dataset, grain, month):
            yield grain, sources


def _stands(lake_dir: Path, dataset: Dataset, grain: Grain, month: Month) -> bool:
    return any(_key(path) == month.key for path in _of(lake_dir, grain, dataset))


def _sources(lake_dir: Path, dataset: Dataset, grain: Grain, month: Month) -> list[Path]:
    """What the rollup of a month is made of: those of its days one after the other, for a bucket lies in one day.
    Nothing where one of them has none."""
    days = [seal.day for seal in month.seals]
    made = list_wanted(lake_dir, dataset, {"hour": days, grain: days}).paths[grain]
    found = [made[seal.path.name] for seal in month.seals if seal.path.name in made]
    return found if len(found) == len(month.seals) else []


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
    try:
        if read_footer(path).get("made_from") != month.key:
            return "wasn't made from the files that it is named after."
        rows = sum(_differences(reader, lake_dir, dataset, grain, path, month))
    except duckdb.InterruptException:
        raise
    except (Damaged, duckdb.Error):  # of the month, or of a day, whose own problem it is then
        return "can't be read." if path.exists() and not is_readable(reader, dataset, grain, path) else None
    return f"differs from the rollups of its days in {rows} rows." if rows else None


def _differences(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, grain: Grain, path: Path, month: Month
) -> Iterator[int]:
    """How many rows differ, a day at a time: so memory is that of a day; and how many belong to no day of the month."""
    month_told = as_it_is(dataset, grain, path)
    numbers = {seal: str((seal.day - _EPOCH).days) for seal in month.seals}
    for seal, number in numbers.items():
        day_told = _told_of(reader, lake_dir, dataset, grain, seal)
        if day_told is not None:
            of_day = filled(_SQL["of_day"], told=month_told, day=number).decode()
            yield difference(reader, dataset, grain, of_day, day_told)
    others = filled(_SQL["others"], told=month_told, days=", ".join(numbers.values()))
    yield int(reader.execute(others.decode()).fetchall()[0][0])


def _told_of(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, grain: Grain, seal: Seal
) -> str | None:
    """What a day comes to, as a question. None where its kept rollup is not what it was: the month may be all that is
    left of it."""
    try:
        require_kept(reader, lake_dir, dataset, seal.day, [seal.path])
    except SealRefused:
        return None
    made = list_wanted(lake_dir, dataset, {"hour": [seal.day], grain: [seal.day]}).paths
    name = seal.path.name
    if name in made[grain]:
        return as_it_is(dataset, grain, made[grain][name])
    if name in made["hour"] and grain in DERIVED:
        return derived(dataset, grain, as_it_is(dataset, "hour", made["hour"][name]))
    return select_of(dataset, grain, seal.path)


def _of(lake_dir: Path, grain: Grain, dataset: Dataset) -> list[Path]:
    return rollups_in(month_dir(lake_dir, grain, dataset))


def _key(path: Path) -> str | None:
    return month_made_from(path.name)
