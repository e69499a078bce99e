"""Sealing: a closed day's files become one, sorted for reading, without an instant in which a count of them is wrong.

States of a day, and who moves it on

    open      parts alone, or a sealed file and parts that came after it
      │ `build`: merges them on the workbench and reads the result back; needs no Postgres, may take minutes
      ▼
    built     nothing has changed in the lake
      │ `finish`: links what came meanwhile into the new directory, exchanges the two, puts the old one aside; the names
      │ of what was replaced stand in the new one a moment longer, empty
      ▼
    sealed    one file; late events make parts beside it, and in time the day is sealed again

A crash anywhere leaves one of these states; what lies on the workbench is cleared by the next mirror. `finish` runs in
the mirror's own thread, where nothing is published meanwhile. Why a mirror that lost its lock can't finish: see
`jobs.workbench`.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import structlog

from analytics.evolution import parts_in_sql
from analytics.lake import COLUMNS, Dataset, Listing, Part, Seal, day_dir, file_of, list_parts, stands
from ingest.statements import filled, load_statements
from jobs.contents import Contents, Damaged, MergedPart, footer_of, parts_of, read_contents
from jobs.exceptions import JobError, LeadershipLost, PublishFailed, SealRefused
from jobs.kept_rollups import promise, require_kept, retired_files
from jobs.month_rollups import remove_old_months
from jobs.publishing import Step, exchange, flush_directory, no_step
from jobs.rollup import Telling, build_rollups, discard_rollups, place_rollups, remove_rollups
from jobs.workbench import SPILL, Workbench

LATE_PARTS = 64  # beside a sealed file: reading them costs more than sealing the day again
LATE_HOURS = 24
OLD_NAMES_SECONDS = 0.05
"""For how long the names of replaced files still stand, empty. Some readers list a directory and then look each name
up, and leave out what isn't there: DuckDB does. One that had listed the old names would miss the day without a word if
they were gone; an empty file is an error. It is enough for the longest time between the two, and not worth more: in
its course nobody can count the day."""
ROW_GROUP = 65_536
PAGE_BYTES = 65_536  # a reader of few rows decompresses the pages that they lie in
# By six hours, so that a range of time reads a part of the day; in them by group, for like texts compress better side
# by side and one group's rows lie together. Measured: docs/decisions/0019-read-little.md.
ORDER: dict[Dataset, str] = {
    "errors": 'epoch_us("timestamp") // 21600000000, fingerprint, "timestamp", error_id',
    "executions": '"timestamp", report_id',
}

_WRAPPED = re.compile(r'"exception_message":"((?:[^"\\]|\\.)*)"')
_SQL = load_statements(__file__)

log = structlog.get_logger("mirror")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A day of which one file holds all rows below `end`."""

    dataset: Dataset
    day: date
    end: int
    rows: int
    merged: int


@dataclass(frozen=True, slots=True)
class Built:
    """A day's new directory on the workbench, and the files whose place it takes."""

    directory: Path
    replaces: frozenset[Path]
    sealed: Sealed
    rollups: tuple[tuple[Path, Path], ...] = ()
    """Those of the merged file: where each lies on the workbench, and where it belongs."""


def due_days(listing: Listing, now: datetime, after: timedelta) -> list[date]:
    """The days to seal, oldest first. A clock that is wrong seals too early or too late, never wrongly."""
    sealed = {seal.day for seal in listing.seals}
    beside: dict[date, list[Part]] = {}
    for part in listing.parts:
        if datetime.combine(part.day, datetime.min.time(), tzinfo=UTC) + timedelta(days=1) + after <= now:
            beside.setdefault(part.day, []).append(part)
    return sorted(day for day, parts in beside.items() if day not in sealed or _is_enough(parts, now))


def _is_enough(parts: list[Part], now: datetime) -> bool:
    """Whether what came late is worth another sealing."""
    if len(parts) >= LATE_PARTS:
        return True
    try:
        oldest = min(part.path.stat().st_mtime for part in parts)
    except FileNotFoundError:
        return False
    return now.timestamp() - oldest >= LATE_HOURS * 3600


