"""The background half of the client: a bounded queue, one thread, one connection.

The thread starts with the first capture. After a fork the child begins afresh: what the parent had queued is the
parent's to send. What callers touch is a deque and a bare lock that is only ever released, so that a capture inside a
capture (a signal handler, a finaliser) can't wait for itself.
"""

import json
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ingest.client import late_imports
from ingest.client.address import Address
from ingest.client.executions import Executions
from ingest.client.snapshot import Snapshot

if TYPE_CHECKING:
    from ingest.client.connection import Answer, Connection

_MOST_IN_BATCH = 100
_MOST_BATCH_BYTES = 4_000_000
_GATHER_SECONDS = 0.05
_IDLE_SECONDS = 1.0
_REPORT_SECONDS = 10.0
_TIMEOUT_SECONDS = 10.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_HURRIED_PAUSE = 1.0
_SPLIT = (413, 422)
_LATER = (408, 425, 429)  # and every 5xx

_ERRORS = "/api/error-events"
_EXECUTIONS = "/api/executions"


class Sender:
    """Takes snapshots from any thread and sends them. Nothing here raises into a caller."""

    def __init__(self, address: Address, defaults: dict[str, Any], max_queued: int, dropped: int = 0) -> None:
        self._address = address
        self._max_queued = max_queued
        self.defaults = defaults
        self._closed = False
        self.begin_afresh()
        self.dropped = dropped

    def begin_afresh(self) -> None:
        """Forget everything: at the start, and in a forked child, where the old locks may be held for ever."""
        self.dropped = 0
        self.executions = Executions()
        self._queue: deque[Snapshot] = deque()
        self._reports: list[bytes] = []
        self._reported_at = time.monotonic()
        self._asleep = threading.Lock()  # held until there is something new: whoever brings it releases it
        self._asleep.acquire()
        self._changed = threading.Condition()
        self._flushing = 0
        self._is_busy = False
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._complaints: set[str] = set()

    # --- on the caller's thread ---

    @property
    def is_full(self) -> bool:
        """Whether the next error would be dropped."""
        return self._closed or len(self._queue) >= self._max_queued

    def put(self, snapshot: Snapshot) -> None:
        """Hand over an error."""
        self._queue.append(snapshot)
        self.wake()

    def drop(self, count: int = 1) -> None:
        """Count errors that won't arrive."""
        with self._changed:
            self.dropped += count

    def wake(self) -> None:
        """Have the thread look at the queue; starts it where there is none."""
        self.ensure_thread()
        if self._asleep.locked():
            with suppress(RuntimeError):  # another thread was faster
                self._asleep.release()

    def flush(self, timeout: float) -> bool:
        """Send everything now; False when some was left after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._flushing += 1
        try:
            if not self._has_work():
                return True
            self.wake()
            if self._thread is None and not self._closed:
                self._send_all(give_up_at=deadline)  # an interpreter that is ending starts no thread any more
            with self._changed:
                while self._has_work() and not self._closed and (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(min(left, 0.1))
            return not self._has_work()
        finally:
            with self._changed:
                self._flushing -= 1

    def close(self, timeout: float) -> int:
        """Flush, then stop; answers how many errors and reports were left, and counts the errors as dropped."""
        if self._closed:
            return 0
        self.flush(timeout)
        self._closed = True
        self.wake()
        errors = len(self._queue)
        self.drop(errors)
        return errors + len(self._reports) + bool(self.executions)

    def _has_work(self) -> bool:
        return bool(self._queue or self.executions or self._reports or self._is_busy)

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
            if self._queue and not self._flushing and len(self._queue) < _MOST_IN_BATCH:
                time.sleep(_GATHER_SECONDS)
            try:
                self._send_all()
            except Exception as error:  # the thread outlives whatever it meets
                self.complain("unforeseen", f"{type(error).__name__}: {error}")
            with self._changed:
                self._changed.notify_all()

    def _send_all(self, give_up_at: float | None = None) -> None:
        while self._queue and not self._closed:
            count, events = self._next_batch()
            if self._deliver(_ERRORS, events, give_up_at):
                for _ in range(count):
                    self._queue.popleft()
            else:
                return
        self._is_busy = True  # the counts are nowhere to be seen for a moment
        try:
            if self._flushing or time.monotonic() - self._reported_at >= _REPORT_SECONDS:
                self._reported_at = time.monotonic()
                self._reports += self.executions.take()
                if self.executions.lost:
                    self.complain("series", "executions of too many workflows wait to be sent, and some aren't counted")
        finally:
            self._is_busy = False
        while self._reports and not self._closed:
            reports = self._reports[:_MOST_IN_BATCH]
            if not self._deliver(_EXECUTIONS, reports, give_up_at):
                return
            del self._reports[: len(reports)]

    def _next_batch(self) -> tuple[int, list[bytes]]:
        """How many of the queue are in it, and those of them that can be written out. They stay queued until sent."""
        from ingest.client.writing import written  # noqa: PLC0415 - imported by late_imports

        events: list[bytes] = []
        count = size = 0
        while count < min(len(self._queue), _MOST_IN_BATCH) and size < _MOST_BATCH_BYTES:
            try:
                events.append(written(self._queue[count], self.defaults))
                size += len(events[-1])
            except Exception as error:
                self.drop()
                self.complain("writing", f"an error can't be written out ({type(error).__name__})")
            count += 1
        return count, events

    def _deliver(self, path: str, items: list[bytes], give_up_at: float | None) -> bool:
        """Until the server has taken the items, or says that it never will; False when stopped before."""
        pause = _FIRST_PAUSE
        while items:
            answer = self._attempt(path, items, give_up_at)
            if self._closed and answer is None:
                return False
            if answer is not None and not _is_passing(answer.status):
                return self._settle(path, items, answer, give_up_at)
            if give_up_at is not None:
                return False
            if not self._rest(pause, None if answer is None else answer.retry_after):
                return False
            pause = min(pause * 2, _LONGEST_PAUSE)
        return True

    def _settle(self, path: str, items: list[bytes], answer: "Answer", give_up_at: float | None) -> bool:
        """Act on a final answer; a refused batch is halved, so that a bad item never sinks its neighbours."""
        if 200 <= answer.status < 300:
            self._note_rejected(answer.body)
        elif answer.status in _SPLIT and len(items) > 1:
            middle = len(items) // 2
            # A stop between the halves may send the first one again: its ids make that duplicates, not errors.
            return self._deliver(path, items[:middle], give_up_at) and self._deliver(path, items[middle:], give_up_at)
        else:
            self.drop(len(items))
            self.complain(str(answer.status), f"the server answers {answer.status}{_advice(answer.status)}")
        return True

    def _attempt(self, path: str, items: list[bytes], give_up_at: float | None) -> "Answer | None":
        """One request; None where no answer came."""
        from ingest.client.connection import Connection  # noqa: PLC0415 - imported by late_imports

        try:
            if self._connection is None:
                left = _TIMEOUT_SECONDS if give_up_at is None else max(give_up_at - time.monotonic(), 0.1)
                self._connection = Connection(self._address, min(left, _TIMEOUT_SECONDS))
            return self._connection.post(path, b"[" + b",".join(items) + b"]", time.time())
        except Exception:  # sockets, TLS and http.client have a family each, and all of them may pass
            return None

    def _note_rejected(self, answer: bytes) -> None:
        try:
            rejected = json.loads(answer)["rejected"]
            reason = str(rejected[0]["error"]) if rejected else ""
        except (ValueError, KeyError, TypeError, IndexError):
            return  # not our server's form, but a 2xx all the same
        if rejected:
            self.drop(len(rejected))
            self.complain("rejected", f"the server refused an event: {reason[:200].rstrip('.')}")

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


def _is_passing(status: int) -> bool:
    return status >= 500 or status in _LATER


def _advice(status: int) -> str:
    if status in (401, 403):
        return ": is the key right?"
    return ": is the address right?" if 300 <= status < 400 or status in (404, 405) else ""
