"""Proof that Postgres and the lake agree.

Every file is read and held against its name and its footer: rows, what they stand for, a hash of the ids that no order
changes, day and transactions. Every range is accounted for, part by part, whether a part stands alone or was merged
into a sealed file. And every range that Postgres still has is compared row by row, value by value.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from analytics.evolution import as_of_today
from analytics.lake import COLUMNS, DATASETS, Dataset, Listing, Part, Seal, list_parts, strangers
from ingest.database import Connection, system_identifier
from ingest.statements import load_statements
from jobs.contents import Contents, Damaged, merged_parts, open_reader, parts_of, read_contents, read_footer, rows_twice
from jobs.exceptions import ClusterChanged, LakeMismatch
from jobs.housekeeping import partition_days
from jobs.ranges import ID_COLUMN, read_range

_SQL = load_statements(__file__)
_FROM_BACKUP = "Put it back from a backup of the lake."

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DayAccount:
    """What the lake holds of one day, as read from its files."""

    dataset: Dataset
    day: date
    files: int
    is_sealed: bool
    rows: int
    counted: int  # sum of stands_for, of finished for trials


@dataclass(slots=True)
class Report:
    """What was compared, and what differs. `is_equal` when nothing does."""

    ranges: int = 0
    rows_compared: int = 0
    rows_only_in_lake: int = 0  # of days that Postgres no longer holds
    waiting: int = 0  # committed, and not due in the lake yet
    days: list[DayAccount] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the lake has every row below the watermark exactly once, as Postgres has it."""
        return not self.problems


@dataclass(slots=True)
class _Range:
    """The parts of a range that are accounted for: number → the file that holds it, and how many there must be."""

    of: int
    holders: dict[int, Part | Seal] = field(default_factory=dict)
    rows: int = 0


def verify(connection: Connection, lake_dir: Path) -> Report:
    """Compare both stores. Memory is bounded by the largest range and by what DuckDB may take; what that can't hold
    goes to the system's temporary directory."""
    report = Report()
    with TemporaryDirectory(prefix="meshhook-errors-") as spill, open_reader(Path(spill)) as reader:
        for dataset in DATASETS:
            _verify_dataset(connection, lake_dir, dataset, reader, report)
    return report


def _verify_dataset(
    connection: Connection, lake_dir: Path, dataset: Dataset, reader: duckdb.DuckDBPyConnection, report: Report
) -> None:
    listing = list_parts(lake_dir, dataset)
    report.problems += _foreign_files(lake_dir, dataset, listing)
    report.problems += _claim_problems(connection, lake_dir, dataset, listing)
    sound = _sound_files(reader, dataset, listing, report)
    ranges = _account(dataset, listing, sound, report)
    report.problems += _gaps(connection, dataset, listing, ranges)
    oldest = _oldest_kept(connection, dataset)
    kept_days = set(partition_days(connection, dataset))
    for span, parts in sorted(ranges.items()):
        report.ranges += 1
        if len(parts.holders) == parts.of:
            _compare(connection, dataset, span, parts, (oldest, kept_days), report)
    report.waiting += _count_from(connection, dataset, listing.watermark)


def _foreign_files(lake_dir: Path, dataset: Dataset, listing: Listing) -> Iterator[str]:
    for stranger in strangers(lake_dir, dataset):
        yield f"{stranger} is no part of ours, and readers of **/*.parquet count it. Move it away."
    for file in listing.superseded:
        yield f"{file.path} stands twice: a sealed file beside it holds its rows. Move it away."


def _claim_problems(connection: Connection, lake_dir: Path, dataset: Dataset, listing: Listing) -> Iterator[str]:
    """Whether transaction ids of lake and database can be compared at all."""
    claim = connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
    if claim is not None and claim[2] != system_identifier(connection):
        yield f"{dataset}: {ClusterChanged('The last claim of the mirror')}"
    elif (claim is None and listing.files) or (claim is not None and claim[1] < listing.watermark):
        yield str(LakeMismatch(str(lake_dir), dataset, lake_is_ahead=True))


def _sound_files(
    reader: duckdb.DuckDBPyConnection, dataset: Dataset, listing: Listing, report: Report
) -> list[Part | Seal]:
    """The files that hold what they say; tells of the others."""
    sound: list[Part | Seal] = []
    days: dict[date, list[tuple[Part | Seal, Contents]]] = defaultdict(list)
    for file in listing.files:
        try:
            contents = _examine(reader, dataset, file)
        except Damaged as error:
            report.problems.append(f"{dataset}, {file.day}: {error} {_FROM_BACKUP}")
            continue
        sound.append(file)
        days[file.day].append((file, contents))
    for day, files in sorted(days.items()):
        is_sealed = any(isinstance(file, Seal) for file, _ in files)
        rows, counted = sum(held.rows for _, held in files), sum(held.counted for _, held in files)
        report.days.append(DayAccount(dataset, day, len(files), is_sealed, rows, counted))
    return sound


