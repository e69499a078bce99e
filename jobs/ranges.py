"""The rows of a range of transactions, as the lake stores them: for the mirror and for `verify`."""

import io
from concurrent.futures import Future, ThreadPoolExecutor

import polars as pl

from analytics.lake import COLUMNS, Dataset
from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)
ID_COLUMN: dict[Dataset, str] = {"errors": "error_id", "executions": "report_id"}


_CHUNK_BYTES = 16_000_000
_ESCAPES = (("n", "\n"), ("t", "\t"), ("r", "\r"), ("b", "\b"), ("f", "\f"), ("v", "\v"))


class RangeTooLarge(Exception):
    """The rows of a range are more bytes than their reader wants in memory."""


def read_range(
    connection: Connection,
    dataset: Dataset,
    start: int,
    end: int,
    *,
    most_bytes: int | None = None,
    chunk_bytes: int = _CHUNK_BYTES,
) -> pl.DataFrame:
    """All rows written by transactions in `[start, end)`, sorted by time and id. The same range gives the same frame,
    as long as every transaction in it has ended. Raises RangeTooLarge for more than `most_bytes`.

    While Postgres sends the next `chunk_bytes`, the last ones are parsed.
    """
    statement = _SQL[dataset].decode().replace("{start}", str(int(start))).replace("{end}", str(int(end)))
    parsing: list[Future[pl.DataFrame]] = []
    buffer, taken = io.BytesIO(), 0
    with ThreadPoolExecutor(1, "range") as parser, connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            for row in copy:
                buffer.write(row)
                taken += len(row)
                if most_bytes is not None and taken > most_bytes:
                    raise RangeTooLarge
                if buffer.tell() >= chunk_bytes:
                    parsing.append(parser.submit(_parsed, buffer, dataset))
                    buffer = io.BytesIO()
        rest = [_parsed(buffer, dataset)] if buffer.tell() else []
        frames = [*(future.result() for future in parsing), *rest]
    if not frames:
        return pl.DataFrame(schema=COLUMNS[dataset])
    return pl.concat(frames).sort("timestamp", ID_COLUMN[dataset])


def _parsed(rows: io.BytesIO, dataset: Dataset) -> pl.DataFrame:
    """Whole rows in the text format of COPY. A newline in them ends a row, a tab a column: others are escaped."""
    rows.seek(0)
    columns = COLUMNS[dataset]
    moments = [name for name, kind in columns.items() if kind == pl.Datetime("us", "UTC")]
    frame = pl.read_csv(
        rows,
        has_header=False,
        separator="\t",
        quote_char=None,
        null_values=r"\N",
        empty_string_is_null=False,
        schema={name: pl.String() if name in moments else kind for name, kind in columns.items()},
    )
    return frame.with_columns(
        [pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us") for name in moments]
    ).with_columns(_unescaped(frame, moments))


def _unescaped(frame: pl.DataFrame, moments: list[str]) -> list[pl.Expr]:
    """What was escaped, as it is. JSON has escapes of its own, so that backslashes are all there is in `metadata`."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String() and name not in moments]
    escaped = frame.select(pl.col(texts).str.contains("\\", literal=True).any()).row(0, named=True)
    expressions = []
    for name in filter(escaped.get, texts):
        text = pl.col(name).str.replace_all(r"\\", "\0", literal=True)  # no text of Postgres holds a NUL
        for letter, meant in _ESCAPES if name != "metadata" else ():
            text = text.str.replace_all(f"\\{letter}", meant, literal=True)
        expressions.append(text.str.replace_all("\0", "\\", literal=True))
    return expressions
