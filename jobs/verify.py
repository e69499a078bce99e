"""Proof that Postgres and the lake agree.

Every file is read and held against its name and its footer: rows, what they stand for, a hash of the ids that no order
changes, day and transactions. Every range is accounted for, part by part, whether a part stands alone or was merged
into a sealed file. Every rollup is held against its file. And every range that Postgres still has is compared row by
row, value by value.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from analytics.evolution import as_of_today
from analytics.lake import COLUMNS, DATASETS, Dataset, Listing, Seal, stands, strangers
from ingest.database import Connection, system_identifier
from ingest.statements import load_statements
from jobs.accounts import Accounts, Range, Span, keep_accounts
from jobs.contents import open_reader
from jobs.erasing import unfinished
from jobs.exceptions import ClusterChanged, LakeMismatch
from jobs.housekeeping import partition_days
from jobs.kept_rollups import kept_problems
from jobs.month_rollups import month_problems
from jobs.ranges import ID_COLUMN, read_range
from jobs.rollup_checks import missing_rollups, rollup_problems
from jobs.sealing import OLD_NAMES_SECONDS, old_names

_SQL = load_statements(__file__)
_MOST_TRIES = 20
_MEND = "Stop the jobs and run `meshhook-errors verify --mend`, or put it back from a backup of the lake."


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
    without_rollups: int = 0  # files that are read whole where a rollup would do
    days: list[DayAccount] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Take in what was found about another dataset."""
        self.ranges += other.ranges
        self.rows_compared += other.rows_compared
        self.rows_only_in_lake += other.rows_only_in_lake
        self.waiting += other.waiting
        self.without_rollups += other.without_rollups
        self.days += other.days
        self.problems += other.problems

    @property
    def is_equal(self) -> bool:
        """Whether the lake has every row below the watermark exactly once, as Postgres has it."""
        return not self.problems


def verify(connection: Connection, lake_dir: Path) -> Report:
    """Compare both stores, also while the mirror works. Memory is bounded by the largest range and by what DuckDB may
    take; what that can't hold goes to the system's temporary directory."""
    report = Report()
    if unfinished(connection):
        report.problems.append(
            "An erasure isn't finished: the lake has rows that Postgres hasn't any more. The jobs go on with it; where "
            "they don't run, `meshhook-errors erase --resume` does."
        )
    with TemporaryDirectory(prefix="meshhook-errors-") as spill, open_reader(Path(spill)) as reader:
        for dataset in DATASETS:
            report.add(_verify_dataset(connection, lake_dir, dataset, reader))
    return report


def _verify_dataset(
    connection: Connection, lake_dir: Path, dataset: Dataset, reader: duckdb.DuckDBPyConnection
) -> Report:
    """Anew where a day was sealed meanwhile: its former files couldn't be read."""
    for _ in range(_MOST_TRIES):
        report = Report()
        # What is claimed before the lake is listed was begun before; what is listed was claimed before it is looked up.
        claimed = _claim(connection, dataset)
        accounts = keep_accounts(reader, lake_dir, dataset)
        listing = accounts.listing
        report.days += _day_accounts(dataset, accounts)
        report.problems += _foreign_files(lake_dir, dataset, listing)
        report.problems += _claim_problems(connection, lake_dir, dataset, listing)
        report.problems += _book_problems(dataset, accounts, 0 if claimed is None else claimed[0])
        oldest = _oldest_kept(connection, dataset)
        for span, parts in sorted(accounts.ranges.items()):
            report.ranges += 1
            if parts.is_whole():
                _compare(connection, dataset, span, parts, oldest, report)
        if report.is_equal:  # what is wrong with files comes first: their rollups are made from them
            report.problems += rollup_problems(reader, lake_dir, dataset, accounts.contents)
        if report.is_equal:  # and those of months from these
            report.problems += month_problems(reader, lake_dir, dataset, listing)
        retired: dict[date, int] = dict(connection.execute(_SQL["retired"], {"dataset": dataset}).fetchall())
        report.problems += kept_problems(reader, lake_dir, dataset, accounts.contents, retired)
        report.without_rollups += missing_rollups(lake_dir, dataset, listing)
        report.waiting += _count_from(connection, dataset, listing.watermark)
        report.problems += _left_names(old_names(listing))
        if all(stands(file.path) for file in listing.files):
            break
    return report


