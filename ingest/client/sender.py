"""The background half of the client: a bounded queue, one thread, one connection, and a spool for bad times.

The thread starts with the first capture, or at once where the spool holds something. After a fork the child begins
afresh: what the parent had queued is the parent's to send. What callers touch is a deque and a bare lock that is only
ever released, so that a capture inside a capture (a signal handler, a finaliser) can't wait for itself.

Errors stay in the queue until they have arrived or are in the spool. `_custody` is held whenever they leave it, and
whenever the disk is touched: so whoever closes the client can take over what a thread that waits for the server has.
"""

import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from . import late_imports
from .address import Address
from .executions import Executions
from .filtering import BeforeSend, Filter
from .losses import Losses
from .snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from .delivery import Delivery
    from .spool import Spool

_MOST_IN_BATCH = 100
_MOST_BATCH_BYTES = 4_000_000
_GATHER_SECONDS = 0.05
_IDLE_SECONDS = 1.0
_REPORT_SECONDS = 10.0
_REPORT_SECONDS_AWAY = 60.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_HURRIED_PAUSE = 1.0
_SPOOL_ABOVE = 1_000  # errors in memory, while the server is away
_SPOOL_AFTER = 5.0  # seconds that it is away
_SCAN_SECONDS = 30.0  # between two looks for what dead processes left
_SPOOLED_AT_EXIT = 0.5  # seconds for what is in the spool when the client closes
_LEAVE_SECONDS = 2.0

_PATHS = {"errors": "/api/error-events", "executions": "/api/executions"}


class Left(NamedTuple):
    """What wasn't sent when the client closed: how many `items`, and how many of them are lost for good."""

    items: int
    lost: int


class _Batch:
    """Items on their way; `count` is how many entries of their origin they stand for."""

    def __init__(self, origin: str, path: str, items: list[bytes], count: int = 0) -> None:
        self.origin = origin
        self.path = path
        self.items = items
        self.count = count


