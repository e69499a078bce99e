"""Who seals: chooses the days, builds beside the publishing, and finishes between two publishes."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import structlog

from analytics.lake import DATASETS, Dataset, list_parts
from analytics.rollups import Month
from jobs.contents import open_reader
from jobs.exceptions import ExchangeUnsupported, PublishFailed, SealRefused
from jobs.month_rollups import BuiltMonth, build_month, due_months, is_current, place_month
from jobs.publishing import Step
from jobs.rollup import forget_rollups
from jobs.sealing import Built, Sealed, build, due_days, finish, spill_dir
from jobs.workbench import Workbench

_LOOK_SECONDS = 60.0
_AGAIN_SECONDS = 3600.0  # after a day was refused or the disk was full
_NICENESS = 10

log = structlog.get_logger("mirror")


class Sealer:
    """Belongs to one mirror. Everything but `stop` is called from the mirror's thread."""

    def __init__(
        self,
        lake_dir: Path,
        after: timedelta,
        minute_days: int,
        identifier: str,
        still_leads: Callable[[], bool],
        step: Step,
    ) -> None:
        self._lake_dir = lake_dir
        self._after = after
        self._minute_days = minute_days
        self._identifier = identifier
        self._still_leads = still_leads
        self._told = step
        self._not_before: dict[tuple[Dataset, date | str], float] = {}
        self._next_look = 0.0
        self._is_unsupported = False
        self._stopping = False
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()
        self._builder: ThreadPoolExecutor | None = None
        self._building: Future[Built | BuiltMonth | None] | None = None
        self._bench: Workbench | None = None

    def turn(self, bench: Workbench, now: datetime, *, is_news: bool = False) -> Sealed | None:
        """Between two publishes: finish what is built, else begin with a day that is due, or with a month's rollups;
        looked for once a minute, and when there is news in the lake. Never waits for a build. Raises LeadershipLost."""
        if self._building is not None:
            if not self._building.done():
                return None
            building, self._building = self._building, None
            built = building.result()
            # One that was built on a bench that is gone is gone with it.
            return self._finish(bench, built) if built is not None and self._bench is bench else None
        if self._is_unsupported or (time.monotonic() < self._next_look and not is_news):
            return None
        bench.remove_old()
        for dataset in DATASETS:
            forget_rollups(self._lake_dir, "minute", dataset, now.date() - timedelta(days=self._minute_days))
        build = next(self._builds(bench, now), None)
        if build is None:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            self._close()
            return None
        self._next_look = 0.0
        if self._builder is None:
            self._builder = ThreadPoolExecutor(1, "seal", _be_nice)
        if self._bench is not bench:
            self._close()  # it would spill onto a bench that is gone
        self._bench = bench
        self._building = self._builder.submit(build)
        return None

    def seal_all(self, bench: Workbench, now: datetime) -> list[Sealed]:
        """Seal every day that is due, make the rollups of every month, and wait for it. Raises LeadershipLost."""
        sealed = []
        try:
            for build in self._builds(bench, now):
                built = None if self._stopping or self._is_unsupported else build()
                if built is not None and (done := self._finish(bench, built)) is not None:
                    sealed.append(done)
        finally:
            self._close()
        return sealed

    def stop(self) -> None:
        """Let a build end at once; from any thread."""
        self._stopping = True
        while (building := self._building) is not None and not building.done():
            with self._lock:  # an interruption between two statements is forgotten: so again and again
                if self._reader is not None:
                    self._reader.interrupt()
            wait([building], timeout=0.05)
        if self._builder is not None:
            self._builder.shutdown(wait=True, cancel_futures=True)
        self._close()

    def _open(self, bench: Workbench) -> duckdb.DuckDBPyConnection | None:
        """What builds; kept from one day to the next. None when all is to stop."""
        with self._lock:
            if self._stopping:
                return None
            if self._reader is None:
                self._reader = open_reader(spill_dir(bench))
            return self._reader

    def _close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _builds(self, bench: Workbench, now: datetime) -> Iterator[Callable[[], Built | BuiltMonth | None]]:
        """What is to be built: days first, for months are made of them."""
        self._not_before = {what: until for what, until in self._not_before.items() if until > time.monotonic()}
        for dataset in DATASETS:
            for day in due_days(list_parts(self._lake_dir, dataset), now, self._after):
                if self._may_try(dataset, day):
                    yield partial(self._build, bench, dataset, day)
        for dataset in DATASETS:
            for month in due_months(self._lake_dir, dataset, now.date()):
                if self._may_try(dataset, month.key):
                    yield partial(self._build_month, bench, dataset, month)

    def _may_try(self, dataset: Dataset, what: date | str) -> bool:
        return self._not_before.get((dataset, what), 0.0) <= time.monotonic()

    def _build_month(self, bench: Workbench, dataset: Dataset, month: Month) -> BuiltMonth | None:
        """None where it can't be done now. What comes of it is a cache: it can wait."""
        reader = self._open(bench)
        if reader is None:
            return None
        self._not_before[dataset, month.key] = time.monotonic() + _AGAIN_SECONDS
        try:
            return build_month(bench, self._lake_dir, dataset, month, reader=reader)
        except (duckdb.Error, OSError, SealRefused) as error:
            if not self._stopping and is_current(self._lake_dir, dataset, month):
                reason = str(error) if isinstance(error, SealRefused) else type(error).__name__
                log.warning("a month has no rollups", dataset=dataset, month=month.key, reason=reason)
            return None

    def _build(self, bench: Workbench, dataset: Dataset, day: date) -> Built | None:
        """None where it can't be done now; the reason is in the log."""
        reader = self._open(bench)
        if reader is None:
            return None
        self._not_before[dataset, day] = time.monotonic() + _AGAIN_SECONDS  # unless it is finished
        try:
            listing = list_parts(self._lake_dir, dataset)
            return build(bench, self._lake_dir, dataset, day, listing, self._identifier, reader=reader, step=self._told)
        except duckdb.InterruptException:
            return None
        except (SealRefused, PublishFailed) as error:
            _warn(dataset, day, error)
            return None

    def _finish(self, bench: Workbench, built: Built | BuiltMonth) -> Sealed | None:
        if isinstance(built, BuiltMonth):
            place_month(bench, self._lake_dir, built)
            return None
        try:
            sealed = finish(bench, self._lake_dir, built, self._still_leads, step=self._told)
        except ExchangeUnsupported as error:
            self._is_unsupported = True
            log.warning("no day is sealed", reason=str(error))
            return None
        except (SealRefused, OSError) as error:
            _warn(built.sealed.dataset, built.sealed.day, error)
            return None
        self._not_before.pop((sealed.dataset, sealed.day), None)
        return sealed


def _warn(dataset: Dataset, day: date, error: Exception) -> None:
    log.warning("a day stays unsealed", dataset=dataset, day=str(day), reason=str(error))


def _be_nice() -> None:
    """A build is in no hurry. On Linux a thread has its own niceness."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