def _examine(reader: duckdb.DuckDBPyConnection, dataset: Dataset, file: Part | Seal) -> Contents:
    """What a file holds. Raises Damaged where that isn't what its name and footer say."""
    contents = read_contents(reader, dataset, [file.path])
    footer = read_footer(file.path)
    found = {"rows": str(contents.rows), "counted": str(contents.counted), "ids": contents.ids}
    for name, value in found.items():
        if footer.get(name, value if isinstance(file, Part) else None) != value:
            raise Damaged(f"{file.path} has {name} {value}, its footer says {footer.get(name, 'nothing')}.")
    if isinstance(file, Seal) and contents.rows != sum(rows for *_, rows in merged_parts(file.path, footer)):
        raise Damaged(f"{file.path} has other rows than the parts that it was made of.")
    if not contents.lie_in(file):
        raise Damaged(f"{file.path} holds rows of another day or range.")
    if twice := rows_twice(reader, dataset, file.path):
        raise Damaged(f"{file.path} has {twice} rows twice.")
    return contents


def _account(dataset: Dataset, listing: Listing, sound: list[Part | Seal], report: Report) -> dict[Span, _Range]:
    """Every range that a name or a footer tells of. Tells of parts that are missing, and of what stands twice."""
    ranges: dict[Span, _Range] = {}
    for file in listing.files:
        try:
            held = parts_of(file)
        except Damaged:  # told already; of a part its name says enough
            held = [(file.start, file.end, file.number, file.of, 0)] if isinstance(file, Part) else []
        for start, end, number, of, rows in held:
            known = ranges.setdefault((start, end), _Range(of))
            known.rows += rows
            if number in known.holders:
                where = f"{dataset}, transactions {start} to {end}"
                report.problems.append(f"{where}: part {number} stands twice, in {file.path} too. Move one away.")
            known.holders[number] = file
    damaged = set(listing.files) - set(sound)
    for (start, end), known in sorted(ranges.items()):
        missing = known.of - len(known.holders)
        if missing:
            where = f"{dataset}, transactions {start} to {end}"
            report.problems.append(f"{where}: {missing} of {known.of} parts are missing. {_FROM_BACKUP}")
        known.holders = {number: file for number, file in known.holders.items() if file not in damaged}
    return ranges


def _gaps(connection: Connection, dataset: Dataset, listing: Listing, ranges: dict[Span, _Range]) -> Iterator[str]:
    """Ranges of which no part stands. Ranges follow each other from 0 to what the mirror has claimed."""
    end = 0
    for span in sorted(ranges):
        if span[0] > end:
            yield f"{dataset}, transactions {end} to {span[0]}: every part is missing. {_FROM_BACKUP}"
        end = max(end, span[1])
    claim = connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
    if claim is not None and claim[0] > max(end, listing.watermark):
        yield f"{dataset}, transactions {listing.watermark} to {claim[0]}: every part is missing. {_FROM_BACKUP}"


def _compare(
    connection: Connection,
    dataset: Dataset,
    span: Span,
    parts: _Range,
    kept: tuple[int | None, set[date]],
    report: Report,
) -> None:
    """Hold the rows of one range against those that Postgres has of it."""
    oldest, kept_days = kept
    if oldest is None or span[1] <= oldest:
        report.rows_only_in_lake += parts.rows
        return
    published = _published(dataset, span, parts)
    here = read_range(connection, dataset, *span)
    key = ID_COLUMN[dataset]
    extra = published.join(here, on=key, how="anti")
    gone = extra.filter(~pl.col("received_at").dt.date().is_in(sorted(kept_days)) | (pl.col("xact_id") < oldest))
    missing = here.join(published, on=key, how="anti").height
    report.rows_only_in_lake += gone.height
    report.rows_compared += here.height
    where = f"{dataset}, transactions {span[0]} to {span[1]}"
    if missing:
        report.problems.append(f"{where}: {missing} rows are missing in the lake. {_FROM_BACKUP}")
    if extra.height > gone.height:
        report.problems.append(
            f"{where}: {extra.height - gone.height} rows are only in the lake, although Postgres has the days on which "
            "they came. Somebody has deleted them there; the lake has them whole."
        )
    shared = published.join(here, on=key, how="semi")
    if not missing and not here.sort(key).equals(shared.sort(key)):
        report.problems.append(f"{where}: the same ids, with other values. {_FROM_BACKUP}")


def _published(dataset: Dataset, span: Span, parts: _Range) -> pl.DataFrame:
    frames = []
    for file in dict.fromkeys(parts.holders.values()):
        rows = pl.scan_parquet(file.path, hive_partitioning=False)
        if isinstance(file, Seal):
            rows = rows.filter(pl.col("xact_id") >= span[0], pl.col("xact_id") < span[1])
        frames.append(as_of_today(rows.collect(), dataset).select(list(COLUMNS[dataset])))
    return pl.concat(frames)


def _oldest_kept(connection: Connection, dataset: Dataset) -> int | None:
    """The oldest transaction of which Postgres still holds rows."""
    row = connection.execute(_SQL[f"oldest_{dataset}"]).fetchone()
    return None if row is None else row[0]


def _count_from(connection: Connection, dataset: Dataset, watermark: int) -> int:
    row = connection.execute(_SQL[f"waiting_{dataset}"], {"watermark": watermark}).fetchone()
    return 0 if row is None else int(row[0])
