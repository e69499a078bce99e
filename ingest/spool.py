"""The disk spool: acknowledged rows that wait for Postgres to come back.

    SPOOL/errors-<number>-<process>.rows        lines as in ingest/rows.py, appended and flushed to disk
                                                before anyone is answered

A segment is drained into Postgres and then removed; dying in between means that its rows are offered again, and
the ledger of ids knows them. A last line without its newline was never acknowledged and is dropped.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.exceptions import SpoolFull
from ingest.rows import FACTS, Fact, Row, row_of_line

_SEGMENT_BYTES = 8 * 1024 * 1024
_SUFFIX = ".rows"


class Spool:
    """Not safe for several threads at once; several processes may share a directory."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._number = 0

    def append(self, rows: Sequence[Row]) -> None:
        """Make `rows` durable. Raises SpoolFull when the limit is reached or the disk refuses."""
        wanted = sum(len(row.line) for row in rows)
        if self.size() + wanted > self._max_bytes:
            raise SpoolFull(
                "Postgres is away and the spool is full. Retry later; MESHHOOK_ERRORS_SPOOL_MAX_BYTES sets the limit."
            )
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for fact in FACTS:
                if lines := [row.line for row in rows if row.fact == fact]:
                    self._append_lines(self._segment(fact), lines)
        except OSError as error:
            raise SpoolFull(f"Postgres is away and the spool can't be written: {error.strerror}.") from error

    def _segment(self, fact: Fact) -> Path:
        path = self._path(fact)
        if path.exists() and path.stat().st_size >= _SEGMENT_BYTES:
            self._number += 1
            path = self._path(fact)
        return path

    def _path(self, fact: Fact) -> Path:
        return self._directory / f"{fact}-{self._number:08d}-{os.getpid()}{_SUFFIX}"

    def _append_lines(self, path: Path, lines: Sequence[bytes]) -> None:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            before = file.tell()
            try:
                file.write(b"".join(lines))
                file.flush()
                os.fsync(descriptor)
            except OSError:
                file.truncate(before)
                raise
        if is_new:
            _flush_directory(self._directory)

    def set_aside(self, row: Row) -> Path:
        """Keep a row that Postgres refuses, outside the segments; answers the file."""
        path = self._directory / f"refused-{row.fact}.txt"
        self._append_lines(path, [row.line])
        return path

    def segments(self) -> list[Path]:
        """What waits, oldest first."""
        if not self._directory.is_dir():
            return []
        return sorted(self._directory.glob(f"*{_SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path.name))

    def seal(self) -> None:
        """Let later rows go to a new segment, so that those listed so far can be drained."""
        self._number += 1

    def size(self) -> int:
        """Bytes that wait."""
        return sum(path.stat().st_size for path in self.segments())

    def oldest(self) -> float | None:
        """When the oldest waiting segment was last written (epoch seconds), None when nothing waits."""
        segments = self.segments()
        return segments[0].stat().st_mtime if segments else None


def read_segment(path: Path, chunk: int) -> Iterator[list[Row]]:
    """The rows of a segment, at most `chunk` at a time."""
    fact: Fact = "executions" if path.name.startswith("executions") else "errors"
    rows: list[Row] = []
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            rows.append(row_of_line(fact, line))
            if len(rows) == chunk:
                yield rows
                rows = []
    if rows:
        yield rows


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
