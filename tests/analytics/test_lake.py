"""The listing of the lake: the watermark never claims more than the listed parts hold."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from analytics import lake
from analytics.lake import Part, Seal, day_dir, list_parts

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

    def slow(root: Path, dataset: lake.Dataset) -> Iterator[tuple[str, date]]:
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


def seal(lake_dir: Path, end: int, day: date, token: int = 0) -> Path:
    path = day_dir(lake_dir, "errors", day) / Seal.name(0, end, f"{token:016x}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_sealed_file_tells_that_every_range_below_its_end_is_complete(lake_dir: Path) -> None:
    put(lake_dir, 0, 10, LATER, 2, 2)
    sealed = seal(lake_dir, 20, EARLIER)
    listing = list_parts(lake_dir, "errors")
    assert (listing.watermark, len(listing.parts), len(listing.seals)) == (20, 1, 1)
    put(lake_dir, 20, 30, EARLIER, 1, 2)
    assert list_parts(lake_dir, "errors").watermark == 20
    late = put(lake_dir, 20, 30, LATER, 2, 2)
    listing = list_parts(lake_dir, "errors")
    assert listing.watermark == 30
    assert {str(sealed), str(late)} < set(listing.paths())
    assert listing.days() == [LATER, EARLIER]


def test_files_whose_rows_a_sealed_one_holds_are_not_read_twice(lake_dir: Path) -> None:
    old = [put(lake_dir, 0, 10, EARLIER), seal(lake_dir, 10, EARLIER)]
    newest = seal(lake_dir, 20, EARLIER, 1)
    listing = list_parts(lake_dir, "errors")
    assert listing.paths() == [str(newest)]
    assert sorted(file.path for file in listing.superseded) == sorted(old)


def test_a_day_that_is_sealed_while_the_folders_are_read_hides_no_part(
    lake_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first folder was read before a range came, the second after it was sealed: only its end tells of it."""
    put(lake_dir, 0, 10, EARLIER)
    put(lake_dir, 0, 10, LATER)
    read_folders = lake._day_dirs

    def slow(root: Path, dataset: lake.Dataset) -> Iterator[tuple[str, date]]:
        folders = sorted(read_folders(root, dataset))
        yield folders[0]
        put(lake_dir, 10, 20, EARLIER)
        for path in Path(folders[1][0]).iterdir():
            path.unlink()
        seal(lake_dir, 20, LATER)
        yield folders[1]

    monkeypatch.setattr(lake, "_day_dirs", slow)
    listing = list_parts(lake_dir, "errors")
    assert listing.watermark == 20
    assert [part.start for part in listing.parts] == [0, 10]
