"""Whether the rollups are what their files come to, and making those again that aren't."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb

from analytics.lake import DATASETS, Dataset, Listing, Part, Seal, list_parts
from analytics.rollups import DERIVED, GRAINS, Grain, is_kept, list_rollups
from jobs.contents import Damaged, read_footer
from jobs.kept_rollups import promised
from jobs.month_rollups import rebuild_months
from jobs.rollup import (
    REBUILD,
    RESTORE,
    Telling,
    as_it_is,
    build_rollups,
    count_rows,
    difference,
    place_rollups,
    remove_files,
    remove_strays,
    rollups_of,
    select_of,
)
from jobs.workbench import Workbench


@dataclass(slots=True)
class Rebuilt:
    """How many files had sound rollups, which rollups were made, and which removed."""

    sound: int = 0
    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    """What couldn't be made, and why: `verify` tells more."""


def rebuild(
    bench: Workbench,
    lake_dir: Path,
    reader: duckdb.DuckDBPyConnection,
    today: date,
    minute_days: int,
    tell: Callable[[str], None] = lambda _: None,
) -> Rebuilt:
    """Make every rollup that is missing or wrong, per minute for so many days, and remove those whose files are gone.
    Nothing may be published or sealed meanwhile. Raises LeadershipLost, PublishFailed."""
    done = Rebuilt()
    minutes_from = today - timedelta(days=minute_days)
    for dataset in DATASETS:
        done.removed += [f"{dataset}: {path.name}" for path in remove_strays(lake_dir, dataset)]
        for file in list_parts(lake_dir, dataset).files:
            tell(file.path.name)
            grains = DERIVED if isinstance(file, Seal) else ()
            grains += ("hour", "minute") if file.day >= minutes_from else ("hour",)
            try:
                _rebuild_file(bench, lake_dir, dataset, file, reader, grains, done)
            except (Damaged, duckdb.Error) as error:
                done.beyond.append(f"{file.path} can't be read ({type(error).__name__}).")
        tell("months")
        months = rebuild_months(bench, lake_dir, dataset, reader, today)
        done.made += months.made
        done.removed += [f"{dataset}: {path.name}" for path in months.removed]
        done.beyond += months.beyond
    return done


def _rebuild_file(
    bench: Workbench,
    lake_dir: Path,
    dataset: Dataset,
    file: Part | Seal,
    reader: duckdb.DuckDBPyConnection,
    grains: tuple[Grain, ...],
    done: Rebuilt,
) -> None:
    is_told = file.path.name in list_rollups(lake_dir, dataset, [file.day]).kept
    if not is_told and isinstance(file, Seal) and promised(file.path) is not None:
        done.beyond.append(f"{file.path}: the kept rollup is gone, and can't be made again. `verify` tells more.")
        return
    wanted: list[Grain] = []
    for grain in grains:
        found = rollups_of(lake_dir, grain, dataset, file)
        replaceable = [path for path in found if not is_kept(path.name) or grain in DERIVED]
        wrong = [path for path in replaceable if problem_of(reader, dataset, grain, path, file.path) is not None]
        remove_files(wrong)
        # A kept one can't be made again, but from one that is finer.
        if len(wrong) == len(found) and (not is_told or grain in DERIVED):
            wanted.append(grain)
    if not wanted:
        done.sound += 1
        return
    telling = Telling((file.path,)) if is_told else None
    made = build_rollups(
        bench, lake_dir, dataset, file.day, file.path, reader=reader, grains=tuple(wanted), telling=telling
    )
    place_rollups(bench, made)
    done.made += [f"{dataset}, {grain}: {file.path.name}" for grain in wanted]


def rollup_problems(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, files: Iterable[Part | Seal]
) -> Iterator[str]:
    """Each rollup that a reader may take and that isn't what its file comes to. `files` are sound ones. A missing
    rollup is no problem, nor is one of a file that was sealed into another meanwhile."""
    for file in files:
        for grain in GRAINS:
            for path in rollups_of(lake_dir, grain, dataset, file):
                try:
                    problem = problem_of(reader, dataset, grain, path, file.path)
                except duckdb.Error:
                    continue
                if problem is not None:
                    yield f"{path} {problem} {RESTORE if is_kept(path.name) and grain not in DERIVED else REBUILD}"


def missing_rollups(lake_dir: Path, dataset: Dataset, listing: Listing) -> int:
    """How many files have no rollup per hour; those per minute are forgotten in time."""
    made = list_rollups(lake_dir, dataset, listing.days()).paths
    return sum(file.path.name not in made["hour"] for file in listing.files)


def problem_of(
    reader: duckdb.DuckDBPyConnection, dataset: Dataset, grain: Grain, rollup: Path, file: Path
) -> str | None:
    """What is wrong with a rollup, as a sentence without its subject; None where it is what its file comes to, bucket
    by bucket. Raises duckdb.Error where the file can't be read."""
    try:
        if read_footer(rollup).get("made_from") != file.name:
            return "wasn't made from the file that it is named after."
        reader.execute(as_it_is(dataset, grain, rollup) + " limit 0")
    except (Damaged, duckdb.Error):
        return "can't be read." if rollup.exists() else None
    if is_kept(rollup.name):
        return None  # nothing tells for sure what it should hold
    try:
        rows = difference(reader, dataset, grain, as_it_is(dataset, grain, rollup), select_of(dataset, grain, file))
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        count_rows(reader, dataset, file)  # so it isn't the file
        return "can't be read." if rollup.exists() else None
    return f"differs from {file.name} in {rows} rows." if rows else None
