"""What really happened, counted where it is written: a try counts once its statement has committed."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from jobs.demo.workflows import Workflow

Count = Literal[
    "runs_started",
    "runs_paused",
    "steps_started",
    "steps_succeeded",
    "steps_exhausted",  # the last try failed
    "tries_repeated",  # failed, and tried again
    "jobs_repeated",
    "jobs_dead_lettered",
]
Outcome = Literal[
    "succeeded",
    "failed",  # a step was exhausted, whatever the run's status says
    "canceled",
    "hanging",  # the worker crashed: nothing will ever follow
    "dead_lettered",  # its job went to the dead-letter queue: no step was ever started
    "unfinished",  # was under way when the play was ended
]
Refusal = Literal["bad_signature", "unknown_slug"]
COUNTS: tuple[Count, ...] = Count.__args__  # type: ignore[attr-defined]
OUTCOMES: tuple[Outcome, ...] = Outcome.__args__  # type: ignore[attr-defined]


@dataclass(slots=True)
class WorkflowTruth:
    """One version of a workflow. `runs` are the ids of its runs by outcome."""

    workflow: Workflow
    counts: Counter[Count] = field(default_factory=Counter)
    runs: dict[Outcome, list[str]] = field(default_factory=lambda: {outcome: [] for outcome in OUTCOMES})

    def as_json(self) -> dict[str, Any]:
        known: dict[str, Any] = {"workflow_id": self.workflow.id, "project_id": self.workflow.project_id}
        known |= {"slug": self.workflow.slug, "version": self.workflow.version}
        ends = {f"runs_{outcome}": len(self.runs[outcome]) for outcome in OUTCOMES}
        return {**known, **{name: self.counts[name] for name in COUNTS}, **ends, "runs": self.runs}


@dataclass(frozen=True, slots=True)
class Truth:
    """`workflows` by their labels, such as «refund v1»; `webhooks_refused` by reason; `webhooks_reported` are those of
    them that were handed to the client. Times are the wall clock's."""

    seed: int
    speed: float
    began: datetime
    ended: datetime
    script_seconds: float
    workflows: dict[str, WorkflowTruth]
    webhooks_refused: dict[Refusal, int]
    webhooks_reported: int

    def total(self, name: Count) -> int:
        return sum(workflow.counts[name] for workflow in self.workflows.values())

    def runs(self, outcome: Outcome) -> list[str]:
        """The ids of all runs that ended so."""
        return [run for workflow in self.workflows.values() for run in workflow.runs[outcome]]

    @property
    def executions(self) -> tuple[int, int]:
        """Finished and failed, of steps and of runs: what the error rate is made of."""
        steps, exhausted = self.total("steps_succeeded"), self.total("steps_exhausted")
        succeeded, failed, canceled = (len(self.runs(name)) for name in ("succeeded", "failed", "canceled"))
        return steps + exhausted + succeeded + failed + canceled, exhausted + failed

    @property
    def stuck(self) -> list[str]:
        """The ids of runs that nothing will ever follow in, without a failed step: those that count as stuck."""
        return self.runs("hanging") + self.runs("dead_lettered") + self.runs("unfinished")

    def as_json(self) -> dict[str, Any]:
        """Plain values: numbers, texts, lists and dicts. Per workflow each of COUNTS, `runs_` and each of OUTCOMES, and
        `runs`, the ids by outcome; `totals` sums the numbers."""
        workflows = {label: truth.as_json() for label, truth in sorted(self.workflows.items())}
        names = (*COUNTS, *(f"runs_{outcome}" for outcome in OUTCOMES))
        return {
            "seed": self.seed,
            "speed": self.speed,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "script_seconds": round(self.script_seconds, 1),
            "workflows": workflows,
            "totals": {name: sum(workflow[name] for workflow in workflows.values()) for name in names},
            "executions": dict(zip(("finished", "failed"), self.executions, strict=True)),
            "webhooks": {**self.webhooks_refused, "reported": self.webhooks_reported},
        }


class Ledger:
    """Written by all threads of the engine while it works."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workflows: dict[str, WorkflowTruth] = {}
        self._refused: dict[Refusal, int] = {"bad_signature": 0, "unknown_slug": 0}
        self._reported = 0

    def count(self, workflow: Workflow, name: Count) -> None:
        with self._lock:
            self._of(workflow).counts[name] += 1

    def end(self, workflow: Workflow, run_id: str, outcome: Outcome) -> None:
        with self._lock:
            self._of(workflow).runs[outcome].append(run_id)

    def refuse(self, reason: Refusal, *, is_reported: bool) -> None:
        with self._lock:
            self._refused[reason] += 1
            self._reported += is_reported

    def truth(self, *, seed: int, speed: float, began: datetime, ended: datetime, script_seconds: float) -> Truth:
        """What is known by now; later counts don't change it."""
        with self._lock:
            workflows = {
                label: WorkflowTruth(
                    one.workflow, one.counts.copy(), {outcome: list(runs) for outcome, runs in one.runs.items()}
                )
                for label, one in self._workflows.items()
            }
            refused = self._refused.copy()
            return Truth(seed, speed, began, ended, script_seconds, workflows, refused, self._reported)

    def _of(self, workflow: Workflow) -> WorkflowTruth:
        return self._workflows.setdefault(workflow.label, WorkflowTruth(workflow))
