"""The planner: from which files a question is answered, exactly and with as little reading as possible.

Pure: names and times in, a plan out. A range is cut where it leaves whole hours and whole minutes; each piece is read
from the coarsest rollup whose buckets fit both the piece and the interval that was asked for, file by file: a file
without its rollup is read itself. So a plan reads each row once, whatever rollups there are.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from analytics.lake import Listing
from analytics.rollups import GRAINS, Grain, Rollups

Kind = Literal["live", "hour", "minute", "rows"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COARSENESS: tuple[Kind, ...] = ("hour", "minute", "rows")
_NAMES: dict[Kind, str] = {
    "live": "10-second counts",
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer was read from, in words, the coarsest first, and up to when it is complete. What the lake doesn't
    have yet was read from Postgres, always."""

    sources: tuple[str, ...]
    complete_to: datetime

    @staticmethod
    def of(kinds: Collection[Kind], complete_to: datetime) -> "Reading":
        """The reading of an answer from these kinds of files."""
        return Reading(tuple(name for kind, name in _NAMES.items() if kind in kinds), complete_to)


def plan(
    listing: Listing, rollups: Rollups, start: datetime, end: datetime, interval_seconds: int | None
) -> list[Source]:
    """What to read for `[start, end)` in buckets of `interval_seconds`, or in one, whatever its length (None)."""
    kinds = [grain for grain, seconds in GRAINS.items() if interval_seconds is None or not interval_seconds % seconds]
    return list(_sources(listing, rollups, start, end, kinds))


def _sources(
    listing: Listing, rollups: Rollups, start: datetime, end: datetime, kinds: list[Grain]
) -> Iterator[Source]:
    """The whole buckets of the first of `kinds` from that and from finer ones, what is left over from finer ones."""
    if start >= end:
        return
    if not kinds:
        yield from _files(listing, rollups, start, end, ())
        return
    size = timedelta(seconds=GRAINS[kinds[0]])
    first, last = _EPOCH - (_EPOCH - start) // size * size, _EPOCH + (end - _EPOCH) // size * size
    if first >= last:
        yield from _sources(listing, rollups, start, end, kinds[1:])
        return
    yield from _sources(listing, rollups, start, first, kinds[1:])
    yield from _files(listing, rollups, first, last, tuple(kinds))
    yield from _sources(listing, rollups, last, end, kinds[1:])


def _files(
    listing: Listing, rollups: Rollups, start: datetime, end: datetime, kinds: tuple[Grain, ...]
) -> Iterator[Source]:
    """Each file of the piece once: as the coarsest rollup that it has, else itself."""
    paths: dict[Kind, list[str]] = {kind: [] for kind in _COARSENESS}
    last = (end - timedelta(microseconds=1)).date()
    for file in listing.files:
        if start.date() <= file.day <= last:
            grain = next((grain for grain in kinds if file.path.name in rollups[grain]), None)
            path = file.path if grain is None else rollups[grain][file.path.name]
            paths[grain or "rows"].append(str(path))
    for kind, chosen in paths.items():
        if chosen:
            yield Source(kind, tuple(chosen), start, end)
