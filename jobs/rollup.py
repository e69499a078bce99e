"""Rollups are written here: beside each part, for each sealed day, and again where one is missing.

They are a cache, but for the kept ones: see `analytics.rollups`. A rollup appears before the file that it was made
from, so that no reader finds a file without its own; should it fail, the file stands without, and costs its readers
time. What the files say is never touched.
"""

import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import IO

import duckdb
import polars as pl
import structlog

from analytics.evolution import parts_in_sql
from analytics.lake import Dataset, Part, Seal, list_parts
from analytics.rollups import (
    DERIVED,
    GRAINS,
    Grain,
    is_kept,
    list_rollups,
    made_from,
    rollup_columns,
    rollup_dir,
    rollup_name,
    rollups_in,
)
from ingest.statements import filled, load_statements
from jobs.exceptions import LeadershipLost, PublishFailed, SealRefused
from jobs.publishing import flush_directory, make_directory, publish
from jobs.workbench import Workbench

_SQL = load_statements(__file__)
_KEY = "meshhook_errors."
REBUILD = "Stop the jobs and run `meshhook-errors rollup --rebuild`."
RESTORE = "No command can make it again: put it back from a backup of the lake."
# What is asked of a long range by the hour is about one workflow or group: others have outlines. What is asked by the
# minute is a part of a day.
_ORDER: dict[tuple[Dataset, Grain], str] = {
    ("errors", "minute"): "epoch_us(bucket) // 3600000000, fingerprint, bucket",
    ("errors", "hour"): "workflow_id, fingerprint, bucket",
    ("errors", "day"): "fingerprint",
    ("errors", "outline"): "bucket",
    ("executions", "minute"): "bucket, workflow_id",
    ("executions", "hour"): "workflow_id, bucket",
    ("executions", "day"): "workflow_id",
    ("executions", "outline"): "bucket",
}

_OF_PARTS = tuple(grain for grain in GRAINS if grain not in DERIVED)

log = structlog.get_logger("mirror")


@dataclass(frozen=True, slots=True)
class Telling:
    """What the rollups of a file without its former rows tell of: of the files whose place it takes, each by its kept
    rollup or else by its rows. `without` is a condition on the columns of rollups, never null: what is erased there,
    too, with its parameters."""

    files: tuple[Path, ...]
    without: str = "false"
    values: Mapping[str, object] = field(default_factory=dict)


def roll_up(rows: pl.DataFrame, dataset: Dataset, grain: Grain) -> pl.DataFrame:
    """What rows of the lake come to in buckets of `grain`."""
    columns = rollup_columns(dataset, grain)
    if dataset == "errors":
        measures = [pl.col("stands_for").sum().alias("errors"), pl.col("timestamp").max().alias("last_seen")]
    else:
        measures = [pl.col("finished").sum(), pl.col("failed").sum()]
    keys = [name for name in columns if name in rows.columns and name not in ("finished", "failed")]
    bucket = pl.col("timestamp").dt.truncate(f"{GRAINS[grain]}s").alias("bucket")
    return rows.group_by(bucket, *keys).agg(measures).select(list(columns)).sort("bucket", *keys)


def write_beside(bench: Workbench, lake_dir: Path, dataset: Dataset, day: date, name: str, rows: pl.DataFrame) -> None:
    """Make the rollups of a part that is about to appear as `name`. What stands under that name already is of a
    publisher who died before the part appeared: nobody reads it. Raises LeadershipLost."""
    try:
        for grain in _OF_PARTS:
            directory = rollup_dir(lake_dir, grain, dataset, day)
            remove_files(path for path in rollups_in(directory) if made_from(path.name) == name)
            frame = roll_up(rows, dataset, grain)
            footer = _footer(name)

            def write(file: IO[bytes], frame: pl.DataFrame = frame, footer: dict[str, str] = footer) -> None:
                frame.write_parquet(file, compression="zstd", compression_level=1, metadata=footer)

            target = directory / rollup_name(name, secrets.token_hex(8))
            publish(target, bench.file(target.name), write)
    except (PublishFailed, OSError) as error:
        log.warning("a part stands without its rollup", part=name, reason=str(error))


