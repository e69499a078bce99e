"""The rows of a range of transactions, as the lake stores them: for the mirror and for `verify`."""

import io

import polars as pl

from analytics.lake import COLUMNS, Dataset
from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)
ID_COLUMN: dict[Dataset, str] = {"errors": "error_id", "executions": "report_id"}


class RangeTooLarge(Exception):
    """The rows of a range are more bytes than their reader wants in memory."""


def read_range(
    connection: Connection, dataset: Dataset, start: int, end: int, *, most_bytes: int | None = None
) -> pl.DataFrame:
    """All rows written by transactions in `[start, end)`, sorted by time and id. The same range gives the same frame,
    as long as every transaction in it has ended. Raises RangeTooLarge for more than `most_bytes`."""
    statement = _SQL[dataset].decode().replace("{start}", str(int(start))).replace("{end}", str(int(end)))
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for block in copy:
            buffer.write(block)
            if most_bytes is not None and buffer.tell() > most_bytes:
                raise RangeTooLarge
    if not buffer.tell():
        return pl.DataFrame(schema=COLUMNS[dataset])
    buffer.seek(0)
    return _parsed(buffer, dataset)


def _parsed(buffer: io.BytesIO, dataset: Dataset) -> pl.DataFrame:
    columns = COLUMNS[dataset]
    moments = [name for name, kind in columns.items() if kind == pl.Datetime("us", "UTC")]
    frame = pl.read_csv(
        buffer,
        has_header=False,
        schema={name: pl.String() if name in moments else kind for name, kind in columns.items()},
    )
    return frame.with_columns(
        [pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us") for name in moments]
    ).sort("timestamp", ID_COLUMN[dataset])
