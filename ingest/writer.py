"""Group commit: concurrent requests share one transaction, and each is answered after it has committed.

While a transaction is under way, what arrives waits; the next one takes all of it. Under load the transactions grow
and share the cost of a commit; when idle, an event doesn't wait at all.

Where Postgres is away, the same rows go to the disk spool instead, and later, by the same path, into Postgres: the
ledger of ids makes a second attempt harmless.
"""

import asyncio
import contextlib
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
import structlog

from ingest.database import connection_options
from ingest.exceptions import SpoolFull, StoreUnavailable
from ingest.rows import FACTS, Row
from ingest.spool import Spool, read_segment
from ingest.statements import load_statements

_SQL = load_statements(__file__)
_MOST_ROWS = 5_000
_COMMIT_SECONDS = 20.0
_RETRY_SECONDS = 1.0
_CLAIM = {"errors": _SQL["claim_error_ids"], "executions": _SQL["claim_report_ids"]}
_COPY = {"errors": _SQL["copy_errors"], "executions": _SQL["copy_executions"]}

log = structlog.get_logger("writer")


@dataclass(slots=True)
class Outcome:
    """What became of the rows of one `write`. `rejected` maps an index to the reason."""

    duplicates: int = 0
    rejected: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Request:
    rows: Sequence[Row]
    done: "asyncio.Future[Outcome]"


class _Unwritable(Exception):
    """Postgres refuses a value: one of the rows is bad."""


