"""One connection that writes: a transaction is one message to Postgres and two waits for it.

`execute claim…; copy … from stdin` goes out as a single message, which Postgres runs as one transaction and commits at
its end. The claim's answer arrives together with the readiness for the copy, and says which rows are to be left out.
Waiting is what costs an event loop most: with a statement at a time it was eleven waits, and more than half of the
API's work (docs/decisions/0005-one-message-a-commit.md).
"""

import asyncio
import contextlib
from collections.abc import Sequence

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from ingest.database import connection_options
from ingest.exceptions import StoreUnavailable
from ingest.rows import FACTS, Fact, Row, lines_of
from ingest.statements import load_statements

SQL = load_statements(__file__)
CLAIM = {"errors": "claim_error_ids", "executions": "claim_report_ids"}
COPY = {"errors": SQL["copy_errors"], "executions": SQL["copy_executions"]}
_COMMIT_SECONDS = 20.0


class Unwritable(Exception):
    """Postgres refuses a value: one of the rows is bad."""


class Lane:
    """One connection, one transaction at a time."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.AsyncConnection | None = None
        self._committing = asyncio.Lock()

    async def commit(self, rows: Sequence[Row]) -> set[int]:
        """One transaction; answers the positions of rows whose id was known already.

        Raises StoreUnavailable when it isn't certain that it committed, Unwritable when a value was refused.
        """
        async with self._committing:
            try:
                async with asyncio.timeout(_COMMIT_SECONDS):
                    connection = await self._connect()
                    return await _Transaction(connection.pgconn).write(rows)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                raise Unwritable(str(error).splitlines()[0]) from error
            except (psycopg.Error, OSError, TimeoutError) as error:
                await self.close()
                raise StoreUnavailable(type(error).__name__) from error
            except BaseException:  # cancelled amid a transaction: what the connection says next is unknown
                await self.close()
                raise

    async def _connect(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            options = connection_options("writer") | {"connect_timeout": 3}
            connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **options)
            for name in CLAIM.values():
                await connection.execute(b"prepare %s (uuid[]) as %s" % (name.encode(), SQL[name]))
            self._connection = connection
        return self._connection

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._connection.close()
        self._connection = None


class _Transaction:
    """Speaks to libpq itself, on a connection that nobody else uses meanwhile."""

    def __init__(self, pgconn: "pq.abc.PGconn") -> None:
        self._pgconn = pgconn

    async def write(self, rows: Sequence[Row]) -> set[int]:
        """Claim the ids and copy those rows that are new; answers the positions of the others. Raises psycopg.Error."""
        positions = {fact: [index for index, row in enumerate(rows) if row.fact == fact] for fact in FACTS}
        steps = [
            _claim_and_copy(fact, [rows[index].id for index in found]) for fact, found in positions.items() if found
        ]
        self._pgconn.send_query(b";".join(steps))
        known: set[int] = set()
        for found in filter(None, positions.values()):
            known |= await self._copy_new(rows, found)
        await self._end()
        return known

    async def _copy_new(self, rows: Sequence[Row], positions: Sequence[int]) -> set[int]:
        claim = await self._result()
        taken = {claim.get_value(row, 0) for row in range(claim.ntuples)}
        await self._result()  # ready for the copy
        known: set[int] = set()
        fresh: list[Row] = []
        for index in positions:
            row_id = rows[index].id.encode()
            if row_id in taken:
                known.add(index)
            else:
                taken.add(row_id)
                fresh.append(rows[index])
        if fresh:
            block = b"".join(lines_of(fresh))
            while not self._pgconn.put_copy_data(block):  # no room
                await self._wait(writable=True)
        self._pgconn.put_copy_end()
        await self._result()
        return known

    async def _result(self) -> "pq.abc.PGresult":
        """The next result. Raises the psycopg.Error that it stands for, with the connection ready again."""
        result = await self._next()
        if result is None:
            raise psycopg.OperationalError("Postgres ended the transaction early")
        if result.status == pq.ExecStatus.FATAL_ERROR:
            await self._end()
            raise error_from_result(result)
        return result

    async def _end(self) -> None:
        """Read to the end, where the commit is certain. Raises the psycopg.Error that stands in the way."""
        failed: pq.abc.PGresult | None = None
        while (result := await self._next()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
        if failed is not None:
            raise error_from_result(failed)

    async def _next(self) -> "pq.abc.PGresult | None":
        while self._pgconn.flush():
            await self._wait(writable=True)
            self._pgconn.consume_input()
        while self._pgconn.is_busy():
            await self._wait(writable=False)
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    async def _wait(self, *, writable: bool) -> None:
        """Until there is something to read, or, if wanted, room to write."""
        loop, socket = asyncio.get_running_loop(), self._pgconn.socket
        ready = loop.create_future()
        loop.add_reader(socket, _settle, ready)
        if writable:
            loop.add_writer(socket, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_reader(socket)
            if writable:
                loop.remove_writer(socket)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _claim_and_copy(fact: Fact, ids: Sequence[str]) -> bytes:
    """Ids are UUIDs; what a damaged spool gives for one stays inside the quotes and is refused."""
    literal = ",".join(ids).replace("'", "''").encode()
    return b"execute %s('{%s}');%s" % (CLAIM[fact].encode(), literal, COPY[fact])
