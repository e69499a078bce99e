"""Runs that went quiet: those that failed without saying so, those that are stuck, those that ended unseen."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ingest.database import Connection
from ingest.doors.meshhook.failures import NOWHERE, Place, stuck_run
from ingest.doors.meshhook.intake import ENDED_KEPT, Batch, Intake, Position, end_run
from ingest.doors.meshhook.run_states import COLUMNS, run_of
from ingest.doors.meshhook.runs import Run
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__)
_MOST_RUNS = 500
_IDLE = timedelta(seconds=30)
_LOOK_AGAIN = timedelta(seconds=30)
_LOOK_AGAIN_AT_STUCK = timedelta(minutes=10)
_TRIGGERED = ("failed", "canceled")
_USUAL_FOR_SECONDS = 600.0  # how long a workflow's usual length is taken as known
_STUCK_KEPT = timedelta(days=90)
_OPEN_KEPT = timedelta(days=30)  # failed and canceled ones, too: somebody may tidy up MeshHook's table much later


class QuietRuns:
    """Looks after open runs, on the connection of an Intake. Call it when the log has been read to its end: only then
    is silence silence."""

    def __init__(self, connection: Connection, intake: Intake, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._intake = intake
        self._clock = clock
        self._usual: dict[UUID, tuple[float, float | None]] = {}

    def settle_failed(self) -> int:
        """Count runs as failed whose last try failed, and which nothing has followed. Answers how many."""
        with self._connection.transaction():
            position = self._intake.position()
            if position is None:
                return 0
            before = position.now - timedelta(seconds=position.failed_after_seconds)
            runs = self._select("gone_quiet", {"before": before, "rows": _MOST_RUNS})
            told_of, statuses = self._told_of(runs), self._statuses(runs, position)
            waiting = self._with_waiting_jobs(runs)
            batch = self._batch(position, runs)
            places = self._intake.places(batch.runs, position)
            for run in runs:
                if run.exhausted is None or run.run_id in told_of:
                    continue
                status, ended_at = statuses.get(run.run_id, ("running", None))
                place = places.get(run.run_id, Place(run.project_id, run.workflow_id))
                if status == "running" and run.run_id not in waiting:
                    self._fail(batch, run, place, position.now)
                elif status in ("failed", "canceled", "succeeded"):
                    end_run(batch, run, place, status, ended_at or run.exhausted.at)
            self._intake.write(batch)
            self._note_found(runs, statuses)
            self._connection.execute(
                _SQL["looked_at"], {"now": position.now, "runs": [run.run_id for run in runs if run.outcome is None]}
            )
        return len(batch.trials)

    def _fail(self, batch: Batch, run: Run, place: Place, now: datetime) -> None:
        assert run.exhausted is not None
        end_run(batch, run, place, "failed", run.exhausted.at)
        error_id = UUID(batch.errors[-1]["error_id"])
        self._note_stuck(run, error_id, "exhausted", run.exhausted.node, run.exhausted.at, now)

    def look_after_idle(self) -> int:
        """Look at what MeshHook says of runs without an event for a while. Answers how many of them are stuck now."""
        with self._connection.transaction():
            position = self._intake.position()
            if position is None or not position.has_runs:
                return 0
            now = position.now
            idle = min(_IDLE, timedelta(seconds=position.stuck_after_seconds / 2))
            values = {"idle_since": now - idle, "rows": _MOST_RUNS, "looked_before": now - min(_LOOK_AGAIN, idle)}
            runs = self._select("idle", values | {"stuck_before": now - _LOOK_AGAIN_AT_STUCK})
            if not runs:
                return 0
            told_of, statuses = self._told_of(runs), self._statuses(runs, position)
            known = [run for run in runs if run.run_id in statuses and run.run_id not in told_of]
            batch = self._batch(position, known)
            places = self._intake.places(batch.runs, position)
            stuck = 0
            for run in batch.runs.values():
                status, ended_at = statuses[run.run_id]
                place = places.get(run.run_id, NOWHERE)
                if status in ("succeeded", "failed", "canceled"):
                    run.has_moved = True
                    end_run(batch, run, place, status, ended_at or run.last_event_at)
                elif status == "running" and run.stuck_error_id is None:
                    stuck += self._look_at(batch, run, place, position)
            self._intake.write(batch)
            self._note_found(known, statuses)
            self._connection.execute(_SQL["looked_at"], {"now": now, "runs": [run.run_id for run in runs]})
            gone = [run.run_id for run in runs if run.run_id not in statuses]
            self._connection.execute(_SQL["forget_deleted"], {"runs": gone})
        return stuck

    def _look_at(self, batch: Batch, run: Run, place: Place, position: Position) -> bool:
        """Whether the run has become stuck."""
        threshold = position.stuck_after_seconds
        if position.now - run.started_at < timedelta(seconds=threshold):
            return False
        usual = self._usual_seconds(place)
        if usual is not None:
            threshold = max(threshold, position.stuck_factor * usual)
        at = run.started_at + timedelta(seconds=threshold)
        # A run that has moved since then is slow; stuck it is when it stands still for as long again.
        at = max(at, run.last_event_at + timedelta(seconds=threshold)) if run.last_event_at > at else at
        if position.now < at:
            return False
        raw = stuck_run(run, place, at, threshold)
        batch.errors.append(raw)
        self._note_stuck(run, UUID(raw["error_id"]), "too_long", run.last_node, at, position.now)
        return True

    def forget(self) -> None:
        """Let go of what nobody will ask for any more."""
        with self._connection.transaction():
            position = self._intake.position()
            if position is None:
                return
            now = position.now
            self._connection.execute(_SQL["forget_ended"], {"before": now - ENDED_KEPT})
            self._connection.execute(_SQL["forget_old"], {"before": now - _OPEN_KEPT})
            self._connection.execute(_SQL["forget_stuck"], {"before": now - _STUCK_KEPT})

    def _note_stuck(
        self, run: Run, error_id: UUID, reason: str, node: str | None, since: datetime, now: datetime
    ) -> None:
        run.stuck_error_id = error_id
        values = {"error_id": error_id, "run_id": run.run_id, "reason": reason, "node": node, "since": since}
        values |= {"project_id": run.project_id, "workflow_id": run.workflow_id, "noticed_at": now}
        self._connection.execute(_SQL["note_stuck"], values)

    def _select(self, statement: str, values: dict[str, object]) -> list[Run]:
        return [run_of(row) for row in self._connection.execute(filled(_SQL[statement], columns=COLUMNS), values)]

    def _batch(self, position: Position, runs: Sequence[Run]) -> Batch:
        return Batch(position.now, {run.run_id: run for run in runs})

    def _statuses(self, runs: Sequence[Run], position: Position) -> dict[UUID, tuple[str, datetime | None]]:
        if not runs or not position.has_runs:
            return {}
        rows = self._connection.execute(_SQL["statuses"], {"runs": [run.run_id for run in runs]})
        return {row[0]: (row[1], row[2]) for row in rows}

    def _told_of(self, runs: Sequence[Run]) -> set[UUID]:
        """Whose end is about to be taken from the inbox."""
        rows = self._connection.execute(_SQL["told_of"], {"runs": [str(run.run_id) for run in runs]}) if runs else ()
        return {row[0] for row in rows}

    def _note_found(self, runs: Sequence[Run], statuses: dict[UUID, tuple[str, datetime | None]]) -> None:
        """Failed and canceled runs should have been told of by a trigger."""
        ended = [run for run in runs if run.outcome and statuses.get(run.run_id, ("", None))[0] in _TRIGGERED]
        if ended:
            self._connection.execute(_SQL["found"], {"found": len(ended)})

    def _with_waiting_jobs(self, runs: Sequence[Run]) -> set[UUID]:
        if not runs or self._connection.execute(_SQL["has_jobs"]).fetchone() != (True,):
            return set()
        rows = self._connection.execute(_SQL["waiting_jobs"], {"runs": [run.run_id for run in runs]})
        return {row[0] for row in rows}

    def _usual_seconds(self, place: Place) -> float | None:
        if place.workflow_id is None:
            return None
        known = self._usual.get(place.workflow_id)
        if known is None or known[0] < self._clock():
            values = {"workflow": place.workflow_id, "project": place.project_id}
            row = self._connection.execute(_SQL["usual_seconds"], values).fetchone()
            known = self._usual[place.workflow_id] = (self._clock() + _USUAL_FOR_SECONDS, row[0] if row else None)
        return known[1]
