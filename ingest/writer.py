"""Group commit: concurrent requests share one transaction, and each is answered after it has committed.

While a transaction is under way, what arrives waits; the next one takes all of it. Under load the transactions grow
and share the cost of a commit; when idle, an event doesn't wait at all.

Where Postgres is away, the same rows go to the disk spool instead, and later, by the same path, into Postgres: the
ledger of ids makes a second attempt harmless.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from ingest.exceptions import SpoolFull, StoreUnavailable
from ingest.lane import Lane, Unwritable
from ingest.rows import Row
from ingest.spool import Spool, read_segment

_MOST_ROWS = 5_000
_RETRY_SECONDS = 1.0
_LANES = 2

log = structlog.get_logger("writer")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the rows of one `write`. `rejected` maps an index to the reason."""

    duplicates: int = 0
    rejected: dict[int, str] = field(default_factory=dict)


_ALL_NEW = Outcome()


@dataclass(slots=True)
class _Request:
    rows: Sequence[Row]
    done: "asyncio.Future[Outcome]"


class Writer:
    """One per process. `start` before the first write, `stop` after the last."""

    def __init__(self, database_url: str, spool: Spool) -> None:
        # While one lane waits for its commit, the other takes what has arrived meanwhile.
        self._lanes = [Lane(database_url) for _ in range(_LANES)]
        self._spool = spool
        self._waiting: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._idle = _LANES
        self.connected = False
        self.committed = 0
        self.transactions = 0
        self.spooled = 0

    async def start(self) -> None:
        """Begin to write. Postgres need not be there yet."""
        self._tasks = [asyncio.create_task(self._run(lane)) for lane in self._lanes]
        self._tasks.append(asyncio.create_task(self._keep_draining(self._lanes[0])))

    async def stop(self) -> None:
        """Write what waits, then close."""
        self._stopping = True
        self._arrived.set()
        self._tasks[-1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes:
            await lane.close()
        self._spool.seal()

    async def write(self, rows: Sequence[Row]) -> Outcome:
        """Make `rows` durable, in Postgres or in the spool. Raises SpoolFull when neither takes them."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(rows, done))
        self._arrived.set()
        outcome: Outcome = await done
        return outcome

    def backlog(self) -> int:
        """Requests that wait for their transaction."""
        return len(self._waiting)

    @property
    def is_about_to_write(self) -> bool:
        """Whether a lane only needs its turn to take over what waits."""
        return self._idle > 0 and bool(self._waiting)

    async def _run(self, lane: Lane) -> None:
        while self._waiting or not self._stopping:
            await self._arrived.wait()
            await asyncio.sleep(0)  # whoever is about to hand something over comes along
            if self._waiting:
                self._idle -= 1
                await self._write_group(lane, self._take_group())
                self._idle += 1
            elif not self._stopping:
                self._arrived.clear()

    def _take_group(self) -> list[_Request]:
        group: list[_Request] = []
        count = 0
        while self._waiting and count < _MOST_ROWS:
            group.append(self._waiting.popleft())
            count += len(group[-1].rows)
        return group

    async def _write_group(self, lane: Lane, group: list[_Request]) -> None:
        rows = [row for request in group for row in request.rows]
        try:
            known, rejected = await self._commit_around_bad_rows(lane, rows)
        except StoreUnavailable:
            await self._spool_group(group, rows)
        except Exception as error:
            log.exception("writing failed", rows=len(rows))
            for request in group:
                _fail(request, StoreUnavailable(f"Writing failed: {type(error).__name__}."))
        else:
            _answer_all(group, known, rejected)

    async def _spool_group(self, group: list[_Request], rows: Sequence[Row]) -> None:
        try:
            await asyncio.to_thread(self._spool.append, rows)
        except SpoolFull as error:
            for request in group:
                _fail(request, error)
            return
        self.spooled += len(rows)
        _answer_all(group, set(), {})

    async def _commit_around_bad_rows(
        self, lane: Lane, rows: Sequence[Row], offset: int = 0
    ) -> tuple[set[int], dict[int, str]]:
        """Commit `rows`; where Postgres refuses a value, halve until the bad row stands alone. Answers the
        positions of duplicates, and of the bad rows with the reason."""
        try:
            known = await lane.commit(rows)
        except Unwritable as error:
            if len(rows) == 1:
                return set(), {offset: f"Postgres refuses this event: {error}"}
            middle = len(rows) // 2
            known, rejected = await self._commit_around_bad_rows(lane, rows[:middle], offset)
            more_known, more_rejected = await self._commit_around_bad_rows(lane, rows[middle:], offset + middle)
            return known | more_known, rejected | more_rejected
        except StoreUnavailable as error:
            if self.connected or not self.spooled:
                log.warning("postgres is away, rows go to the spool", reason=str(error))
            self.connected = False
            raise
        if not self.connected:
            log.info("postgres is there")
        self.connected = True
        self.committed += len(rows) - len(known)
        self.transactions += 1
        return {offset + index for index in known}, {}

    async def _keep_draining(self, lane: Lane) -> None:
        while True:
            try:
                await self._drain(lane)
            except StoreUnavailable:
                pass
            except Exception:  # the next try may go better, and none is the last
                log.exception("the spool can't be drained")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _drain(self, lane: Lane) -> None:
        """Move the waiting segments into Postgres. Raises StoreUnavailable when it is still away."""
        segments = await asyncio.to_thread(self._spool.segments)
        if not segments:
            return
        self._spool.seal()
        for segment in segments:
            drained = 0
            for rows in read_segment(segment, _MOST_ROWS):
                _, rejected = await self._commit_around_bad_rows(lane, rows)
                drained += len(rows)
                for index, reason in rejected.items():
                    kept = await asyncio.to_thread(self._spool.set_aside, rows[index])
                    log.error("Postgres refused a spooled row, it is kept", file=str(kept), reason=reason)
            segment.unlink(missing_ok=True)  # another process may have drained it too
            log.info("spool drained", segment=segment.name, rows=drained)


def _answer_all(group: list[_Request], known: set[int], rejected: dict[int, str]) -> None:
    """Tell each request of a group what became of its rows, which stand in the group's order."""
    if not known and not rejected:
        for request in group:
            if not request.done.done():
                request.done.set_result(_ALL_NEW)
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


def _fail(request: _Request, error: Exception) -> None:
    if not request.done.done():
        request.done.set_exception(error)