def build_rollups(
    bench: Workbench,
    lake_dir: Path,
    dataset: Dataset,
    day: date,
    path: Path,
    *,
    reader: duckdb.DuckDBPyConnection,
    grains: tuple[Grain, ...] = tuple(GRAINS),
    telling: Telling | None = None,
) -> list[tuple[Path, Path]]:
    """Make rollups of the file at `path` on the workbench: where each lies, and where it belongs. Memory is bounded by
    what `reader` may take. Raises duckdb.Error, OSError.

    `telling` is given for a day of which rows were retired, or are just now.
    """
    built: list[tuple[Path, Path]] = []
    for grain in grains:
        if telling is None:
            select: str | None = select_of(dataset, grain, path)
        else:
            select = _kept_select(lake_dir, dataset, grain, day, telling)
        if select is None:
            continue
        name = rollup_name(path.name, secrets.token_hex(8), is_kept=telling is not None)
        target = rollup_dir(lake_dir, grain, dataset, day) / name
        lies = bench.file(name)
        built.append((lies, target))
        try:
            write_rollup(reader, dataset, grain, select, lies, path.name, telling.values if telling else {})
        except BaseException:
            discard_rollups(built)
            raise
    return built


def write_rollup(
    reader: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    grain: Grain,
    select: str,
    lies: Path,
    made_from: str,
    values: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Write what a question (with parameters `values`) answers as a rollup of `made_from`, durably. Raises
    duckdb.Error, OSError."""
    slots = {"select": select, "order": _ORDER[dataset, grain], "footer": _in_sql(_footer(made_from))}
    reader.execute(filled(_SQL["write"], path=_literal(str(lies)), **slots).decode(), dict(values))
    lies.chmod(0o640)
    with lies.open("rb") as written:
        os.fsync(written.fileno())


def _kept_select(lake_dir: Path, dataset: Dataset, grain: Grain, day: date, telling: Telling) -> str | None:
    """What files came to with all that was retired from them; None where no rollup of that grain tells."""
    if grain in DERIVED:
        hours = _kept_select(lake_dir, dataset, "hour", day, telling)
        return None if hours is None else derived(dataset, grain, hours)
    rollups = list_rollups(lake_dir, dataset, [day])
    selects = []
    for file in telling.files:
        kept = rollups.paths[grain].get(file.name) if file.name in rollups.kept else None
        if kept is None and file.name in rollups.kept:
            return None
        selects.append(select_of(dataset, grain, file) if kept is None else as_it_is(dataset, grain, kept))
    return together(dataset, selects, telling)


def together(dataset: Dataset, selects: Iterable[str], telling: Telling) -> str:
    """Rollups of several files as one, without what is erased."""
    joined = " union all ".join(f"({select})" for select in selects)
    return filled(_SQL[f"together_{dataset}"], selects=joined, without=telling.without).decode()


def place_rollups(bench: Workbench, built: Iterable[tuple[Path, Path]]) -> None:
    """Let built rollups appear; those that can't, don't. Raises LeadershipLost, and SealRefused for one that holds what
    nothing else does."""
    for lies, target in built:
        try:
            make_directory(target.parent)
            target.hardlink_to(lies)
            flush_directory(target.parent)
            lies.unlink()
        except OSError as error:
            if not bench.path.exists():
                raise LeadershipLost(f"Another mirror has taken over; {target.name} isn't placed.") from error
            if is_kept(target.name):
                raise SealRefused(f"{target} can't be placed ({error.strerror}); the day stays as it is.") from error
            remove_files([lies])
            log.warning("a rollup can't be placed", rollup=str(target), reason=str(error))


def discard_rollups(built: Iterable[tuple[Path, Path]]) -> None:
    """Remove built rollups whose file won't appear, from workbench and lake."""
    remove_files(path for both in built for path in both)


def remove_rollups(lake_dir: Path, dataset: Dataset, day: date, files: set[str]) -> None:
    """Remove the rollups of files that no longer stand. A reader who listed both finds both gone and asks again."""
    for grain in GRAINS:
        remove_files(
            path for path in rollups_in(rollup_dir(lake_dir, grain, dataset, day)) if made_from(path.name) in files
        )


def remove_strays(lake_dir: Path, dataset: Dataset) -> list[Path]:
    """Remove the rollups whose file doesn't stand: what a mirror left that died. Answers which. For the mirror alone,
    while it publishes nothing."""
    listing = list_parts(lake_dir, dataset)
    standing = {file.path.name for file in (*listing.files, *listing.unfinished)}
    strays = [
        path
        for grain in GRAINS
        for path in _all_rollups(lake_dir, grain, dataset)
        if made_from(path.name) not in standing
    ]
    remove_files(strays)
    return strays


def forget_rollups(lake_dir: Path, grain: Grain, dataset: Dataset, before: date) -> int:
    """Remove the rollups of one grain of the days before a day; answers how many. Their files, or coarser rollups, tell
    of those days from then on."""
    old = [path for path in _all_rollups(lake_dir, grain, dataset) if path.parent.name < f"day={before.isoformat()}"]
    remove_files(old)
    for directory in {path.parent for path in old}:
        with contextlib.suppress(OSError):
            directory.rmdir()
    return len(old)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove what can be removed; what is gone is."""
    for path in list(paths):
        with contextlib.suppress(OSError):
            path.unlink()


def difference(reader: duckdb.DuckDBPyConnection, dataset: Dataset, grain: Grain, left: str, right: str) -> int:
    """In how many rows the answers to two questions about rollups differ. Raises duckdb.Error."""
    columns = ", ".join(rollup_columns(dataset, grain))
    statement = filled(_SQL["differences"], left=left, right=right, columns=columns)
    return int(reader.execute(statement.decode()).fetchall()[0][0])


def is_readable(reader: duckdb.DuckDBPyConnection, dataset: Dataset, grain: Grain, rollup: Path) -> bool:
    """Whether a rollup can be read to its last byte."""
    try:
        reader.execute(filled(_SQL["all_of"], told=as_it_is(dataset, grain, rollup)).decode()).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return False
    return True


def count_rows(reader: duckdb.DuckDBPyConnection, dataset: Dataset, file: Path) -> int:
    """How many rows a file of the lake has. Raises duckdb.Error."""
    return int(reader.execute(filled(_SQL["rows"], parts=_relation(dataset, file)).decode()).fetchall()[0][0])


def rollups_of(lake_dir: Path, grain: Grain, dataset: Dataset, file: Part | Seal) -> list[Path]:
    """What stands beside a file, kept or not."""
    directory = rollup_dir(lake_dir, grain, dataset, file.day)
    return [path for path in rollups_in(directory) if made_from(path.name) == file.path.name]


def _all_rollups(lake_dir: Path, grain: Grain, dataset: Dataset) -> list[Path]:
    return sorted((lake_dir / "rollups" / grain / dataset).glob("day=*/*.parquet"))


# Texts ------------------------------------------------------------------------------------------


def _footer(name: str) -> dict[str, str]:
    return {_KEY + "made_from": name}


def select_of(dataset: Dataset, grain: Grain, path: Path) -> str:
    """What a file comes to, as a question in DuckDB."""
    if grain in DERIVED:
        return derived(dataset, grain, select_of(dataset, "hour", path))
    return filled(_SQL[dataset], parts=_relation(dataset, path), size=str(GRAINS[grain] * 1_000_000)).decode()


def derived(dataset: Dataset, grain: Grain, hours: str) -> str:
    """What a rollup per hour comes to in another grain."""
    measures = ("bucket", "errors", "last_seen", "finished", "failed")
    keys = ", ".join(name for name in rollup_columns(dataset, grain) if name not in measures)
    size = str(GRAINS[grain] * 1_000_000)
    return filled(_SQL[f"derived_{dataset}"], size=size, keys=keys, hours=hours).decode()


def as_it_is(dataset: Dataset, grain: Grain, *rollups: Path) -> str:
    """What rollups hold, the same way."""
    columns = ", ".join(rollup_columns(dataset, grain))
    listed = "[" + ", ".join(_literal(str(rollup)) for rollup in rollups) + "]"
    return filled(_SQL["readable"], columns=columns, rollups=listed).decode()


def _relation(dataset: Dataset, path: Path) -> str:
    """One file as a relation, its name written out: a copy takes no parameters."""
    relation, values = parts_in_sql(dataset, [str(path)])
    for name, paths in values.items():
        relation = relation.replace(f"${name}", "[" + ", ".join(map(_literal, paths)) + "]")
    return relation


def _in_sql(footer: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_literal(name)}: {_literal(value)}" for name, value in footer.items()) + "}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
