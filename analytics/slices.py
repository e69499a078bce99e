"""A slice of errors or executions with all columns, complete to the second, in frames: as many rows as there are, in
little memory.

First the lake's files that are listed now, a day after the other, up to their watermark; then what Postgres has from
the watermark on, in one snapshot. So each row comes once, whatever is published or sealed meanwhile.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import duckdb
import polars as pl

from analytics.evolution import parts_in_sql
from analytics.exceptions import AnalyticsError
from analytics.filters import Filters
from analytics.lake import COLUMNS, Dataset, Listing
from analytics.narrowing import duckdb_clause, postgres_clause
from analytics.store import Store
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__)
_BATCH_ROWS = 20_000
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

Progress = Callable[[float], None]


class SliceInterrupted(AnalyticsError):
    """A day was sealed while it was read: what came so far isn't the whole. Ask again."""

    def __init__(self) -> None:
        super().__init__("The lake changed while it was read. Ask again.")


def rows_of(
    store: Store,
    dataset: Dataset,
    filters: Filters,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    with_postgres: bool = True,
    progress: Progress = lambda _: None,
) -> Iterator[pl.DataFrame]:
    """Frames with the lake's columns: all rows from `start` up to, not including, `end`; at least one frame, which may
    be empty. `progress` hears how much is done, from 0 to 1.

    Without Postgres the rows of the lake alone. Raises SliceInterrupted, StoreUnavailable.
    """
    start, end = start or _FIRST, end or _LAST
    yield pl.DataFrame(schema=COLUMNS[dataset])
    listing = store.listing(dataset)
    days = sorted(day for day in listing.days() if start.date() <= day <= end.date())
    for number, day in enumerate(days):
        progress(number / (len(days) + 1))
        yield from _of_a_day(store, dataset, listing, day, filters, start, end)
    progress(len(days) / (len(days) + 1))
    if with_postgres:
        yield from _above(store, dataset, listing.watermark, filters, start, end)
    progress(1.0)


def _of_a_day(
    store: Store, dataset: Dataset, listing: Listing, day: date, filters: Filters, start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    clause, values = duckdb_clause(filters, dataset)
    files, read = parts_in_sql(dataset, listing.paths(day, day))
    values |= read | {"start": start, "end": end}
    statement = filled(_SQL["lake"], columns=_columns(dataset), parts=files, filters=clause).decode()
    cursor = store.lake()
    try:
        for batch in cursor.sql(statement, params=values).to_arrow_reader(_BATCH_ROWS):
            yield pl.DataFrame(pl.from_arrow(batch)).cast(COLUMNS[dataset])
    except duckdb.Error as error:
        raise SliceInterrupted from error
    finally:
        cursor.close()


def _above(
    store: Store, dataset: Dataset, watermark: int, filters: Filters, start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    clause, values = postgres_clause(filters, dataset)
    values |= {"watermark": watermark, "start": start, "end": end}
    with store.connection() as connection, connection.transaction(), connection.cursor("slice") as cursor:
        cursor.execute(filled(_SQL[f"postgres_{dataset}"], filters=clause), values)
        while rows := cursor.fetchmany(_BATCH_ROWS):
            yield pl.DataFrame(rows, schema=COLUMNS[dataset], orient="row")


def _columns(dataset: Dataset) -> str:
    return ", ".join(f'"{name}"' for name in COLUMNS[dataset])
