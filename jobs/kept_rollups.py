"""Kept rollups: what is left of days whose rows were retired, and what is known of them where they are lost.

Nothing else tells what they hold, and a day without looks like one on which nothing happened. So the sealed file that
such a rollup belongs to promises in its footer what it comes to.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

import duckdb

from analytics.lake import Dataset, Part, Seal
from analytics.rollups import is_kept, list_rollups, rollup_dir
from ingest.statements import filled, load_statements
from jobs.contents import Damaged, read_footer
from jobs.exceptions import SealRefused
from jobs.rollup import RESTORE, Telling, as_it_is, rollups_of, select_of, together

_SQL = load_statements(__file__)
_PROMISE = "kept"
_MEASURE: dict[Dataset, str] = {"errors": "errors", "executions": "finished"}


def promised(file: Path) -> int | None:
    """What the kept rollups of a sealed file come to, as its footer says; None where it has none, or was sealed before
    footers told. Raises Damaged."""
    told = read_footer(file).get(_PROMISE)
    return None if told is None else int(told)


def promise(lake_dir: Path, dataset: Dataset, day: date, telling: Telling, reader: duckdb.DuckDBPyConnection) -> str:
    """What the footer of a file with kept rollups says of them. What was promised before, and is lost, is promised on:
    so it stays known. Raises Damaged, duckdb.Error."""
    rollups = list_rollups(lake_dir, dataset, [day])
    selects, lost = [], 0
    for file in telling.files:
        kept = rollups.paths["hour"].get(file.name) if file.name in rollups.kept else None
        before = promised(file)
        if kept is not None:
            selects.append(as_it_is(dataset, "hour", kept))
            lost += 0 if before is None else before - (_total_of(reader, dataset, kept) or 0)
        elif before is not None:
            lost += before
        else:
            selects.append(select_of(dataset, "hour", file))
    if not selects:
        return str(lost)
    told = together(dataset, selects, telling)
    total = filled(_SQL["total"], measure=_MEASURE[dataset], select=told).decode()
    return str(lost + int(reader.execute(total, dict(telling.values)).fetchall()[0][0]))


def retired_files(lake_dir: Path, dataset: Dataset, day: date, files: Iterable[Path]) -> frozenset[str]:
    """The names of those files of a day that are told by kept rollups, or were. Raises Damaged."""
    kept = list_rollups(lake_dir, dataset, [day]).kept
    return frozenset(file.name for file in files if file.name in kept or promised(file) is not None)


def require_kept(
    reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, day: date, files: Iterable[Path]
) -> None:
    """Raises SealRefused where a kept rollup per hour is gone, or isn't what was promised: that of a backup fits for as
    long as its file stands."""
    hours = list_rollups(lake_dir, dataset, [day]).paths["hour"]
    for file in files:
        try:
            told = promised(file)
        except Damaged as error:
            raise SealRefused(f"{dataset} of {day} stays as it is: {error} `verify` tells more.") from error
        if told is None:
            continue
        kept = hours.get(file.name)
        if kept is None or not is_kept(kept.name) or _total_of(reader, dataset, kept) != told:
            raise SealRefused(
                f"{dataset} of {day} stays as it is: its kept rollup is gone or isn't what it was. `verify` tells more."
            )


def kept_problems(
    reader: duckdb.DuckDBPyConnection,
    lake_dir: Path,
    dataset: Dataset,
    files: Iterable[Part | Seal],
    retired: Mapping[date, int],
) -> Iterator[str]:
    """Each kept rollup per hour that is gone, and each that doesn't come to what the footer of its file says. `files`
    are sound ones; `retired` tells of days that were retired what left them, for files whose footer doesn't say."""
    for file in files:
        if not isinstance(file, Seal):
            continue
        try:
            told = promised(file.path)
        except Damaged:
            continue  # it was sealed into another meanwhile
        if told is None and file.day not in retired:
            continue
        what = f"{retired[file.day] if told is None else told} {'errors' if dataset == 'errors' else 'trials'}"
        found = [path for path in rollups_of(lake_dir, "hour", dataset, file) if is_kept(path.name)]
        where = rollup_dir(lake_dir, "hour", dataset, file.day) / f"{file.path.stem}-*-kept.parquet"
        if not found:
            yield f"{dataset}, {file.day}: {where} is gone. It told of {what}, whose rows were retired. {RESTORE}"
        for path in found if told is not None else ():
            total = _total_of(reader, dataset, path)
            if total is not None and total != told:
                yield f"{path} comes to {total}; {file.path.name} says that it tells of {what}. {RESTORE}"


def _total_of(reader: duckdb.DuckDBPyConnection, dataset: Dataset, rollup: Path) -> int | None:
    """What a rollup comes to; None where it can't be read, which is told elsewhere."""
    total = filled(_SQL["total"], measure=_MEASURE[dataset], select=as_it_is(dataset, "hour", rollup)).decode()
    try:
        return int(reader.execute(total).fetchall()[0][0])
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return None
