"""Asking: a question runs in a process of its own, from which rows come in batches; it can be stopped at any moment.

question = Question(lake_dir, "select count(*) from errors", Limits())
answer = question.answer()          # or question.batches(), for what doesn't fit into memory
question.cancel()                   # from another thread
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa

from analytics.exceptions import AnalyticsError
from analytics.lake import stands
from analytics.sandbox.views import views

_MOST_TRIES = 4  # days are sealed one after the other, each in an instant
_LOCALE = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}  # nothing of our own environment goes along
_LONGEST_MESSAGE = 500
_CALENDAR = (datetime(1700, 1, 1), datetime(2261, 12, 31))  # noqa: DTZ001 - what every precision can hold


class QuestionRefused(AnalyticsError):
    """The question can't be asked, or has no answer; the message is a sentence for whoever wrote it."""


class QuestionStopped(AnalyticsError):
    """It was cancelled, or took longer than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may cost. None: as much as it takes."""

    most_rows: int | None = 10_000
    most_bytes: int | None = 50_000_000
    seconds: float | None = 60
    memory_mb: int = 1000
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows, how long they took, and a sentence where there are more of them than were read."""

    frame: pl.DataFrame
    seconds: float
    note: str | None


@dataclass(slots=True)
class _Notes:
    refused: str | None = None
    failed: tuple[str, str, str] | None = None  # kind, message, place
    cut: str | None = None
    is_done: bool = False
    rest: str = ""


@dataclass(slots=True)
class Question:
    """One question, asked once. `progress` is between 0 and 1 where the engine knows it."""

    lake_dir: Path
    sql: str
    limits: Limits = field(default_factory=Limits)
    progress: float | None = None
    _process: "subprocess.Popen[bytes] | None" = None
    _is_cancelled: bool = False
    _is_late: bool = False
    _notes: _Notes = field(default_factory=_Notes)

    def __post_init__(self) -> None:
        self.lake_dir = self.lake_dir.resolve()  # the other process stands elsewhere

    @property
    def process_id(self) -> int | None:
        """The process that it runs in, or ran in."""
        return None if self._process is None else self._process.pid

    @property
    def note(self) -> str | None:
        """A sentence where there are more rows than were read; known when all frames were taken."""
        return self._notes.cut

    def answer(self) -> Answer:
        """All rows up to the limits. Raises QuestionRefused, QuestionStopped."""
        begun = time.monotonic()
        frame = pl.concat(self.frames(), how="vertical")
        return Answer(_with_plain_numbers(frame), time.monotonic() - begun, self.note)

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows, some at a time; at least one frame, which may be empty, so that the columns are known."""
        for batch in self._batches():
            try:
                yield _within_the_calendar(pl.DataFrame(pl.from_arrow(batch)))
            except pl.exceptions.PolarsError:
                raise QuestionRefused("A column is of a kind that can't be shown: cast it to VARCHAR.") from None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        timer = threading.Timer(self.limits.seconds or 0, self._stop_late) if self.limits.seconds else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            for _ in range(_MOST_TRIES - 1):
                queries, paths = views(self.lake_dir)
                taken = 0
                for batch in self._asked(queries, paths):
                    taken += 1
                    yield batch
                if taken or self._notes.failed is None or all(map(stands, paths)):
                    break
                self._notes = _Notes()  # a day was sealed between listing and reading
        finally:
            if timer is not None:
                timer.cancel()
            self._end()
        self._raise_failure()

    def cancel(self) -> None:
        """Stop it, wherever it is."""
        self._is_cancelled = True
        self._end()

    def _stop_late(self) -> None:
        self._is_late = True
        self._end()

    def _end(self) -> None:
        if (process := self._process) is not None and process.poll() is None:
            process.kill()

    def _asked(self, queries: dict[str, str], paths: list[str]) -> Iterator[pa.RecordBatch]:
        seconds = self.limits.seconds
        request = {
            "sql": self.sql,
            "lake_dir": str(self.lake_dir),
            "views": queries,
            "paths": paths,
            "memory_mb": self.limits.memory_mb,
            "threads": self.limits.threads,
            "cpu_seconds": None if seconds is None else int(seconds * (self.limits.threads + 1)) + 5,
            "most_rows": self.limits.most_rows,
            "most_bytes": self.limits.most_bytes,
        }
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "analytics.sandbox.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_LOCALE,
            cwd="/",
        ) as process:
            self._process = process
            if self._is_cancelled or self._is_late:
                process.kill()
            assert process.stdin and process.stdout and process.stderr
            listener = threading.Thread(target=self._listen, args=[process.stderr], daemon=True)
            try:
                listener.start()
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
                with pa.ipc.open_stream(process.stdout) as stream:
                    yield pa.RecordBatch.from_pylist([], schema=stream.schema)
                    yield from stream
            except (BrokenPipeError, pa.ArrowInvalid, OSError):
                pass  # it ended early; why is told by its notes
            except BaseException:  # Ctrl-C, or enough was seen: nobody can close what its listener still reads
                process.kill()
                raise
            finally:
                if process.poll() is None and self._notes.is_done is False:
                    self._await_end(process)
                if listener.ident is not None:
                    listener.join(timeout=5)

    def _await_end(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()

    def _listen(self, errors: IO[bytes]) -> None:
        for line in errors:
            try:
                note = json.loads(line)
            except ValueError:
                self._notes.rest = line.decode(errors="replace").strip() or self._notes.rest
                continue
            self._take(note)

    def _take(self, note: dict[str, Any]) -> None:
        if "progress" in note:
            self.progress = note["progress"]
        elif "cut" in note:
            why = "there are more" if note["cut"] == "rows" else "they are large, and there may be more"
            self._notes.cut = f"Cut at {note['most']:,} rows: {why}."
        elif "refused" in note:
            self._notes.refused = note["refused"]
        elif "failed" in note:
            self._notes.failed = (note["kind"], note["failed"], note["place"])
        elif "done" in note:
            self._notes.is_done = True

    def _raise_failure(self) -> None:
        notes = self._notes
        if self._is_cancelled:
            raise QuestionStopped("Cancelled.")
        if self._is_late:
            raise QuestionStopped(
                f"Stopped after {self.limits.seconds:g} seconds. Narrow it down, for example to some days: "
                "WHERE day >= '2026-11-01'."
            )
        if notes.refused is not None:
            raise QuestionRefused(notes.refused)
        if notes.failed is not None:
            raise QuestionRefused(self._sentence(*notes.failed))
        if not notes.is_done:
            raise QuestionRefused(_TOO_LARGE.format(self.limits.memory_mb))

    def _sentence(self, kind: str, message: str, place: str) -> str:
        """The engine's message in one line, with its place, without paths of this machine."""
        if kind == "OutOfMemoryException" or "bad_alloc" in message:
            return _TOO_LARGE.format(self.limits.memory_mb)
        line = " ".join(message.replace(str(self.lake_dir), "LAKE").split("\n\n")[0].split()).rstrip(". ")
        line = line[:1].upper() + line[1:]
        return f"{line[:_LONGEST_MESSAGE]}{place}{'' if line.endswith(('?', '!')) and not place else '.'}"


_TOO_LARGE = "It needs more memory than the {} MB that a question may take. Narrow it down, or aggregate first."


def _with_plain_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Sums of whole numbers are wider than 64 bits in the engine; where they fit, they are plain whole numbers here."""
    plain = {}
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Decimal) and kind.scale == 0:
            narrowed = frame[name].cast(pl.Int64(), strict=False)
            if narrowed.null_count() == frame[name].null_count():
                plain[name] = narrowed
    return frame.with_columns(**plain)


def _within_the_calendar(frame: pl.DataFrame) -> pl.DataFrame:
    """The engine knows infinity and years that nothing else can write: they are null here."""
    checked = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.Datetime | pl.Date):
            low, high = (pl.Series([bound]).cast(kind).to_physical().item() for bound in _CALENDAR)
            fits = pl.col(name).to_physical().is_between(low, high)
            checked.append(pl.when(fits).then(pl.col(name)).otherwise(None).alias(name))
    return frame.with_columns(checked)
