"""The workflow engine: an orchestrator and executors in worker threads, which write what MeshHook's workers write.

A run moves through these states; what leads out of one is a job, and a run has one job at a time:

    started ──plan──▶ in a step ──step_succeeded──▶ in the next step … ──▶ run_completed, status succeeded
       │                 │  ▲ step_failed, tried again after a pause
       │                 ├──┘
       │                 ├─ step_failed for the last time ─▶ nothing follows (or status failed, where `sets_failed`)
       │                 ├─ the worker crashes ─▶ nothing follows
       │                 └─ a user cancels ─▶ status canceled;  a user pauses ─▶ status paused, and on again
       └─ its job fails for the last time ─▶ dead-letter queue, nothing follows
"""

import threading
import time
import traceback

from jobs.demo.clock import Clock
from jobs.demo.script import Kind, Script
from jobs.demo.steps import Caller, Document, StepFailed, transform
from jobs.demo.store import Store
from jobs.demo.truth import Ledger, Outcome
from jobs.demo.work import Job, Run, WorkQueue
from jobs.demo.workflows import BY_SLUG, Node

MAX_ATTEMPTS = 5
_PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds of the script before another try
_PAUSED_SECONDS = 20.0  # until the user resumes
_WORKERS = 12
_PLANNER = "http://registry/exporters"


class _WorkerCrashed(Exception):
    """Ends a worker's thread with all that it was about to write."""


