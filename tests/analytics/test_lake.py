"""The listing of the lake: the watermark never claims more than the listed parts hold."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from analytics import lake
from analytics.lake import Part, day_dir, list_parts

EARLIER, LATER = date(2026, 11, 23), date(2026, 11, 24)


def put(lake_dir: Path, start: int, end: int, day: date, number: int = 1, of: int = 1) -> Path:
    path = day_dir(lake_dir, "errors", day) / Part.name(start, end, number, of)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_what_is_published_while_the_folders_are_read_is_listed_whole_or_not_at_all(
    lake_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake_dir, 0, 10, EARLIER)
    put(lake_dir, 10, 20, LATER)
    read_folders = lake._day_dirs

    def slow(root: Path, dataset: lake.Dataset) -> Iterator[tuple[Path, date]]:
        folders = sorted(read_folders(root, dataset))
        yield folders[0]
        put(lake_dir, 20, 30, EARLIER)
        put(lake_dir, 30, 40, LATER)
        yield folders[1]

    monkeypatch.setattr(lake, "_day_dirs", slow)
    listing = list_parts(lake_dir, "errors")
    assert (listing.watermark, [part.start for part in listing.parts]) == (40, [0, 10, 20, 30])


def test_a_gap_that_stays_is_no_reason_to_wait(lake_dir: Path) -> None:
    put(lake_dir, 0, 10, EARLIER)
    put(lake_dir, 20, 30, LATER)
    assert list_parts(lake_dir, "errors").watermark == 30


def test_the_newest_range_counts_when_all_its_parts_stand(lake_dir: Path) -> None:
    put(lake_dir, 0, 10, EARLIER)
    put(lake_dir, 10, 20, EARLIER, 1, 2)
    listing = list_parts(lake_dir, "errors")
    assert (listing.watermark, len(listing.parts), len(listing.unfinished)) == (10, 1, 1)
    put(lake_dir, 10, 20, LATER, 2, 2)
    assert list_parts(lake_dir, "errors").watermark == 20