def _claim(connection: Connection, dataset: Dataset) -> tuple[int, int, str] | None:
    """What the mirror claimed last: from, to, and in which cluster."""
    row = connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def _day_accounts(dataset: Dataset, accounts: Accounts) -> Iterator[DayAccount]:
    for day in reversed(accounts.listing.days()):
        files = {file: held for file, held in accounts.contents.items() if file.day == day}
        rows, counted = sum(held.rows for held in files.values()), sum(held.counted for held in files.values())
        yield DayAccount(dataset, day, len(files), any(isinstance(file, Seal) for file in files), rows, counted)


def _foreign_files(lake_dir: Path, dataset: Dataset, listing: Listing) -> Iterator[str]:
    for stranger in strangers(lake_dir, dataset):
        yield f"{stranger} is no part of ours, and readers of **/*.parquet count it. Move it away."
    for file in listing.superseded:
        if stands(file.path):
            yield f"{file.path} stands twice: a sealed file beside it holds its rows. Move it away."


def _left_names(names: list[Path]) -> Iterator[str]:
    """Those that nobody removes; a mirror that has just exchanged their day is about to."""
    if any(path.exists() for path in names):
        time.sleep(2 * OLD_NAMES_SECONDS)
    for path in names:
        if path.exists():
            yield f"{path} is empty: the mirror that replaced it has died. The next removes it: start the jobs."


def _claim_problems(connection: Connection, lake_dir: Path, dataset: Dataset, listing: Listing) -> Iterator[str]:
    """Whether transaction ids of lake and database can be compared at all."""
    claim = _claim(connection, dataset)
    if claim is not None and claim[2] != system_identifier(connection):
        yield f"{dataset}: {ClusterChanged('The last claim of the mirror')}"
    elif (claim is None and listing.files) or (claim is not None and claim[1] < listing.watermark):
        yield str(LakeMismatch(str(lake_dir), dataset, lake_is_ahead=True))


def _book_problems(dataset: Dataset, accounts: Accounts, claimed: int) -> Iterator[str]:
    """What files and ranges lack. Ranges follow each other from 0 to the one that the mirror has claimed."""
    for file, reason in accounts.damaged.items():
        yield f"{dataset}, {file.day}: {reason} {_MEND}"
    for span, number, path in accounts.twice:
        yield f"{_named(dataset, span)}: part {number} stands twice, in {path} too. Move one away."
    for span, missing in sorted(accounts.missing.items()):
        yield f"{_named(dataset, span)}: {missing} of {accounts.ranges[span].of} parts are missing. {_MEND}"
    for span in accounts.gaps(max(claimed, accounts.listing.watermark)):
        yield f"{_named(dataset, span)}: every part is missing. {_MEND}"


def _named(dataset: Dataset, span: Span) -> str:
    return f"{dataset}, transactions {span[0]} to {span[1]}"


def _compare(
    connection: Connection, dataset: Dataset, span: Span, parts: Range, oldest: int | None, report: Report
) -> None:
    """Hold the rows of one range against those that Postgres has of it; `oldest` is the first transaction there."""
    if oldest is None or span[1] <= oldest:
        report.rows_only_in_lake += parts.rows
        return
    where, key = _named(dataset, span), ID_COLUMN[dataset]
    try:
        published = _published(dataset, span, parts)
    except (pl.exceptions.PolarsError, OSError) as error:
        report.problems.append(f"{where}: the lake can't be read ({type(error).__name__}).")
        return
    here = read_range(connection, dataset, *span)
    extra = published.join(here, on=key, how="anti")
    if extra.height:
        # Partitions may be dropped while we read; who asks afterwards knows.
        kept_days = partition_days(connection, dataset)
        gone = extra.filter(~pl.col("received_at").dt.date().is_in(kept_days) | (pl.col("xact_id") < oldest))
        report.rows_only_in_lake += gone.height
        if extra.height > gone.height:
            report.problems.append(
                f"{where}: {extra.height - gone.height} rows are only in the lake, although Postgres has the days on "
                "which they came. Somebody has deleted them there; the lake has them whole."
            )
    missing = here.join(published, on=key, how="anti").height
    report.rows_compared += here.height
    if missing:
        report.problems.append(f"{where}: {missing} rows are missing in the lake. {_MEND}")
    shared = published.join(here, on=key, how="semi")
    if not missing and not here.sort(key).equals(shared.sort(key)):
        report.problems.append(f"{where}: the same ids, with other values. {_MEND}")


def _published(dataset: Dataset, span: Span, parts: Range) -> pl.DataFrame:
    frames = []
    for file in dict.fromkeys(parts.holders.values()):
        with file.path.open("rb") as opened:  # once: under its name there may soon be another, or none
            rows = pl.scan_parquet(opened, hive_partitioning=False)
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