class Sender:
    """Takes snapshots from any thread and sends them. Nothing here raises into a caller."""

    def __init__(
        self,
        address: Address,
        defaults: dict[str, Any],
        max_queued: int,
        dropped: int = 0,
        before_send: BeforeSend | None = None,
        make_spool: "Callable[[Callable[[str, str], None]], Spool | None] | None" = None,
    ) -> None:
        self._address = address
        self.max_queued = max_queued
        self.defaults = defaults
        self._before_send = before_send
        self._make_spool = make_spool
        self._closed = False
        self._spool: Spool | None = None
        self.begin_afresh(dropped)

    def begin_afresh(self, dropped: int = 0) -> None:
        """Forget everything: at the start, and in a forked child, where the old locks may be held for ever."""
        self.losses = Losses(dropped)
        self.executions = Executions()
        self.queue: deque[Snapshot] = deque()
        self._reports: list[bytes] = []
        self._reported_at = time.monotonic()
        self._asleep = threading.Lock()  # held until there is something new: whoever brings it releases it
        self._asleep.acquire()
        self._changed = threading.Condition()
        self._custody = threading.Lock()
        self._flushing = 0
        self._is_closing = False
        self._is_busy = False
        self._thread: threading.Thread | None = None
        self._delivery: Delivery | None = None
        self._batch: _Batch | None = None
        self._away_since: float | None = None
        self._is_spools_turn = False
        self._scanned_at = time.monotonic()
        self._complaints: set[str] = set()
        self.filter = Filter(self.defaults, self._before_send, self.losses, self.complain)
        if self._spool is not None:
            self._spool.close()
        self._spool = self._make_spool(self.complain) if self._make_spool else None
        self._has_spooled = False

    # --- on the caller's thread ---

    def put(self, snapshot: Snapshot) -> None:
        """Hand over an error."""
        self.queue.append(snapshot)
        self.wake()

    def wake(self) -> None:
        """Have the thread look at the queue; starts it where there is none."""
        self.ensure_thread()
        if self._asleep.locked():
            try:
                self._asleep.release()
            except RuntimeError:  # another thread was faster
                return

    def adopt(self) -> None:
        """Send what earlier processes left in the spool, if they left anything."""
        self._has_spooled = self._spool is not None and self._spool.has_files()
        if self._has_spooled:
            self.wake()

    def flush(self, timeout: float, *, spooled: bool = True) -> bool:
        """Send everything now, also what is `spooled`; False when some was left after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._flushing += 1
        try:
            if not self._has_work(spooled):
                return True
            self.wake()
            if self._thread is None and not self._closed:
                self._send_all(give_up_at=deadline)  # an interpreter that is ending starts no thread any more
            with self._changed:
                while self._has_work(spooled) and not self._closed and (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(min(left, 0.1))
            return not self._has_work(spooled)
        finally:
            with self._changed:
                self._flushing -= 1

    def close(self, timeout: float) -> Left:
        """Flush, then stop, and leave what wasn't sent in the spool. What doesn't fit there counts as dropped."""
        if self._closed:
            return Left(0, 0)
        deadline = time.monotonic() + timeout
        if self._has_spooled and self._away_since is None:  # a process that is always short has no other time for it
            self.flush(min(timeout, _SPOOLED_AT_EXIT))
        self._is_closing = True
        self.flush(max(deadline - time.monotonic(), 0), spooled=False)
        has_custody = self._custody.acquire(timeout=_LEAVE_SECONDS)  # the thread may wait for a disk that hangs
        try:
            self._closed = True
            self.max_queued = 0  # so that whoever captures finds it full
            left = self._leave(self._spool if has_custody else None)
        finally:
            if has_custody:
                self._custody.release()
        self.wake()
        return left

    def _leave(self, spool: "Spool | None") -> Left:
        reports = self._reports + self.executions.take()
        left = len(self.queue) + len(reports)
        lost_errors, lost_reports = len(self.queue), len(reports)
        if spool is not None:
            lost_errors = self._leave_errors(spool)
            lost_reports -= spool.write("executions", reports) if reports else 0
        self.losses.count(lost_errors, while_away=True)
        if spool is not None:
            if told := self.losses.report(self.defaults):
                spool.write("errors", [told], beyond=True)
            spool.close()
        return Left(left, lost_errors + lost_reports)

    def _leave_errors(self, spool: "Spool") -> int:
        """Answers how many didn't fit, or couldn't be written out in time."""
        until = time.monotonic() + _LEAVE_SECONDS
        batch = self._batch if self._batch is not None and self._batch.origin == "queue" else None
        items = list(batch.items) if batch else []
        waiting = list(self.queue)[batch.count if batch else 0 :]
        while waiting and time.monotonic() < until:
            item = self.filter.written_out(waiting.pop(0))
            if item is not None:
                items.append(item)
        return len(waiting) + len(items) - (spool.write("errors", items) if items else 0)

    def _has_work(self, spooled: bool) -> bool:
        if self._is_closing and self._batch is not None and self._away_since is None:
            return True  # what is in the spool need not be sent now, but what is on its way shouldn't be sent twice
        return bool(self.queue or self.executions or self._reports or self._is_busy or (spooled and self._has_spooled))

    def ensure_thread(self) -> None:
        """Start the thread where there is none yet."""
        if self._thread is not None:
            return
        with self._changed:
            if self._thread is not None or self._closed:
                return
            self._thread = threading.Thread(target=self._run, name="meshhook-errors", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # No more threads, or the interpreter is ending: a later capture or a flush tries again.
                self._thread = None
                return
        self._close_with_process()

    def _close_with_process(self) -> None:
        """The processes of multiprocessing end without atexit, but have a list of their own."""
        processes = sys.modules.get("multiprocessing.process")
        if processes is not None and processes.parent_process() is not None:
            from multiprocessing.util import Finalize  # noqa: PLC0415 - imported already, in such a process

            Finalize(None, self.close, (2.0,), exitpriority=0)

    # --- on the sender's thread ---

    def _run(self) -> None:
        try:
            late_imports.import_all()
        except Exception as error:
            self.complain("import", f"a module is missing ({error})")
        while not self._closed:
            self._asleep.acquire(timeout=_IDLE_SECONDS)
            if self.queue and not self._flushing and len(self.queue) < _MOST_IN_BATCH:
                time.sleep(_GATHER_SECONDS)
            try:
                self._look_for_spooled()
                self._send_all()
            except Exception as error:  # the thread outlives whatever it meets
                self.complain("unforeseen", f"{type(error).__name__}: {error}")
            with self._changed:
                self._changed.notify_all()

    def _send_all(self, give_up_at: float | None = None) -> None:
        """Until nothing waits or the client is closed; with `give_up_at`, until then or until an attempt fails."""
        from .delivery import Delivery  # noqa: PLC0415 - imported by late_imports

        if self._delivery is None:
            self._delivery = Delivery(self._address, self.losses, self.complain)
        pause = _FIRST_PAUSE
        while not self._closed and (batch := self._next_batch()) is not None:
            if batch.items:  # before_send may have wanted none of them
                timeout = None if give_up_at is None else max(give_up_at - time.monotonic(), 0.1)
                batch.items = self._delivery.deliver(batch.path, batch.items, timeout)
                if not batch.items:
                    self._away_since, pause = None, _FIRST_PAUSE
                elif self._away_since is None:
                    self._away_since = time.monotonic()
            if not batch.items:
                self._settle(batch)
                if give_up_at is not None and time.monotonic() > give_up_at:
                    return
                if give_up_at is None and self._delivery.retry_after:  # taken, and the server asks for a rest
                    self._rest(pause, self._delivery.retry_after)
                continue
            if give_up_at is not None or not self._rest(pause, self._delivery.retry_after):
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _next_batch(self) -> _Batch | None:
        """The one that didn't arrive, or what waits: live errors and spooled ones in turn, so that neither waits for
        all of the other."""
        if self._batch is None:
            first, second = self._of_queue, self._of_spool
            if self._is_spools_turn:
                first, second = second, first
            self._batch = first() or self._of_reports() or self._of_losses() or second()
            self._is_spools_turn = self._batch is not None and self._batch.origin == "queue"
        return self._batch

    def _of_queue(self) -> _Batch | None:
        items: list[bytes] = []
        count = size = 0
        while count < min(len(self.queue), _MOST_IN_BATCH) and size < _MOST_BATCH_BYTES:
            item = self.filter.written_out(self.queue[count])
            count += 1
            if item is not None:
                items.append(item)
                size += len(item)
        return _Batch("queue", _PATHS["errors"], items, count) if count else None

    def _of_reports(self) -> _Batch | None:
        seconds = _REPORT_SECONDS if self._away_since is None else _REPORT_SECONDS_AWAY
        if self._flushing or time.monotonic() - self._reported_at >= seconds:
            self._is_busy = True  # the counts are nowhere to be seen for a moment
            try:
                self._reported_at = time.monotonic()
                self._reports += self.executions.take()
            finally:
                self._is_busy = False
            if self.executions.lost:
                self.complain("series", "executions of too many workflows wait to be sent, and some aren't counted")
        reports = self._reports[:_MOST_IN_BATCH]
        return _Batch("reports", _PATHS["executions"], reports, len(reports)) if reports else None

    def _of_losses(self) -> _Batch | None:
        told = None if self._away_since is not None else self.losses.report(self.defaults)
        return None if told is None else _Batch("losses", _PATHS["errors"], [told])

    def _of_spool(self) -> _Batch | None:
        if self._spool is None or self._is_closing or not self._has_spooled:
            return None
        with self._custody:
            found = None if self._closed else self._spool.next_batch()
        if found is None:
            self._has_spooled = False
            return None
        return _Batch("spool", _PATHS[found[0]], found[1])

    def _settle(self, batch: _Batch) -> None:
        """The batch has arrived, or was refused for good."""
        with self._custody:
            self._batch = None
            if self._closed:  # what it was made of is in other hands
                return
            if batch.origin == "losses":
                self.losses.told()
            elif batch.origin == "spool" and self._spool is not None:
                self._spool.advance()
            else:
                self._forget(batch)

    def _forget(self, batch: _Batch) -> None:
        if batch.origin == "queue":
            for _ in range(batch.count):
                self.queue.popleft()
        else:
            del self._reports[: batch.count]

    def _look_for_spooled(self) -> None:
        if self._spool is not None and time.monotonic() - self._scanned_at >= _SCAN_SECONDS:
            self._scanned_at = time.monotonic()
            self._has_spooled = self._spool.has_files()

    def _spool_if_due(self) -> None:
        """While the server is away, and too much waits or waits for too long: move it to the disk, oldest first."""
        if self._spool is None or self._away_since is None or self._spool.is_resting:
            return
        is_long = time.monotonic() - self._away_since >= _SPOOL_AFTER
        if not is_long and len(self.queue) <= min(_SPOOL_ABOVE, self.max_queued // 2):
            return
        if self._batch is not None and self._batch.origin in ("spool", "losses"):
            self._batch = None  # it is kept where it is
        while (batch := self._batch or self._of_queue() or self._of_reports()) is not None:
            self._batch = batch
            with self._custody:
                if self._closed:
                    return
                kind = "errors" if batch.origin == "queue" else "executions"
                self._has_spooled = True  # first, because a flush mustn't find that nothing waits
                del batch.items[: self._spool.write(kind, batch.items)]
                if batch.items:
                    return
                self._forget(batch)
                self._batch = None

    def _rest(self, pause: float, retry_after: float | None) -> bool:
        """Wait before the next attempt; False when closed meanwhile. What the server asks for is kept to the second;
        a pause of our own is cut short while somebody waits for a flush."""
        import random  # noqa: PLC0415 - imported by late_imports

        began = time.monotonic()
        jittered = pause * random.uniform(0.7, 1.3)  # noqa: S311 - no secret
        seconds = jittered if retry_after is None else retry_after + random.uniform(0, 0.1) * pause  # noqa: S311
        while not self._closed and (waited := time.monotonic() - began) < seconds:
            if retry_after is None and self._flushing and waited >= _HURRIED_PAUSE:
                break
            self._spool_if_due()
            time.sleep(min(seconds - waited, 0.1))
        return not self._closed

    def complain(self, kind: str, reason: str) -> None:
        """Once for each kind: an error tracker that floods the log is another error."""
        if kind in self._complaints:
            return
        self._complaints.add(kind)
        try:
            sys.stderr.write(f"meshhook-errors: {reason}. This is said once.\n")
        except Exception:  # a daemon may have no stderr
            return
