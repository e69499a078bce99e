"""The mirror: publishes committed rows as immutable parts of the lake, each exactly once.

States of a dataset, and who moves it on

    idle      the lake's watermark equals the claim's end
      │ `_claim`: enough rows wait, or one has waited long enough; committed before the first file
      ▼
    claimed   some of the range's parts don't stand yet
      │ `_publish`: writes the missing ones; the same range always gives the same parts
      ▼
    idle

A crash anywhere leaves `claimed`, and whoever is the mirror next redoes exactly that range. Claims are written by the
session that holds the mirror's advisory lock: a mirror whose session is gone can't claim. One that was frozen after its
claim finds its workbench cleared by its successor, and can't make any name appear.

Between publishes it seals closed days: see `jobs.sealing`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO

import polars as pl
import structlog

from analytics.lake import DATASETS, Dataset, Listing, Part, day_dir, list_parts
from ingest.database import Connection, system_identifier
from ingest.statements import load_statements
from jobs.contents import footer_of, open_reader
from jobs.erasing import Eraser, is_pending
from jobs.exceptions import (
    ClusterChanged,
    EraseRefused,
    ExchangeUnsupported,
    LakeMismatch,
    LeadershipLost,
    PublishFailed,
    SealRefused,
)
from jobs.mending import Mended, Mender
from jobs.month_rollups import remove_old_months
from jobs.publishing import Opener, Step, no_step, open_new, publish, remove_leftovers
from jobs.ranges import RangeTooLarge, read_range
from jobs.retiring import Retired, Retirer
from jobs.rewriting import Rewriter
from jobs.rollup import remove_strays, write_beside
from jobs.rollup_checks import Rebuilt, rebuild
from jobs.sealer import Sealer
from jobs.sealing import Sealed, remove_old_names, spill_dir
from jobs.workbench import Workbench

_SQL = load_statements(__file__)
LOCK = 0x6D65_7368_0003  # of the one mirror
_MOST_BYTES = 256 * 1024 * 1024  # of a range's rows as text: several times that in memory while it is published
_RETIRE_SECONDS = 3600.0
_CUT = {"errors": _SQL["cut_errors"], "executions": _SQL["cut_executions"]}
_OLDEST = {"errors": _SQL["oldest_error"], "executions": _SQL["oldest_execution"]}

log = structlog.get_logger("mirror")


@dataclass(frozen=True, slots=True)
class Published:
    """A range that now stands in the lake."""

    dataset: Dataset
    start: int
    end: int
    rows: int
    parts: int


class Mirror:
    """Runs on one connection in autocommit mode, whose session holds the lock."""

    def __init__(
        self,
        connection: Connection,
        lake_dir: Path,
        *,
        max_rows: int,
        max_lag_seconds: float,
        seal_after: timedelta = timedelta(0),
        minute_days: int = 90,
        lake_days: int = 0,
        opener: Opener = open_new,
        step: Step = no_step,
    ) -> None:
        """Raises LeadershipLost where another session is the mirror."""
        self._connection = connection
        self._lake_dir = lake_dir
        self._max_rows = max_rows
        self._max_lag = max_lag_seconds
        self._opener = opener
        self._told = step
        self._stopping = False
        locked = connection.execute(_SQL["try_lock"], {"key": LOCK}).fetchone()
        if locked != (True,):
            raise LeadershipLost("Another session is the mirror.")
        self._identifier = system_identifier(connection)
        self._bench: Workbench | None = None
        self._minute_days = minute_days
        self._lake_days = lake_days
        self._next_retiring = 0.0
        self._retirer = Retirer(connection, lake_dir)
        self._sealer = Sealer(lake_dir, seal_after, minute_days, self._identifier, self._still_leads, step)
        remove_leftovers(lake_dir)

    def tick(self, *, everything: bool = False) -> list[Published]:
        """Publish what is due, or `everything` that can be. Raises ClusterChanged, LakeMismatch, PublishFailed, and
        LeadershipLost where another mirror has taken over the lake: the next tick shows whether the lock is gone too.
        """
        bench = self._workbench()
        published: list[Published] = []
        try:
            for dataset in DATASETS:
                horizon = self._horizon() if everything else None  # who goes on writing mustn't keep it up for ever
                while not self._stopping and (done := self._step(dataset, bench, everything=everything)) is not None:
                    published.append(done)
                    if horizon is not None and done.end >= horizon:
                        break
        except LeadershipLost:
            self._bench = None
            raise
        return published

    def turn(self, now: datetime | None = None) -> None:
        """Publish what is due, and go on with sealing, without ever waiting for it. Raises what `tick` raises."""
        published = self.tick()
        if self._bench is not None and not self._stopping:
            try:
                self._sealer.turn(self._bench, now or datetime.now(UTC), is_news=bool(published))
                self._erase_in_turn()
                self._retire_in_turn(now or datetime.now(UTC))
            except LeadershipLost:
                self._bench = None
                raise

    def seal(self, now: datetime | None = None) -> list[Sealed]:
        """Seal all days that are due, one after the other; answers which. Raises what `tick` raises."""
        bench = self._workbench()
        try:
            for dataset in DATASETS:
                self._unfinished_claim(dataset, list_parts(self._lake_dir, dataset))
            return self._sealer.seal_all(bench, now or datetime.now(UTC))
        except LeadershipLost:
            self._bench = None
            raise

    def mend(self, postgres_days: int) -> Mended:
        """Give damaged days of the lake back what Postgres has of them: see `jobs.mending`. Raises what `seal` raises,
        and SealRefused, ExchangeUnsupported."""
        claimed: dict[Dataset, int] = {}
        for dataset in DATASETS:
            try:
                self._unfinished_claim(dataset, list_parts(self._lake_dir, dataset))
            except LakeMismatch as mismatch:
                if mismatch.lake_is_ahead:
                    raise
            row = self._connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
            claimed[dataset] = 0 if row is None else int(row[0])
        bench = self._bench = self._bench or Workbench(self._lake_dir, self._still_leads, self._told)
        mender = Mender(self._connection, self._lake_dir, self._identifier, bench, self._still_leads)
        return mender.mend(claimed, postgres_days)

    def erase(self, *, is_alone: bool = True) -> int:
        """Erase what was asked for, in Postgres and the lake: see `jobs.erasing`. Answers how many days were rewritten.
        Raises what `mend` raises, and EraseRefused."""
        self.tick(everything=True)
        bench = self._workbench()
        with open_reader(spill_dir(bench)) as reader:
            rewriter = Rewriter(self._lake_dir, self._identifier, bench, self._still_leads, reader, self._told)
            eraser = Eraser(self._connection, self._lake_dir, rewriter, reader)
            return eraser.work(is_alone=is_alone, step=self._told)

    def _erase_in_turn(self) -> None:
        """What somebody has asked for while the jobs run. One that can't be done now waits for the next turn."""
        if is_pending(self._connection):
            try:
                log.info("erased", days=self.erase(is_alone=False))
            except (EraseRefused, SealRefused, ExchangeUnsupported, PublishFailed) as error:
                log.warning("an erasure waits", reason=str(error))

    def retire(self, before: date, most: int = 1_000_000) -> list[Retired]:
        """Take the rows of the days before `before` out of the lake, at most `most` days: see `jobs.retiring`. A day
        that isn't as it should be stays, and the log says why. Raises PublishFailed, LeadershipLost,
        ExchangeUnsupported."""
        bench = self._workbench()
        done: list[Retired] = []
        for dataset, day, listing in self._retirer.due(before):
            if len(done) >= most or self._stopping:
                break
            with open_reader(spill_dir(bench)) as reader:
                rewriter = Rewriter(self._lake_dir, self._identifier, bench, self._still_leads, reader, self._told)
                try:
                    retired = self._retirer.retire(rewriter, reader, dataset, day, listing)
                except SealRefused as error:  # no reason to keep the others
                    log.warning("a day isn't retired", dataset=dataset, day=str(day), reason=str(error))
                    continue
            if retired is not None:
                done.append(retired)
                log.info("retired", dataset=dataset, day=str(day), rows=retired.rows)
        return done

    def _retire_in_turn(self, now: datetime) -> None:
        """One day at a time, between two publishes; looked for once an hour."""
        if not self._lake_days or time.monotonic() < self._next_retiring:
            return
        self._next_retiring = time.monotonic() + _RETIRE_SECONDS
        try:
            if self.retire(now.date() - timedelta(days=self._lake_days), 1):
                self._next_retiring = 0.0
        except (ExchangeUnsupported, PublishFailed) as error:
            log.warning("no day is retired", reason=str(error))

    def rebuild_rollups(self, tell: Callable[[str], None] = lambda _: None) -> Rebuilt:
        """Make missing and wrong rollups again, and tell of each file. Raises what `seal` raises."""
        bench = self._workbench()
        with open_reader(spill_dir(bench)) as reader:
            return rebuild(bench, self._lake_dir, reader, datetime.now(UTC).date(), self._minute_days, tell)

    def stop(self) -> None:
        """End a tick after the range that it is at, and a sealing at once; from any thread."""
        self._stopping = True
        self._sealer.stop()

    def _workbench(self) -> Workbench:
        """Ours; made, and those of former mirrors cleared, once the database's claims are found to be of this lake."""
        if self._bench is None:
            for dataset in DATASETS:
                self._unfinished_claim(dataset, list_parts(self._lake_dir, dataset))
            self._bench = Workbench(self._lake_dir, self._still_leads, self._told)
            for dataset in DATASETS:
                remove_old_names(self._lake_dir, dataset)
                remove_strays(self._lake_dir, dataset)
                remove_old_months(self._lake_dir, dataset)
        return self._bench

    def _still_leads(self) -> bool:
        """Whether this session, and so this process, is the mirror at this moment."""
        return self._connection.execute(_SQL["holds_lock"], {"key": LOCK}).fetchone() == (True,)

    def _step(self, dataset: Dataset, bench: Workbench, *, everything: bool) -> Published | None:
        listing = list_parts(self._lake_dir, dataset)
        span = self._unfinished_claim(dataset, listing)
        if span is not None:
            frame = read_range(self._connection, dataset, *span)
            if listing.unfinished and frame["timestamp"].dt.date().n_unique() != listing.unfinished[0].of:
                raise PublishFailed(
                    f"Rows of the claimed range {span[0]} to {span[1]} of {dataset} are gone from Postgres, others of "
                    "it are published already. Restore them, or remove that range's parts from the lake."
                )
            if frame.height:
                return self._publish(bench, dataset, *span, frame)
            log.warning("the rows of a claimed range are gone", dataset=dataset, start=span[0], end=span[1])
        claimed = self._claim(dataset, listing.watermark, everything)
        return None if claimed is None else self._publish(bench, dataset, *claimed)

    def _unfinished_claim(self, dataset: Dataset, listing: Listing) -> tuple[int, int] | None:
        """The claimed range if it isn't published whole. The files are the commit record: what they say counts."""
        row = self._connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
        if row is None:
            if listing.files or listing.unfinished:
                raise LakeMismatch(str(self._lake_dir), dataset, lake_is_ahead=True)
            return None
        start, end, identifier = row
        if identifier != self._identifier:
            raise ClusterChanged("The mirror's last claim")
        if end < listing.watermark or start > listing.watermark:
            raise LakeMismatch(str(self._lake_dir), dataset, lake_is_ahead=end < listing.watermark)
        return None if end == listing.watermark else (start, end)

    def _claim(self, dataset: Dataset, watermark: int, everything: bool) -> tuple[int, int, pl.DataFrame] | None:
        """The next range and its rows. It is halved until it fits into memory: who redoes it must be able to, too."""
        most_rows = self._max_rows
        while (end := self._due_end(dataset, watermark, most_rows, everything)) is not None:
            try:
                most_bytes = _MOST_BYTES if most_rows > 1 else None  # a single transaction can't be divided
                frame = read_range(self._connection, dataset, watermark, end, most_bytes=most_bytes)
            except RangeTooLarge:
                most_rows //= 2
                continue
            span = {"dataset": dataset, "start": watermark, "end": end, "system_identifier": self._identifier}
            self._connection.execute(_SQL["claim_range"], span)
            self._told("range claimed")
            return watermark, end, frame
        return None

    def _due_end(self, dataset: Dataset, watermark: int, most_rows: int, everything: bool) -> int | None:
        span = {"start": watermark, "end": self._horizon(), "rows": most_rows}
        oldest = self._connection.execute(_OLDEST[dataset], span).fetchone()
        if oldest is None:
            return None
        cut = self._connection.execute(_CUT[dataset], span).fetchone()
        if cut is not None:
            # A single transaction with more rows than that is published whole.
            span["end"] = max(cut[0], watermark + 1)
            if self._connection.execute(_OLDEST[dataset], span).fetchone() is None:
                span["end"] = cut[0] + 1
        elif not everything and oldest[0] < self._max_lag:
            return None
        return int(span["end"])

    def _horizon(self) -> int:
        row = self._connection.execute(_SQL["horizon"]).fetchone()
        assert row is not None
        return int(row[0])

    def _publish(self, bench: Workbench, dataset: Dataset, start: int, end: int, frame: pl.DataFrame) -> Published:
        days = frame.with_columns(pl.col("timestamp").dt.date().alias("_day")).partition_by(
            "_day", as_dict=True, include_key=False, maintain_order=True
        )
        ordered = sorted((day[0], rows) for day, rows in days.items())
        for number, (day, rows) in enumerate(ordered, start=1):
            name = Part.name(start, end, number, len(ordered))
            self._publish_part(bench, dataset, name, day, rows, (start, end))
        self._told("range published")
        log.info("published", dataset=dataset, rows=frame.height, parts=len(ordered), start=start, end=end)
        return Published(dataset, start, end, frame.height, len(ordered))

    def _publish_part(
        self, bench: Workbench, dataset: Dataset, name: str, day: date, rows: pl.DataFrame, span: tuple[int, int]
    ) -> None:
        footer = footer_of(dataset, day, span, self._identifier, rows=str(rows.height))

        def write(file: IO[bytes]) -> None:
            rows.write_parquet(file, compression="zstd", compression_level=1, metadata=footer)

        path = day_dir(self._lake_dir, dataset, day) / name
        if not path.exists():
            write_beside(bench, self._lake_dir, dataset, day, name, rows)
            self._told("rollups published")
        publish(path, bench.file(name), write, self._opener, self._told)
