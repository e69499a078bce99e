"""The disk spool: acknowledged rows that wait for Postgres to come back.

    SPOOL/errors-<since>-<process>-<token>.rows     lines as in ingest/rows.py, appended and flushed to disk
                                                    before anyone is answered

A segment is drained into Postgres and then removed; dying in between means that its rows are offered again, and
the ledger of ids knows them. A last line without its newline was never acknowledged and is dropped.

Whoever appends to a segment holds its lock (`flock`) until it is sealed, so that nobody else drains and removes what
still grows. A segment of a dead process is unlocked: any process drains it.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ingest.exceptions import SpoolFull
from ingest.rows import FACTS, Fact, Row, row_of_line

_SEGMENT_BYTES = 8 * 1024 * 1024
_SUFFIX = ".rows"


class Spool:
    """Safe for many threads; several processes may share a directory."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._open: dict[Fact, tuple[Path, int]] = {}
        self._appending = threading.Lock()

    def append(self, rows: Sequence[Row]) -> None:
        """Make `rows` durable. Raises SpoolFull when the limit is reached or the disk refuses."""
        wanted = sum(len(row.line) for row in rows)
        try:
            with self._appending:
                if self.size() + wanted > self._max_bytes:
                    raise SpoolFull(
                        "Postgres is away and the spool is full. Retry later; "
                        "MESHHOOK_ERRORS_SPOOL_MAX_BYTES sets the limit."
                    )
                for fact in FACTS:
                    if lines := [row.line for row in rows if row.fact == fact]:
                        self._append_lines(fact, b"".join(lines))
        except OSError as error:
            raise SpoolFull(f"Postgres is away and the spool can't be written: {error.strerror}.") from error

    def _append_lines(self, fact: Fact, lines: bytes) -> None:
        descriptor = self._segment(fact)
        before = os.fstat(descriptor).st_size
        try:
            _write(descriptor, lines)
        except OSError:
            try:
                os.ftruncate(descriptor, before)
            except OSError:
                self._close(fact)  # what is torn must stay the last line of its segment
            raise

    def _segment(self, fact: Fact) -> int:
        if fact in self._open and os.fstat(self._open[fact][1]).st_size >= _SEGMENT_BYTES:
            self._close(fact)
        if fact not in self._open:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{fact}-{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
            self._open[fact] = _open_locked(self._directory / f"{name}{_SUFFIX}")
        return self._open[fact][1]

    def _close(self, fact: Fact) -> None:
        os.close(self._open.pop(fact)[1])

    def set_aside(self, row: Row) -> Path:
        """Keep a row that Postgres refuses, outside the segments; answers the file."""
        path = self._directory / f"refused-{row.fact}.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _write(descriptor, row.line)
        finally:
            os.close(descriptor)
        _flush_directory(self._directory)
        return path

    def segments(self) -> list[Path]:
        """What can be drained, oldest first: all but the segments that another process still appends to."""
        own = {path for path, _ in self._open.copy().values()}
        return [path for path in self._waiting() if path in own or not _is_locked(path)]

    def _waiting(self) -> list[Path]:
        return sorted(self._directory.glob(f"*{_SUFFIX}"), key=lambda path: (_since(path), path.name))

    def seal(self) -> None:
        """Let later rows go to a new segment, so that those listed so far can be drained."""
        with self._appending:
            for fact in tuple(self._open):
                self._close(fact)

    def size(self) -> int:
        """Bytes that wait."""
        total = 0
        for path in self._waiting():
            with suppress(FileNotFoundError):  # drained meanwhile
                total += path.stat().st_size
        return total

    def oldest(self) -> float | None:
        """Since when rows wait (epoch seconds), None when nothing waits."""
        return min(map(_since, self._waiting()), default=None)


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


def _open_locked(path: Path) -> tuple[Path, int]:
    """A new segment. It is locked before it has its name, so that nobody takes it for one that was left behind."""
    unnamed = path.with_suffix(".new")
    descriptor = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(path)
        _flush_directory(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return path, descriptor


def _is_locked(path: Path) -> bool:
    """Whether somebody appends to the segment, or has just drained it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _since(path: Path) -> float:
    """When the segment was begun (epoch seconds), as its name says."""
    began = path.name.split("-")[1:2]
    return int(began[0]) / 1e9 if began and began[0].isdecimal() else 0.0


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