def build(
    bench: Workbench,
    lake_dir: Path,
    dataset: Dataset,
    day: date,
    listing: Listing,
    identifier: str,
    *,
    reader: duckdb.DuckDBPyConnection,
    step: Step = no_step,
) -> Built:
    """Merge a day's files on the workbench; memory is bounded by what `reader` may take. Raises SealRefused, and
    PublishFailed for a full disk and the like; nothing has changed in the lake then."""
    sources = [file for file in listing.files if file.day == day]
    paths = [source.path for source in sources]
    _check_only_ours(day_dir(lake_dir, dataset, day), day, frozenset(paths), listing.watermark)
    try:
        merged = [part for source in sources for part in parts_of(source)]
        # Where some of the day was retired, its rollups are all that is left to tell of it.
        retired = retired_files(lake_dir, dataset, day, paths)
        require_kept(reader, lake_dir, dataset, day, paths)
    except Damaged as error:
        raise _refused(dataset, day, error) from error
    telling = Telling(tuple(paths)) if retired else None
    end = listing.watermark
    return merge(
        bench, lake_dir, dataset, day, end, paths, merged, identifier, reader=reader, step=step, telling=telling
    )


def merge(
    bench: Workbench,
    lake_dir: Path,
    dataset: Dataset,
    day: date,
    end: int,
    paths: Sequence[Path],
    merged: Sequence[MergedPart],
    identifier: str,
    *,
    reader: duckdb.DuckDBPyConnection,
    step: Step = no_step,
    telling: Telling | None = None,
) -> Built:
    """Make one file of those at `paths` (parts oldest first), which hold the parts `merged`: all of the day below
    `end`. `telling` is what `build_rollups` takes. Raises what `build` raises."""
    directory = bench.directory(f"{dataset}-{day.isoformat()}")
    start = min(part[0] for part in merged)
    path = directory / Seal.name(start, end, secrets.token_hex(8))
    try:
        before = read_contents(reader, dataset, paths)
        _check_told(before, merged, Seal(end, start, day, path))
        told = {"rows": str(before.rows), "counted": str(before.counted), "ids": before.ids}
        if telling is not None:
            told["kept"] = promise(lake_dir, dataset, day, telling, reader)
        parts = json.dumps(sorted(merged), separators=(",", ":"))
        step("seal begun")
        _write(reader, dataset, paths, path, footer_of(dataset, day, (start, end), identifier, **told, parts=parts))
        step("seal written")
        _check_same(read_contents(reader, dataset, [path]), before, path)
        _flush(path, like=day_dir(lake_dir, dataset, day))
        step("seal flushed")
        rollups = build_rollups(bench, lake_dir, dataset, day, path, reader=reader, telling=telling)
        step("rollups built")
    except BaseException as error:
        shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, OSError | duckdb.Error | Damaged) and not bench.path.exists():
            raise LeadershipLost(f"Another mirror has taken over. {dataset} of {day} wasn't sealed.") from error
        if isinstance(error, Damaged):
            raise _refused(dataset, day, error) from error
        if isinstance(error, OSError | duckdb.Error) and not isinstance(error, duckdb.InterruptException):
            raise PublishFailed(
                f"Can't seal {dataset} of {day}: {_reason(error)}. Check space and permissions."
            ) from error
        raise
    sealed = Sealed(dataset, day, end, before.rows, len(paths))
    return Built(directory, frozenset(paths), sealed, tuple(rollups))


def _refused(dataset: Dataset, day: date, error: Damaged) -> SealRefused:
    return SealRefused(f"{dataset} of {day} isn't sealed: {error} `verify` tells more.")


def _check_told(contents: Contents, merged: Sequence[MergedPart], seal: Seal) -> None:
    """Raises Damaged where files don't hold what their names and footers say."""
    told = sum(rows for *_, rows in merged)
    if contents.rows != told:
        raise Damaged(f"its files hold {contents.rows} rows, their footers say {told}.")
    if not contents.lie_in(seal):
        raise Damaged("a row of it belongs to another day or range.")


def _reason(error: Exception) -> str:
    """What the system said; DuckDB wraps that in JSON."""
    found = _WRAPPED.search(str(error))
    text = json.loads(f'"{found[1]}"') if found else str(error)
    return str(text).rstrip(".")


def _check_same(written: Contents, before: Contents, path: Path) -> None:
    if written != before:
        raise Damaged(f"{path.name} doesn't hold what it was made of.")


