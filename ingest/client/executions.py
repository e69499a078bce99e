"""Finished executions, summed by minute so that a busy worker sends a few reports and not one for each."""

import threading
import time
from collections import deque

from .snapshot import new_id, text_of

_MOST_SERIES = 10_000
_FOLD_AT = 256

_Series = tuple[int, str, str | None, str | None]  # minute (epoch seconds), source, project, workflow


class Executions:
    """Counted from any thread, also from a signal handler that interrupts another count; taken by the sender."""

    def __init__(self) -> None:
        self._counted: deque[tuple[_Series, bool]] = deque()
        self._sums: dict[_Series, list[int]] = {}
        self._lock = threading.Lock()
        self.lost = 0  # executions of more series than are kept

    def __bool__(self) -> bool:
        return bool(self._counted or self._sums)

    def count(self, source: object, project_id: object, workflow_id: object, *, failed: bool) -> None:
        """Count one finished execution."""
        minute = int(time.time()) // 60 * 60
        self._counted.append(((minute, text_of(source), _name(project_id), _name(workflow_id)), failed))
        # Whoever gets the lock adds up. Never waiting for it is what makes a count inside a count safe.
        if len(self._counted) >= _FOLD_AT and self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def take(self) -> list[bytes]:
        """The sums since the last time as reports in JSON, each with an id of its own, and begin at 0 again."""
        if not self._lock.acquire(timeout=1):  # held by what a signal handler interrupted, if that is who asks
            return []
        try:
            self._fold()
            sums, self._sums = self._sums, {}
        finally:
            self._lock.release()
        now = time.time()
        return [_report(series, finished, failed, now) for series, (finished, failed) in sums.items()]

    def _fold(self) -> None:
        for _ in range(len(self._counted)):
            series, failed = self._counted.popleft()
            if series not in self._sums and len(self._sums) >= _MOST_SERIES:
                self.lost += 1
                continue
            sums = self._sums.setdefault(series, [0, 0])
            sums[0] += 1
            sums[1] += failed


def _name(value: object) -> str | None:
    return None if value is None else text_of(value)


def _report(series: _Series, finished: int, failed: int, now: float) -> bytes:
    import json  # noqa: PLC0415 - imported by late_imports

    minute, source, project_id, workflow_id = series
    report = {
        "report_id": new_id(now),
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute)),
        "source": source,
        "project_id": project_id,
        "workflow_id": workflow_id,
        "finished": finished,
        "failed": failed,
    }
    return json.dumps(report).encode("ascii")
