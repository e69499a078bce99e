"""What waits to be done: jobs that become due at a moment, handed to whichever worker is free."""

import heapq
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue
from typing import Any, Literal

from jobs.demo.workflows import Node, Workflow


@dataclass(slots=True)
class Run:
    """At any moment one job of it waits or is worked on, so whoever works on it has it alone."""

    id: str
    workflow: Workflow
    delivery: int
    document: dict[str, Any]
    was_paused: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """`plan` is for the orchestrator; `message` is its number where the queue's jobs are tracked."""

    run: Run
    what: Literal["plan", "step", "complete", "resume"]
    node: Node | None = None
    attempt: int = 1
    message: int | None = None
    then: "Job | None" = None
    reason: str | None = None


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    number: int
    job: Job = field(compare=False)


class WorkQueue:
    """A thread of its own moves what is due to the workers, so that idle ones sleep."""

    def __init__(self) -> None:
        self._ready: SimpleQueue[Job | None] = SimpleQueue()
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._dispatch, daemon=True)
        self._thread.start()

    def put(self, job: Job, seconds: float = 0.0) -> None:
        """Due in so many real seconds."""
        if seconds <= 0:
            self._ready.put(job)
            return
        with self._changed:
            heapq.heappush(self._waiting, _Waiting(time.monotonic() + seconds, next(self._numbers), job))
            self._changed.notify()

    def take(self) -> Job | None:
        """Waits for a job; None when there is none any more."""
        return self._ready.get()

    def close(self, workers: int) -> None:
        """What isn't due is never handed out; so many workers are told that it is over."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        for _ in range(workers):
            self._ready.put(None)

    def _dispatch(self) -> None:
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                while self._waiting and self._waiting[0].due <= now:
                    self._ready.put(heapq.heappop(self._waiting).job)
                self._changed.wait(self._waiting[0].due - now if self._waiting else None)
