"""The background half of the client: a bounded queue, one thread, one connection.

The thread starts with the first capture. After a fork the child begins afresh: what the parent had queued is the
parent's to send.
"""

import json
import os
import random
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ingest.client.address import Address
from ingest.client.snapshot import Snapshot, new_id, write_out

if TYPE_CHECKING:
    from http.client import HTTPConnection

_MOST_QUEUED = 10_000
_MOST_IN_BATCH = 100
_GATHER_SECONDS = 0.05
_REPORT_SECONDS = 10.0
_TIMEOUT_SECONDS = 10.0
_LONGEST_PAUSE = 60.0
_SPLIT = (413, 422)
_PERMANENT = (400, 401, 403, 404, 405, 415)

ExecutionKey = tuple[int, str, str | None, str | None]  # minute, source, project, workflow


class _Passing(Exception):
    """Try again after `pause` seconds."""

    def __init__(self, pause: float | None = None) -> None:
        self.pause = pause


class Sender:
    """Takes snapshots from any thread and sends them. Nothing here raises into a caller."""

    def __init__(self, address: Address, defaults: dict[str, Any]) -> None:
        self._address = address
        self.defaults = defaults
        self.begin_afresh()

    def begin_afresh(self) -> None:
        """Forget everything: at the start, and in a forked child."""
        self._queue: deque[Snapshot] = deque()
        self._executions: dict[ExecutionKey, list[int]] = {}
        self._reports: list[dict[str, Any]] = []
        self._reported_at = time.monotonic()
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._idle = threading.Condition(self._lock)
        self._busy = False
        self._hurry = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._connection: HTTPConnection | None = None
        self._complained = False
        self.dropped = 0

    def put(self, snapshot: Snapshot) -> bool:
        """Hand over an error; False where the queue is full and it was dropped (and counted)."""
        if len(self._queue) >= _MOST_QUEUED or self._closed:
            self.dropped += 1
            return False
        self._queue.append(snapshot)
        if not self._arrived.is_set():
            self._wake()
        return True

    def count(self, source: str, project_id: str | None, workflow_id: str | None, *, failed: bool) -> None:
        """Count one finished execution; sent in sums per minute."""
        key = (int(time.time()) // 60 * 60, source, project_id, workflow_id)
        with self._lock:
            sums = self._executions.setdefault(key, [0, 0])
            sums[0] += 1
            sums[1] += failed
        if self._thread is None:
            self._wake()

    def flush(self, timeout: float) -> bool:
        """Send everything now; False when some was left after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._hurry = True
        self._wake()
        with self._idle:
            while self._queue or self._executions or self._reports or self._busy:
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None:
                    return False
                self._idle.wait(min(left, 0.1))
        self._hurry = False
        return True

    def close(self, timeout: float) -> bool:
        """Flush, then stop."""
        done = self.flush(timeout)
        self._closed = True
        self._arrived.set()
        return done

    def _wake(self) -> None:
        self._arrived.set()
        if self._thread is None and not self._closed:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="meshhook-errors", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._arrived.wait(1.0)
            if not self._hurry and len(self._queue) < _MOST_IN_BATCH:
                time.sleep(_GATHER_SECONDS)
            self._arrived.clear()
            with self._lock:
                self._busy = True
            try:
                self._send_all()
            except Exception as error:  # the thread outlives whatever it meets
                self._complain(f"{type(error).__name__}: {error}")
            with self._idle:
                self._busy = False
                self._idle.notify_all()

    def _send_all(self) -> None:
        while self._queue:
            count = min(len(self._queue), _MOST_IN_BATCH)
            batch = [self._write_out(self._queue[index]) for index in range(count)]
            self._send_persistently("/api/error-events", [item for item in batch if item is not None])
            for _ in range(count):
                self._queue.popleft()
        self._gather_reports()
        while self._reports:
            self._send_persistently("/api/executions", self._reports[:_MOST_IN_BATCH])
            del self._reports[:_MOST_IN_BATCH]

    def _write_out(self, snapshot: Snapshot) -> dict[str, Any] | None:
        try:
            return write_out(snapshot, self.defaults)
        except Exception as error:
            self.dropped += 1
            self._complain(f"an error can't be written out ({type(error).__name__})")
            return None

    def _gather_reports(self) -> None:
        if not self._executions or (not self._hurry and time.monotonic() - self._reported_at < _REPORT_SECONDS):
            return
        self._reported_at = time.monotonic()
        with self._lock:
            sums, self._executions = self._executions, {}
        now = time.time()
        for (minute, source, project_id, workflow_id), (finished, failed) in sums.items():
            report = {"report_id": new_id(now), "timestamp": _iso(minute), "source": source, "finished": finished}
            report |= {"failed": failed, "project_id": project_id, "workflow_id": workflow_id}
            self._reports.append(report)

    def _send_persistently(self, path: str, items: list[dict[str, Any]]) -> None:
        """Until the server has taken them, or says that it never will."""
        pause = 0.5
        while items and not self._closed:
            try:
                status = self._post(path, items)
            except _Passing as passing:
                wait = passing.pause if passing.pause is not None else pause * random.uniform(0.7, 1.3)  # noqa: S311
                pause = min(pause * 2, _LONGEST_PAUSE)
                self._sleep(wait)
                continue
            if status in _SPLIT and len(items) > 1:
                middle = len(items) // 2
                self._send_persistently(path, items[:middle])
                self._send_persistently(path, items[middle:])
            elif status in _SPLIT or status in _PERMANENT:
                self.dropped += len(items)
                self._complain(f"the server answers {status}" + (": is the key right?" if status in (401, 403) else ""))
            return

    def _sleep(self, seconds: float) -> None:
        """Wait, but not on while someone waits for a flush: then try more often."""
        deadline = time.monotonic() + seconds
        while not self._closed and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            if self._hurry and seconds > 1 and time.monotonic() > deadline - seconds + 1:
                return

    def _post(self, path: str, items: list[dict[str, Any]]) -> int:
        """The status of one attempt. Raises _Passing where another may succeed."""
        import zlib  # noqa: PLC0415 - not needed before the first error

        body = zlib.compress(json.dumps(items, default=_describe).encode("utf-8", "replace"), 1, wbits=31)
        headers = {
            "Authorization": f"Bearer {self._address.key}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        try:
            connection = self._connect()
            connection.request("POST", self._address.prefix + path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        except OSError as error:
            self._disconnect()
            raise _Passing from error
        except Exception as error:  # http.client has a family of its own
            self._disconnect()
            raise _Passing from error
        if response.status == 429 or response.status >= 500:
            raise _Passing(_seconds(response.headers.get("Retry-After")))
        if b'"rejected":[]' not in answer and response.status == 202:
            self._complain("the server refused some of the events")
        return response.status

    def _connect(self) -> "HTTPConnection":
        if self._connection is None:
            from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - slow to import

            kind = HTTPSConnection if self._address.is_secure else HTTPConnection
            self._connection = kind(self._address.host, self._address.port, timeout=_TIMEOUT_SECONDS)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _complain(self, reason: str) -> None:
        """Once per process: an error tracker that floods the log is another error."""
        if not self._complained:
            self._complained = True
            sys.stderr.write(f"meshhook-errors: {reason}. Further problems of this kind are counted silently.\n")


def _iso(epoch_seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_seconds))


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(max(float(retry_after or ""), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return None


def _describe(value: Any) -> str:
    """Context may hold anything."""
    try:
        return str(value)[:1000]
    except Exception:
        return f"<{type(value).__name__}>"


def in_child(sender: Sender) -> None:
    """Register what a forked child does."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=sender.begin_afresh)
