"""Where the numbers are: a pool of Postgres connections and an in-process DuckDB over the lake's parts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from analytics.lake import Dataset, Listing, list_parts
from ingest.database import Connection, connection_options
from ingest.exceptions import StoreUnavailable, Unprepared

_WAIT_SECONDS = 10.0  # for one of the connections that others hold
_AWAY_SECONDS = 2.0  # without any, Postgres is away


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

    def lake(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB cursor of one's own."""
        with self._opening:
            if self._duckdb is None:
                # Reading parts needs no extension, network or state on disk.
                options: dict[str, Any] = {"threads": 2, "memory_limit": "1GB", "autoinstall_known_extensions": False}
                self._duckdb = duckdb.connect(config=options)
                self._duckdb.execute("set timezone = 'UTC'")
            return self._duckdb.cursor()

    def close(self) -> None:
        """Give everything back."""
        self._pool.close()
        if self._duckdb is not None:
            self._duckdb.close()
