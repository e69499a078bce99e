"""What the lake has, file by file and range by range, with nothing taken on trust: for `verify`, and for mending."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from analytics.lake import Dataset, Listing, Part, Seal, list_parts
from jobs.contents import Contents, Damaged, merged_parts, parts_of, read_contents, read_footer, rows_twice

Span = tuple[int, int]
File = Part | Seal


@dataclass(slots=True)
class Range:
    """A published range: of how many parts, which of them stand, and in which file."""

    of: int
    holders: dict[int, File] = field(default_factory=dict)
    rows: int = 0

    def is_whole(self) -> bool:
        """Whether every part stands, in a file that is sound."""
        return len(self.holders) == self.of


@dataclass(slots=True)
class Accounts:
    """A dataset's books."""

    listing: Listing
    contents: dict[File, Contents] = field(default_factory=dict)  # of what is sound
    damaged: dict[File, str] = field(default_factory=dict)  # and why
    ranges: dict[Span, Range] = field(default_factory=dict)
    missing: dict[Span, int] = field(default_factory=dict)  # how many parts no file tells of
    twice: list[tuple[Span, int, Path]] = field(default_factory=list)

    def gaps(self, end: int) -> list[Span]:
        """What no range covers from 0 to `end`: ranges follow each other."""
        found, reached = [], 0
        for start, stop in sorted(self.ranges):
            if start > reached:
                found.append((reached, start))
            reached = max(reached, stop)
        return [*found, (reached, end)] if end > reached else found


def keep_accounts(reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset) -> Accounts:
    """Read every file of a dataset."""
    accounts = Accounts(list_parts(lake_dir, dataset))
    for file in accounts.listing.files:
        try:
            accounts.contents[file] = examine(reader, dataset, file)
        except Damaged as error:
            accounts.damaged[file] = str(error)
        _enter(accounts, file)
    for span, known in accounts.ranges.items():
        if missing := known.of - len(known.holders):
            accounts.missing[span] = missing
        known.holders = {number: file for number, file in known.holders.items() if file not in accounts.damaged}
    return accounts


def examine(reader: duckdb.DuckDBPyConnection, dataset: Dataset, file: File) -> Contents:
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


def _enter(accounts: Accounts, file: File) -> None:
    """Note which parts a file holds."""
    try:
        held = parts_of(file)
    except Damaged:  # of a part its name says enough; what a damaged sealed file held, others must tell
        held = [(file.start, file.end, file.number, file.of, 0)] if isinstance(file, Part) else []
    for start, end, number, of, rows in held:
        known = accounts.ranges.setdefault((start, end), Range(of))
        known.rows += rows
        if number in known.holders:
            accounts.twice.append(((start, end), number, file.path))
        known.holders[number] = file