def _write(
    reader: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    sources: Sequence[Path],
    path: Path,
    footer: dict[str, str],
) -> None:
    parts, values = parts_in_sql(dataset, [str(source) for source in sources])
    statement = filled(
        _SQL["seal"],
        columns=", ".join(f'"{name}"' for name in COLUMNS[dataset]),
        parts=parts,
        order=ORDER[dataset],
        path=_literal(str(path)),
        row_group=str(ROW_GROUP),
        page_bytes=str(PAGE_BYTES),
        footer="{" + ", ".join(f"{_literal(name)}: {_literal(value)}" for name, value in footer.items()) + "}",
    )
    reader.execute(statement.decode(), values)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _flush(path: Path, like: Path) -> None:
    """Make a built directory durable, as readable as the one that it will replace."""
    model = like.stat()
    for target, mode in ((path, 0o640), (path.parent, stat.S_IMODE(model.st_mode))):
        target.chmod(mode)
        with contextlib.suppress(PermissionError):
            os.chown(target, -1, model.st_gid)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    flush_directory(path.parent)


def finish(
    bench: Workbench, lake_dir: Path, built: Built, still_leads: Callable[[], bool], *, step: Step = no_step
) -> Sealed:
    """Let the built directory take the day's place. Raises SealRefused, LeadershipLost, ExchangeUnsupported, OSError;
    nothing has changed in the lake then."""
    sealed = built.sealed
    day = day_dir(lake_dir, sealed.dataset, sealed.day)
    try:
        _complete(built, day)
        step("late parts linked")
        if not still_leads():
            raise LeadershipLost("Another session is the mirror.")
        step("lock checked")
        place_rollups(bench, built.rollups)  # before the file is there to be found
        step("rollups placed")
        exchange(built.directory, day)
    except (OSError, JobError) as error:
        shutil.rmtree(built.directory, ignore_errors=True)
        discard_rollups(built.rollups)
        if isinstance(error, FileNotFoundError) and not bench.path.exists():
            raise LeadershipLost(f"Another mirror has taken over. {day} wasn't sealed.") from error
        raise
    step("exchanged")
    try:
        flush_directory(day.parent)
        flush_directory(bench.path)
        step("exchange flushed")
        bench.put_aside(built.directory)
        step("old put aside")
        time.sleep(OLD_NAMES_SECONDS)
    finally:
        _unlink(day / replaced.name for replaced in built.replaces)
    step("old names removed")
    remove_rollups(lake_dir, sealed.dataset, sealed.day, {path.name for path in built.replaces})
    remove_old_months(lake_dir, sealed.dataset)
    step("old rollups removed")
    log.info("sealed", dataset=sealed.dataset, day=str(sealed.day), rows=sealed.rows, merged=sealed.merged)
    return sealed


def _complete(built: Built, day: Path) -> None:
    """Give the built directory what came meanwhile, and the names of what it replaces. Raises SealRefused, OSError."""
    for late in _check_only_ours(day, built.sealed.day, built.replaces, built.sealed.end):
        (built.directory / late.path.name).hardlink_to(late.path)
    for replaced in built.replaces:
        (built.directory / replaced.name).touch(mode=0o640)
    flush_directory(built.directory)


def remove_old_names(lake_dir: Path, dataset: Dataset) -> None:
    """Remove what a mirror has left in the lake that died right after an exchange."""
    _unlink(old_names(list_parts(lake_dir, dataset)))


def old_names(listing: Listing) -> list[Path]:
    """The empty files that have the names of what a sealed file has replaced."""
    return [file.path for file in listing.superseded if not stands(file.path)]


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _check_only_ours(directory: Path, day: date, replaced: frozenset[Path], end: int) -> list[Part]:
    """The parts of a day that came after what is replaced. Raises SealRefused where anything else is missing or too
    much: an exchange would hide it."""
    found = list(directory.iterdir())
    if missing := replaced - set(found):
        raise SealRefused(f"{min(missing)} has vanished; its day isn't sealed. `verify` tells more.")
    late = []
    for path in found:
        file = file_of(path, day)
        if isinstance(file, Part) and file.start >= end:
            late.append(file)
        elif path not in replaced:
            raise SealRefused(f"{path} isn't one of the mirror's files; its day isn't sealed. Move it away.")
    return late


def spill_dir(bench: Workbench) -> Path:
    """Where a build puts what memory can't hold."""
    return bench.path / f"{SPILL}.{secrets.token_hex(4)}"
