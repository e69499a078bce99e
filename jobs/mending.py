"""Mending: days of the lake that lost rows get them back from Postgres, as long as Postgres has them.

A mended day is rewritten like a sealed one, and exchanged with the damaged one in one step. Damaged files are kept
aside, under `LAKE/.mirror/damaged`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from analytics.lake import DATASETS, Dataset, Part, day_dir
from analytics.rollups import list_rollups
from ingest.database import Connection
from ingest.statements import load_statements
from jobs.accounts import Accounts, Range, Span, keep_accounts
from jobs.contents import MergedPart, open_reader, parts_of
from jobs.exceptions import SealRefused
from jobs.housekeeping import partition_days
from jobs.kept_rollups import require_kept, retired_files
from jobs.publishing import make_directory
from jobs.ranges import RangeTooLarge, read_range
from jobs.rollup import Telling
from jobs.sealing import Sealed, finish, merge, spill_dir
from jobs.workbench import Workbench

_SQL = load_statements(__file__)
_MOST_BYTES = 256 * 1024 * 1024


@dataclass(slots=True)
class Mended:
    """What was mended, and what can't be, each with the reason."""

    days: list[Sealed] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)


class Mender:
    """Works for the mirror, on its connection and workbench, while nothing is published."""

    def __init__(
        self, connection: Connection, lake_dir: Path, identifier: str, bench: Workbench, still_leads: Callable[[], bool]
    ) -> None:
        self._connection = connection
        self._lake_dir = lake_dir
        self._identifier = identifier
        self._bench = bench
        self._still_leads = still_leads

    def mend(self, claimed: dict[Dataset, int], postgres_days: int) -> Mended:
        """Mend every day that can be; ranges below `claimed` are known to have been complete. Raises SealRefused,
        PublishFailed, LeadershipLost, ExchangeUnsupported; the day at hand stays as it was then."""
        mended = Mended()
        with open_reader(spill_dir(self._bench)) as reader:
            for dataset in DATASETS:
                accounts = keep_accounts(reader, self._lake_dir, dataset)
                end = max(claimed.get(dataset, 0), accounts.listing.watermark)
                lost, beyond = self._lost_parts(dataset, accounts, end, postgres_days)
                mended.beyond += beyond
                for day in sorted(lost):
                    if reason := self._is_told_elsewhere(reader, dataset, day, accounts):
                        mended.beyond.append(reason)
                        continue
                    mended.days.append(self._mend_day(reader, dataset, day, accounts, lost[day], end))
        return mended

    def _is_told_elsewhere(
        self, reader: duckdb.DuckDBPyConnection, dataset: Dataset, day: date, accounts: Accounts
    ) -> str | None:
        """Why a day can't be written again without losing what only its kept rollups tell of."""
        files = [file for file in accounts.listing.files if file.day == day]
        kept = list_rollups(self._lake_dir, dataset, [day]).kept
        if damaged := next((file for file in files if file in accounts.damaged and file.path.name in kept), None):
            return f"{damaged.path} is damaged, and its kept rollups need it. Put it back from a backup of the lake."
        try:
            sound = [file.path for file in files if file not in accounts.damaged]
            require_kept(reader, self._lake_dir, dataset, day, sound)
        except SealRefused as error:
            return str(error)
        return None

    def _lost_parts(
        self, dataset: Dataset, accounts: Accounts, end: int, postgres_days: int
    ) -> tuple[dict[date, list[MergedPart]], list[str]]:
        """By day, the parts that no sound file holds, as Postgres has them; and what Postgres can't tell."""
        lost: dict[date, list[MergedPart]] = defaultdict(list)
        beyond = []
        broken: dict[Span, Range | None] = {span: it for span, it in accounts.ranges.items() if not it.is_whole()}
        broken |= dict.fromkeys(accounts.gaps(end))
        for span, known in sorted(broken.items(), key=lambda entry: entry[0]):
            days = self._days(dataset, span)
            is_other = known is not None and len(days) != known.of
            if not days or is_other or not self._has_all(dataset, span, postgres_days):
                beyond.append(
                    f"{dataset}, transactions {span[0]} to {span[1]}: Postgres no longer has all of it. Put the files "
                    "back from a backup of the lake."
                )
                continue
            for number, (day, rows) in enumerate(days, start=1):
                if known is None or number not in known.holders:
                    lost[day].append((*span, number, len(days), rows))
        return lost, beyond

    def _days(self, dataset: Dataset, span: Span) -> list[tuple[date, int]]:
        values = {"start": span[0], "end": span[1]}
        return [(day, rows) for day, rows in self._connection.execute(_SQL[f"days_{dataset}"], values)]

    def _has_all(self, dataset: Dataset, span: Span, postgres_days: int) -> bool:
        """Whether no row of a range can be in a partition that was dropped: partitions are dropped oldest first, and
        none is as young as `postgres_days`."""
        if self._connection.execute(_SQL[f"before_{dataset}"], {"start": span[0]}).fetchone() == (True,):
            return True
        oldest = min(partition_days(self._connection, dataset), default=None)
        return oldest is not None and oldest > datetime.now(UTC).date() - timedelta(days=postgres_days)

    def _mend_day(
        self,
        reader: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        day: date,
        accounts: Accounts,
        lost: list[MergedPart],
        end: int,
    ) -> Sealed:
        directory = day_dir(self._lake_dir, dataset, day)
        make_directory(directory)
        files = [file for file in accounts.listing.files if file.day == day]
        sound = [file for file in files if file not in accounts.damaged and file.start < end]
        merged = [*lost, *(part for file in sound for part in parts_of(file))]
        fetched = [path for start, stop, *_ in lost for path in self._fetch(dataset, day, (start, stop))]
        paths = [*(file.path for file in sound), *fetched]
        retired = retired_files(self._lake_dir, dataset, day, [file.path for file in sound])
        built = merge(
            self._bench,
            self._lake_dir,
            dataset,
            day,
            end,
            paths,
            merged,
            self._identifier,
            reader=reader,
            telling=Telling(tuple(paths)) if retired else None,
        )
        for path in fetched:
            path.unlink()
        for file in files:
            if file in accounts.damaged:
                self._bench.keep_damaged(file.path, f"{dataset}-{day.isoformat()}-{file.path.name}")
        later = {file for file in files if isinstance(file, Part) and file.start >= end}
        built = replace(built, replaces=frozenset(file.path for file in files if file not in later))
        return finish(self._bench, self._lake_dir, built, self._still_leads)

    def _fetch(self, dataset: Dataset, day: date, span: Span) -> Iterator[Path]:
        """The rows that Postgres has of one day of a range, as files on the workbench."""
        try:
            rows = read_range(
                self._connection, dataset, *span, most_bytes=_MOST_BYTES if span[1] - span[0] > 1 else None
            )
        except RangeTooLarge:
            middle = (span[0] + span[1]) // 2
            yield from self._fetch(dataset, day, (span[0], middle))
            yield from self._fetch(dataset, day, (middle, span[1]))
            return
        rows = rows.filter(pl.col("timestamp").dt.date() == day)
        if rows.height:
            path = self._bench.file("mended.parquet")
            rows.write_parquet(path)
            yield path
