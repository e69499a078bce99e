"""Rows as files: CSV, JSON and Parquet, written a frame at a time, so that memory doesn't grow with their number.

Times are written as ISO 8601 in UTC, values with parts (lists, structures) as JSON where the format knows none.
"""

import io
from collections.abc import Callable
from typing import IO, Literal, Protocol

import polars as pl
import pyarrow.parquet as pq

Format = Literal["csv", "json", "ndjson", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "json", "ndjson", "parquet")
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
_ROWS_OF_A_GROUP = 100_000
_LEVEL = 3  # of zstd, as in the lake


class Writer(Protocol):
    """Takes frames of one schema, at least one, and is closed when there are no more. The file stays open."""

    def write(self, frame: pl.DataFrame) -> None:
        """Write the frame's rows."""

    def close(self) -> None:
        """Write what belongs at the end."""


def writer(form: Format, file: IO[bytes]) -> Writer:
    """A writer into `file`."""
    makers: dict[Format, Callable[[IO[bytes]], Writer]] = {
        "csv": _Csv,
        "json": _Json,
        "ndjson": _Lines,
        "parquet": _Parquet,
    }
    return makers[form](file)


def as_bytes(form: Format, frame: pl.DataFrame) -> bytes:
    """The whole file of a frame."""
    file = io.BytesIO()
    into = writer(form, file)
    into.write(frame)
    into.close()
    return file.getvalue()


def plain(frame: pl.DataFrame, *, keep_parts: bool) -> pl.DataFrame:
    """The frame with its times as text in UTC, and all that has parts as JSON unless `keep_parts`."""
    columns = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.Datetime):
            zone = "Z" if kind.time_zone else ""
            utc = column.dt.convert_time_zone("UTC") if kind.time_zone else column
            columns.append(utc.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{zone}"))
        elif isinstance(kind, pl.Duration):
            columns.append((column.dt.total_microseconds() / 1_000_000).alias(name))
        elif isinstance(kind, pl.Binary):
            columns.append(column.bin.encode("base64"))
        elif isinstance(kind, pl.Decimal) and keep_parts:
            columns.append(column.cast(pl.Float64()))  # a number, not a text
        elif kind.is_nested() and not keep_parts:
            columns.append(_as_json(name))
    return frame.with_columns(columns)


def _as_json(name: str) -> pl.Expr:
    whole = pl.struct(pl.col(name).alias("value")).struct.json_encode()
    # {"value":…}: what stands between
    return pl.when(pl.col(name).is_null()).then(None).otherwise(whole.str.slice(9).str.head(-1)).alias(name)


class _Csv:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._is_first = True

    def write(self, frame: pl.DataFrame) -> None:
        text = plain(frame, keep_parts=False).write_csv(include_header=self._is_first)
        self._is_first = False
        self._file.write(text.encode())

    def close(self) -> None:
        pass


class _Lines:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, frame: pl.DataFrame) -> None:
        self._file.write(_lines(frame))

    def close(self) -> None:
        pass


class _Json:
    """An array, one object a line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._before = b"[\n"

    def write(self, frame: pl.DataFrame) -> None:
        if lines := _lines(frame).rstrip(b"\n"):
            self._file.write(self._before + lines.replace(b"\n", b",\n"))
            self._before = b",\n"

    def close(self) -> None:
        self._file.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


class _Parquet:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._waiting: list[pl.DataFrame] = []
        self._writer: pq.ParquetWriter | None = None

    def write(self, frame: pl.DataFrame) -> None:
        self._waiting.append(frame)
        if sum(waiting.height for waiting in self._waiting) >= _ROWS_OF_A_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pl.concat(self._waiting).to_arrow()
        self._waiting = []
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd", compression_level=_LEVEL)
        self._writer.write_table(table)


def _lines(frame: pl.DataFrame) -> bytes:
    return plain(frame, keep_parts=True).write_ndjson().encode()