class Chance:
    """What the script lets happen a number of times: to whoever comes by first, on a busy machine a little later."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = {trouble: trouble.times for trouble in script.troubles if trouble.times}

    def take(self, kind: Kind, slug: str) -> bool:
        """Whether it happens now."""
        now = self._clock.now()
        with self._lock:
            for trouble, left in self._left.items():
                if trouble.kind == kind and trouble.target == slug and trouble.start <= now and left > 0:
                    self._left[trouble] -= 1
                    return True
        return False


class Engine:
    """`failure` is what a worker couldn't cope with, Postgres gone away for example: the play is over then."""

    def __init__(
        self, store: Store, caller: Caller, script: Script, clock: Clock, ledger: Ledger, *, sets_failed: bool
    ) -> None:
        self.failure: Exception | None = None
        self._store = store
        self._caller = caller
        self._chance = Chance(script, clock)
        self._clock = clock
        self._ledger = ledger
        self._sets_failed = sets_failed
        self._queue = WorkQueue()
        self._lock = threading.Lock()
        self._open: dict[str, Run] = {}
        self._workers: list[threading.Thread] = []
        for _ in range(_WORKERS):
            self._hire()

    def accept(self, run: Run) -> None:
        """Take over a run that was created: from here it goes its way."""
        self._ledger.count(run.workflow, "runs_started")
        with self._lock:
            self._open[run.id] = run
        is_tracked = BY_SLUG[run.workflow.slug].tracked
        self._queue.put(Job(run, "plan", message=self._store.job_enqueued(run.id) if is_tracked else None))

    def wait_until_idle(self, seconds: float) -> None:
        """Until every run has ended or hangs, at most so long."""
        deadline = time.monotonic() + seconds
        while self._open and self.failure is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def close(self) -> None:
        """Let the workers end what they are at; whatever is still open then stays as it is."""
        self._queue.close(_WORKERS)
        for worker in list(self._workers):
            worker.join()
        for run in list(self._open.values()):
            self._end(run, "unfinished")

    def _hire(self) -> None:
        worker = threading.Thread(target=self._work, daemon=True)
        self._workers.append(worker)
        worker.start()

    def _work(self) -> None:
        while job := self._queue.take():
            try:
                self._do(job)
            except _WorkerCrashed:
                self._end(job.run, "hanging")
                self._hire()
                return
            except Exception as error:  # noqa: BLE001 - the play ends with it
                self.failure = error

    def _do(self, job: Job) -> None:
        if job.what == "resume" and job.then is not None:
            self._store.set_status(job.run.id, "running")
            self._do(job.then)
        elif job.what == "plan":
            self._plan(job)
        elif not self._is_stopped_by_user(job):
            if job.node is None:
                self._complete(job)
            else:
                self._step(job, job.node)

    def _is_stopped_by_user(self, job: Job) -> bool:
        run = job.run
        if job.what == "step" and job.attempt == 1 and job.node is run.workflow.nodes[run.workflow.first]:
            return False
        if self._chance.take("cancel", run.workflow.slug):
            self._store.end_run(run.id, "canceled")
            self._end(run, "canceled")
            return True
        if not run.was_paused and self._chance.take("pause", run.workflow.slug):
            run.was_paused = True
            self._store.set_status(run.id, "paused")
            self._ledger.count(run.workflow, "runs_paused")
            self._queue.put(Job(run, "resume", then=job), self._clock.real(_PAUSED_SECONDS))
            return True
        return False

    def _plan(self, job: Job) -> None:
        """The orchestrator's part: the first step. Where the queue is tracked, a registry is asked before."""
        if job.message is not None:
            self._store.job_started(job.message, job.attempt)
            try:
                self._ask_registry(job)
            except StepFailed as error:
                self._plan_again(job, job.message, error)
                return
            self._store.job_completed(job.message)
        self._queue.put(Job(job.run, "step", job.run.workflow.nodes[job.run.workflow.first]))

    def _ask_registry(self, job: Job) -> None:
        status, _ = self._caller.post(_PLANNER, {"workflow": job.run.workflow.slug}, job.run.delivery, job.attempt)
        if status >= 400:
            raise StepFailed(f"Error: HTTP {status}")

    def _plan_again(self, job: Job, message: int, error: StepFailed) -> None:
        self._store.job_failed(message, error.error, _stack(error))
        if job.attempt < MAX_ATTEMPTS:
            self._ledger.count(job.run.workflow, "jobs_repeated")
            again = Job(job.run, "plan", attempt=job.attempt + 1, message=message)
            self._queue.put(again, self._pause(job.attempt))
            return
        self._store.job_dead(message)
        self._ledger.count(job.run.workflow, "jobs_dead_lettered")
        self._end(job.run, "dead_lettered")

    def _step(self, job: Job, node: Node) -> None:
        """One try of a step."""
        run = job.run
        if job.attempt == 1:
            self._store.step_started(run.id, node)
            self._ledger.count(run.workflow, "steps_started")
        try:
            response, output = self._execute(job, node)
        except StepFailed as error:
            self._step_again(job, node, error)
            return
        self._store.step_succeeded(run.id, node, response=response, output=output)
        self._ledger.count(run.workflow, "steps_succeeded")
        run.document = {**run.document, **output}
        if node.next is None:
            reason = "terminated" if node.type == "terminate" else None
            self._queue.put(Job(run, "complete", reason=reason))
        else:
            self._queue.put(Job(run, "step", run.workflow.nodes[node.next]))

    def _execute(self, job: Job, node: Node) -> tuple[str | None, Document]:
        """The response of an HTTP step, the output of another. Raises StepFailed."""
        run = job.run
        if node.type != "http_call":
            return None, transform(node, run.document)
        status: int | None = None
        try:
            status, response = self._caller.post(node.url, run.document, run.delivery, job.attempt)
        finally:
            if self._chance.take("crash", run.workflow.slug):
                raise _WorkerCrashed
            self._store.http_attempted(run.id, node, status)
        if status >= 400:
            raise StepFailed(f"Error: HTTP {status}")
        return response, {}

    def _step_again(self, job: Job, node: Node, error: StepFailed) -> None:
        run = job.run
        self._store.step_failed(run.id, node, job.attempt, error.error)
        if job.attempt < MAX_ATTEMPTS:
            self._ledger.count(run.workflow, "tries_repeated")
            self._queue.put(Job(run, "step", node, job.attempt + 1), self._pause(job.attempt))
            return
        self._ledger.count(run.workflow, "steps_exhausted")
        if self._sets_failed:
            self._store.end_run(run.id, "failed")
        self._end(run, "failed")

    def _complete(self, job: Job) -> None:
        self._store.run_completed(job.run.id, job.reason)
        self._store.end_run(job.run.id, "succeeded")
        self._end(job.run, "succeeded")

    def _end(self, run: Run, outcome: Outcome) -> None:
        self._ledger.end(run.workflow, run.id, outcome)
        with self._lock:
            del self._open[run.id]

    def _pause(self, attempt: int) -> float:
        return self._clock.real(_PAUSES[attempt - 1])


def _stack(error: StepFailed) -> str:
    """Where it really happened, laid out as Node does."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    lines = [f"    at {frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}:1)" for frame in frames]
    return "\n".join([error.error, *lines])
