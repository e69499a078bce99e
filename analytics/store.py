"""Where the numbers are: a pool of Postgres connections and an in-process DuckDB over the lake's parts."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import duckdb
import polars as pl
import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from analytics.exceptions import LakeChanged
from analytics.lake import Dataset, Listing, list_parts, stands
from analytics.reading import Question
from analytics.rollups import Rollups, list_wanted
from ingest.database import Connection, connection_options
from ingest.exceptions import StoreUnavailable, Unprepared

_WAIT_SECONDS = 10.0  # for one of the connections that others hold
_AWAY_SECONDS = 2.0  # without any, Postgres is away
_MOST_TRIES = 10  # days are sealed one after the other, each in an instant

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def asked_again(question: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """A question that is asked anew, from the listing on, where a day was sealed between listing and reading."""

    @wraps(question)
    def asked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        for _ in range(_MOST_TRIES - 1):
            try:
                return question(*args, **kwargs)
            except LakeChanged:
                continue
        return question(*args, **kwargs)

    return asked


class Store:
    """Reads from both places. Safe for many threads; opens nothing before the first question."""

    def __init__(self, database_url: str, lake_dir: Path, *, application: str = "reader", max_connections: int = 8):
        self.lake_dir = lake_dir
        self._pool = ConnectionPool(
            database_url,
            kwargs={"autocommit": True, **connection_options(application)},
            min_size=1,
            max_size=max_connections,
            open=False,
            name=application,
            check=ConnectionPool.check_connection,
        )
        self._lent = 0
        self._duckdb: duckdb.DuckDBPyConnection | None = None
        self._opening = threading.Lock()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A Postgres connection in autocommit mode. Raises StoreUnavailable when none can be had."""
        with self._opening:
            if self._pool.closed:
                self._pool.open()
        try:
            connection = self._borrow()
            try:
                with connection:
                    yield connection
            finally:
                self._give_back(connection)
        except psycopg.errors.UndefinedTable:
            raise Unprepared from None
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise StoreUnavailable("Postgres can't be reached at the moment. Try again shortly.") from error

    def _borrow(self) -> Connection:
        try:
            connection = self._pool.getconn(_AWAY_SECONDS)
        except PoolTimeout:
            if self._lent < self._pool.max_size:
                raise
            connection = self._pool.getconn(_WAIT_SECONDS - _AWAY_SECONDS)
        with self._opening:
            self._lent += 1
        return connection

    def _give_back(self, connection: Connection) -> None:
        with self._opening:
            self._lent -= 1
        self._pool.putconn(connection)

    def listing(self, dataset: Dataset) -> Listing:
        """The parts of `dataset` as they stand now."""
        return list_parts(self.lake_dir, dataset)

    def rollups(self, listing: Listing, question: Question) -> Rollups:
        """Those that a question may be answered from, as they stand now: to be asked for after the listing."""
        return list_wanted(self.lake_dir, question.dataset, question.wanted(listing.days()))

    def lake(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB cursor of one's own."""
        with self._opening:
            if self._duckdb is None:
                # Reading parts needs no extension, network or state on disk.
                options: dict[str, Any] = {"threads": 2, "memory_limit": "1GB", "autoinstall_known_extensions": False}
                self._duckdb = duckdb.connect(config=options)
                self._duckdb.execute("set timezone = 'UTC'")
                self._duckdb.execute("set parquet_metadata_cache = true")  # a file never changes
                self._duckdb.execute("set async_threads = 0")  # handing reads over costs a fifth of many small files
            return self._duckdb.cursor()

    def read_lake(self, statement: bytes, values: Mapping[str, Any]) -> pl.DataFrame:
        """The answer to a statement over the files that the lists in `values` name. Raises LakeChanged where one of
        them is gone, StoreUnavailable where they can't be read."""
        cursor = self.lake()
        try:
            return pl.DataFrame(cursor.sql(statement.decode(), params=dict(values)).pl())
        except duckdb.Error as error:
            listed = [path for paths in values.values() if isinstance(paths, list) for path in paths]
            if not all(map(stands, listed)):
                raise LakeChanged from error
            raise StoreUnavailable(f"The lake can't be read at the moment: {type(error).__name__}.") from error
        finally:
            cursor.close()

    def close(self) -> None:
        """Give everything back."""
        self._pool.close()
        if self._duckdb is not None:
            self._duckdb.close()
