"""What the event log says about runs: which executions finished, which failed, and which went quiet after a failure.

Pure: a run's state and an event in, trials out. The state is small and kept between reads, so that each execution is
counted once however often it is told of.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Outcome = Literal["succeeded", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the event log, without what it carried. `attempt` and `max_attempts` are known for failed tries."""

    id: int
    run_id: UUID
    at: datetime
    type: str
    node: str | None = None
    node_type: str | None = None
    attempt: int | None = None
    max_attempts: int | None = None
    error: str | None = None

    def is_last_try(self, usual_attempts: int) -> bool:
        """Whether this failed try was the last one. A failure that knows no attempt is the only one."""
        return self.attempt is None or self.attempt >= (self.max_attempts or usual_attempts)


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The last try of a step failed, and nothing has followed so far."""

    event_id: int
    at: datetime
    node: str | None
    error: str | None

    def as_json(self) -> dict[str, Any]:
        """For the state's table."""
        return {"event_id": self.event_id, "at": self.at.isoformat(), "node": self.node, "error": self.error}

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> "Exhausted":
        """What `as_json` made."""
        return cls(value["event_id"], datetime.fromisoformat(value["at"]), value["node"], value["error"])


@dataclass(frozen=True, slots=True)
class Trial:
    """One execution of a run or a step has finished. `finished` is 0 where it was counted as finished before."""

    at: datetime
    failed: bool
    finished: int = 1


@dataclass(slots=True)
class Run:
    """`steps` holds for each node how many executions were started and haven't been counted yet."""

    run_id: UUID
    started_at: datetime
    last_event_at: datetime
    project_id: UUID | None = None
    workflow_id: UUID | None = None
    last_event_id: int = 0
    last_node: str | None = None
    steps: dict[str, int] = field(default_factory=dict)
    exhausted: Exhausted | None = None
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    stuck_error_id: UUID | None = None
    has_moved: bool = False

    def take(self, event: Event, usual_attempts: int) -> list[Trial]:
        """Follow the log by one event; answers the trials that it completes."""
        trials = self._trials(event, usual_attempts)
        self.started_at = min(self.started_at, event.at)
        if event.id > self.last_event_id:
            self._move_on(event, usual_attempts)
        return trials

    def _trials(self, event: Event, usual_attempts: int) -> list[Trial]:
        if event.type == "step_started" and event.node is not None:
            self.steps[event.node] = self.steps.get(event.node, 0) + 1
        elif event.type == "step_succeeded":
            return self._completed(event, failed=False)
        elif event.type == "step_failed" and event.is_last_try(usual_attempts):
            return self._completed(event, failed=True)
        elif event.type == "run_completed":
            return self.end("succeeded", event.at)
        return []

    def _completed(self, event: Event, *, failed: bool) -> list[Trial]:
        """A step that was started once counts once, also when two workers have run it. Of one whose start is unknown,
        because it began before the reading did, the completion is taken at its word."""
        started = self.steps.get(event.node or "")
        if started == 0:
            return []
        if started is not None:
            self.steps[event.node or ""] = started - 1
        return [Trial(event.at, failed)]

    def _move_on(self, event: Event, usual_attempts: int) -> None:
        self.has_moved |= self.last_event_id > 0
        self.last_event_id, self.last_event_at = event.id, max(self.last_event_at, event.at)
        self.last_node = event.node or self.last_node
        is_over = event.type == "step_failed" and event.is_last_try(usual_attempts)
        self.exhausted = Exhausted(event.id, event.at, event.node, event.error) if is_over else None

    def end(self, outcome: Outcome, at: datetime) -> list[Trial]:
        """The run has ended. A run that was counted as a success, and is then said to have failed, is corrected; it
        stays failed, whatever is said later."""
        before, self.outcome = self.outcome, outcome if self.outcome != "failed" else "failed"
        self.ended_at = self.ended_at or at
        if before is None:
            return [Trial(at, outcome == "failed")]
        if outcome == "failed" and before != "failed":
            return [Trial(self.ended_at, True, finished=0)]
        return []