class Writer:
    """One per process. `start` before the first write, `stop` after the last."""

    def __init__(self, database_url: str, spool: Spool) -> None:
        self._url = database_url
        self._spool = spool
        self._connection: psycopg.AsyncConnection | None = None
        self._waiting: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._committing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.connected = False
        self.committed = 0
        self.transactions = 0
        self.spooled = 0

    async def start(self) -> None:
        """Begin to write. Postgres need not be there yet."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_draining())]

    async def stop(self) -> None:
        """Write what waits, then close."""
        self._stopping = True
        self._arrived.set()
        writing, draining = self._tasks
        draining.cancel()
        await asyncio.gather(writing, draining, return_exceptions=True)
        await self._disconnect()

    async def write(self, rows: Sequence[Row]) -> Outcome:
        """Make `rows` durable, in Postgres or in the spool. Raises SpoolFull when neither takes them."""
        request = _Request(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._arrived.set()
        return await request.done

    def backlog(self) -> int:
        """Requests that wait for their transaction."""
        return len(self._waiting)

    async def _run(self) -> None:
        while self._waiting or not self._stopping:
            await self._arrived.wait()
            if self._waiting:
                await self._write_group(self._take_group())
            elif not self._stopping:
                self._arrived.clear()

    def _take_group(self) -> list[_Request]:
        group: list[_Request] = []
        count = 0
        while self._waiting and count < _MOST_ROWS:
            group.append(self._waiting.popleft())
            count += len(group[-1].rows)
        return group

    async def _write_group(self, group: list[_Request]) -> None:
        rows = [row for request in group for row in request.rows]
        try:
            known, rejected = await self._commit_around_bad_rows(rows)
        except StoreUnavailable:
            await self._spool_group(group, rows)
            return
        except Exception as error:
            log.exception("writing failed", rows=len(rows))
            for request in group:
                _fail(request, StoreUnavailable(f"Writing failed: {type(error).__name__}."))
            return
        position = 0
        ordered = sorted(known)
        for request in group:
            end = position + len(request.rows)
            outcome = Outcome(
                duplicates=bisect_left(ordered, end) - bisect_left(ordered, position),
                rejected={index - position: reason for index, reason in rejected.items() if position <= index < end},
            )
            position = end
            if not request.done.done():
                request.done.set_result(outcome)

    async def _spool_group(self, group: list[_Request], rows: Sequence[Row]) -> None:
        try:
            await asyncio.to_thread(self._spool.append, rows)
        except SpoolFull as error:
            for request in group:
                _fail(request, error)
            return
        self.spooled += len(rows)
        for request in group:
            if not request.done.done():
                request.done.set_result(Outcome())

    async def _commit_around_bad_rows(self, rows: Sequence[Row], offset: int = 0) -> tuple[set[int], dict[int, str]]:
        """Commit `rows`; where Postgres refuses a value, halve until the bad row stands alone. Answers the
        positions of duplicates, and of the bad rows with the reason."""
        try:
            known = await self._commit(rows)
        except _Unwritable as error:
            if len(rows) == 1:
                return set(), {offset: f"Postgres refuses this event: {error}"}
            middle = len(rows) // 2
            known, rejected = await self._commit_around_bad_rows(rows[:middle], offset)
            more_known, more_rejected = await self._commit_around_bad_rows(rows[middle:], offset + middle)
            return known | more_known, rejected | more_rejected
        return {offset + index for index in known}, {}

    async def _commit(self, rows: Sequence[Row]) -> set[int]:
        """One transaction; answers the positions of rows whose id was known already.

        Raises StoreUnavailable when it isn't certain that it committed, _Unwritable when a value was refused.
        """
        async with self._committing:
            try:
                async with asyncio.timeout(_COMMIT_SECONDS):
                    connection = await self._connect()
                    known = await _insert(connection, rows)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                raise _Unwritable(str(error).splitlines()[0]) from error
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._note_outage(error)
                await self._disconnect()
                raise StoreUnavailable("Postgres is away.") from error
        if not self.connected:
            log.info("postgres is there")
        self.connected = True
        self.committed += len(rows) - len(known)
        self.transactions += 1
        return known

    def _note_outage(self, error: BaseException) -> None:
        if self.connected or not self.spooled:
            log.warning("postgres is away, rows go to the spool", reason=type(error).__name__)
        self.connected = False

    async def _connect(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            options = connection_options("writer") | {"connect_timeout": 3}
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **options)
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._connection.close()
        self._connection = None

    async def _keep_draining(self) -> None:
        while True:
            try:
                await self._drain()
            except StoreUnavailable:
                pass
            except OSError:
                log.exception("the spool can't be read")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _drain(self) -> None:
        """Move the waiting segments into Postgres. Raises StoreUnavailable when it is still away."""
        segments = await asyncio.to_thread(self._spool.segments)
        if not segments:
            return
        self._spool.seal()
        for segment in segments:
            drained = 0
            for rows in read_segment(segment, _MOST_ROWS):
                _, rejected = await self._commit_around_bad_rows(rows)
                drained += len(rows)
                for index, reason in rejected.items():
                    kept = await asyncio.to_thread(self._spool.set_aside, rows[index])
                    log.error("Postgres refused a spooled row, it is kept", file=str(kept), reason=reason)
            segment.unlink()
            log.info("spool drained", segment=segment.name, rows=drained)


async def _insert(connection: psycopg.AsyncConnection, rows: Sequence[Row]) -> set[int]:
    known: set[int] = set()
    async with connection.transaction(), connection.cursor() as cursor:
        for fact in FACTS:
            positions = [index for index, row in enumerate(rows) if row.fact == fact]
            if not positions:
                continue
            await cursor.execute(_CLAIM[fact], {"ids": [rows[index].id for index in positions]})
            taken = {str(row[0]) for row in await cursor.fetchall()}
            fresh: list[bytes] = []
            for index in positions:
                if rows[index].id in taken:
                    known.add(index)
                else:
                    taken.add(rows[index].id)
                    fresh.append(rows[index].line)
            if fresh:
                async with cursor.copy(_COPY[fact]) as copy:
                    await copy.write(b"".join(fresh))
        await cursor.execute(_SQL["wake_jobs"])
    return known


def _fail(request: _Request, error: Exception) -> None:
    if not request.done.done():
        request.done.set_exception(error)
