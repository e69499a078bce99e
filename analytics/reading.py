"""The planner: from which files a question is answered, exactly and with as little reading as possible.

Pure: names and times in, a plan out. A range is cut where it leaves whole hours and whole minutes; each piece is read
from the coarsest rollup whose buckets fit both the piece and the interval that was asked for, file by file: a file
without its rollup is read itself. Where a whole month of sealed days has a rollup of its own, that is read for all of
them. So a plan reads each row once, whatever rollups there are.

What was retired stands in rollups alone. A piece that doesn't fit them takes the buckets that start in it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from analytics.lake import Dataset, Listing
from analytics.rollups import CHEAPEST, GRAINS, Grain, Month, Rollups, months_of, rollup_columns

Kind = Literal["live", "day", "outline", "hour", "minute", "rows"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COARSENESS: tuple[Kind, ...] = (*GRAINS, "rows")
_NAMES: dict[Kind, str] = {
    "live": "10-second counts",
    "day": "day rollups",
    "outline": "hour outlines",
    "hour": "hour rollups",
    "minute": "minute rollups",
    "rows": "single rows",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Files of one kind, of which the buckets or rows from `start` up to `end` are read."""

    kind: Kind
    paths: tuple[str, ...]
    start: datetime
    end: datetime
    detail_from: date | None = None
    """The day from which single rows are kept, where the piece has earlier ones. Those are told by buckets that may be
    longer than what was asked for: a bucket counts where it starts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer was read from, in words, the coarsest first, and up to when it is complete. What the lake doesn't
    have yet was read from Postgres, always."""

    sources: tuple[str, ...]
    complete_to: datetime
    detail_from: date | None = None
    """The day from which single rows are kept, where earlier ones were asked for, too."""

    @staticmethod
    def of(read: Iterable[Source], complete_to: datetime, *, is_live: bool = False) -> "Reading":
        """The reading of an answer from these sources, or from Postgres' own counts."""
        sources = list(read)
        kinds: set[Kind] = {"live"} if is_live else {source.kind for source in sources}
        days = [source.detail_from for source in sources if source.detail_from is not None]
        return Reading(
            tuple(name for kind, name in _NAMES.items() if kind in kinds), complete_to, max(days, default=None)
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What decides which rollups fit: buckets of `interval_seconds`, or one, whatever its length (None), and the
    `columns` that are filtered or grouped by."""

    dataset: Dataset
    start: datetime
    end: datetime
    interval_seconds: int | None
    columns: frozenset[str] = frozenset()

    def able(self) -> list[Grain]:
        """The grains that know the columns, the coarsest first."""
        return [grain for grain in GRAINS if self.columns <= rollup_columns(self.dataset, grain).keys()]

    def fitting(self) -> list[Grain]:
        """Those of them whose buckets fit the interval."""
        interval = self.interval_seconds
        return [grain for grain in self.able() if interval is None or not interval % GRAINS[grain]]

    def wanted(self, days: Iterable[date]) -> dict[Grain, list[date]]:
        """Of these days, those of which a rollup of each grain may be read. The ones per hour always may: they tell
        what is kept. Where buckets are an hour or longer, minutes are read at the range's two ends alone."""
        within = [day for day in days if self.start.date() <= day <= self.end.date()]
        able, fitting = self.able(), self.fitting()
        if not fitting or GRAINS[fitting[0]] < GRAINS["hour"]:
            return dict.fromkeys(able, within)
        wanted = {grain: within for grain in able if grain in fitting or grain == "hour"}
        return wanted | {"minute": [day for day in within if day in (self.start.date(), self.end.date())]}


def plan(listing: Listing, rollups: Rollups, question: Question) -> list[Source]:
    """What to read for `[start, end)` of a question."""
    planner = _Planner(listing, rollups, question.able())
    return list(planner.sources(question.start, question.end, question.fitting()))


@dataclass(frozen=True, slots=True)
class _Planner:
    listing: Listing
    rollups: Rollups
    able: list[Grain]

    def sources(self, start: datetime, end: datetime, kinds: list[Grain]) -> Iterator[Source]:
        """The whole buckets of the first of `kinds` from that and from finer ones, what is left from finer ones."""
        if start >= end:
            return
        if not kinds:
            yield from self._files(start, end, ())
            return
        size = timedelta(seconds=GRAINS[kinds[0]])
        first, last = _EPOCH - (_EPOCH - start) // size * size, _EPOCH + (end - _EPOCH) // size * size
        if first >= last:
            yield from self.sources(start, end, kinds[1:])
            return
        yield from self.sources(start, first, kinds[1:])
        yield from self._files(first, last, tuple(kinds))
        yield from self.sources(last, end, kinds[1:])

    def _files(self, start: datetime, end: datetime, kinds: tuple[Grain, ...]) -> Iterator[Source]:
        """Each file of the piece once: with its month, as the cheapest rollup that it has, else itself. A file of which
        a rollup holds more than it does is never read itself: rather its finest rollup, where none fits."""
        paths: dict[Kind, list[str]] = {kind: [] for kind in _COARSENESS}
        last = (end - timedelta(microseconds=1)).date()
        fitting = [grain for grain in CHEAPEST if grain in kinds]
        detail_from: date | None = None
        told: set[str] = set()
        for month, path in self._months(start.date(), last, fitting[:1]):
            paths[fitting[0]].append(str(path))
            told.update(seal.path.name for seal in month.seals)
        for file in self.listing.files:
            if not start.date() <= file.day <= last:
                continue
            name = file.path.name
            choices = fitting
            if name in self.rollups.kept:
                choices = [*fitting, *reversed(self.able)]
                detail_from = max(detail_from or date.min, file.day + timedelta(days=1))
            if name in told:
                continue
            grain = next((grain for grain in choices if name in self.rollups.paths[grain]), None)
            path = file.path if grain is None else self.rollups.paths[grain][name]
            paths[grain or "rows"].append(str(path))
        for kind, chosen in paths.items():
            if chosen:
                yield Source(kind, tuple(chosen), start, end, detail_from)

    def _months(self, first: date, last: date, cheapest: list[Grain]) -> Iterator[tuple[Month, Path]]:
        """The months of which every sealed day lies in the piece, as their cheapest rollup. One that isn't there isn't
        replaced by another grain: that of the days is read."""
        for grain in cheapest:
            made = self.rollups.months.get(grain, {})
            for month in months_of(self.listing) if made else ():
                if month.key in made and first <= month.seals[0].day and month.seals[-1].day <= last:
                    yield month, made[month.key]
