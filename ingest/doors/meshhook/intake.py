"""Takes MeshHook's failures and trials in: inbox and event log read, errors and executions written, positions moved,
all in one transaction. Whatever ends it in between, the next one does the same again.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb

from ingest.database import Connection
from ingest.doors.meshhook.event_log import Gap, moment, read_on, whole
from ingest.doors.meshhook.failures import (
    NOWHERE,
    Place,
    dead_letter,
    event_error_id,
    failed_run,
    failed_try,
)
from ingest.doors.meshhook.names import refresh_names
from ingest.doors.meshhook.run_states import load_runs, save_runs
from ingest.doors.meshhook.runs import Event, Run, Trial
from ingest.exceptions import InvalidEvent
from ingest.hall import Hall
from ingest.landing import land
from ingest.models import ExecutionReport, JsonObject
from ingest.rows import Row, execution_row
from ingest.statements import load_statements
from ingest.uuid7 import uuid7

MOST_ROWS = 2_000
BUCKET_SECONDS = 10
ENDED_KEPT = timedelta(hours=1)  # how long a run that has ended well is remembered
_SIGN_OF_LIFE_SECONDS = 5.0  # how often an idle reader writes that it has looked
_SECONDS_PER_GAP = 0.0001
_ALONE = 0x6D65_7368_0005
_SQL = load_statements(__file__)

log = structlog.get_logger("meshhook")


@dataclass(frozen=True, slots=True)
class Position:
    """Where the reading stands, and by which limits it judges."""

    first_id: int
    next_id: int
    gaps: list[Gap]
    max_attempts: int
    failed_after_seconds: float
    stuck_after_seconds: float
    stuck_factor: float
    has_events: bool
    has_runs: bool
    now: datetime
    horizon: int


@dataclass(slots=True)
class Batch:
    """What one transaction takes in."""

    now: datetime
    runs: dict[UUID, Run] = field(default_factory=dict)
    trials: list[tuple[Run, Trial]] = field(default_factory=list)
    errors: list[JsonObject] = field(default_factory=list)

    def rows(self, hall: Hall) -> list[Row]:
        """All of it, masked and classified."""
        return [_error_row(raw, self.now, hall) for raw in self.errors] + self._executions()

    def _executions(self) -> list[Row]:
        """Trials of the same series and ten seconds are one report: the position moves in the same transaction, so
        that each is told once."""
        series: dict[tuple[Any, ...], list[Trial]] = defaultdict(list)
        for run, trial in self.trials:
            bucket = int(trial.at.timestamp()) // BUCKET_SECONDS
            series[bucket, run.project_id, run.workflow_id].append(trial)
        return [
            execution_row(
                ExecutionReport(
                    UUID(uuid7(self.now)),
                    min(self.now, *(trial.at for trial in trials)),
                    "worker",
                    project_id,
                    workflow_id,
                    sum(trial.finished for trial in trials),
                    sum(trial.failed for trial in trials),
                )
            )
            for (_, project_id, workflow_id), trials in series.items()
        ]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a tick did. `is_at_end`: everything that is visible has been read."""

    failures: int
    events: int
    is_at_end: bool


class Intake:
    """Works on one connection in autocommit mode."""

    def __init__(self, connection: Connection, rows: int = MOST_ROWS, hall: Hall | None = None) -> None:
        self._connection = connection
        self._hall = hall or Hall()
        self._rows = rows
        self._moved_at = self._late_at = float("-inf")
        self._nameless: set[UUID | None] = set()  # workflows that were looked for in vain

    def tick(self, until: int | None = None) -> Taken | None:
        """Take in what is there, up to the event `until` if given; None where no MeshHook is connected."""
        with self._connection.transaction():
            position = self.position()
            return None if position is None else self._take(position, until)

    def position(self) -> Position | None:
        """Be the only reader until the transaction ends, and answer where reading stands."""
        self._connection.execute(_SQL["alone"], {"key": _ALONE})
        row = self._connection.execute(_SQL["position"]).fetchone()
        if row is None:
            return None
        first_id, next_id, gaps, *rest = row
        return Position(first_id, next_id, [Gap.of_json(gap) for gap in gaps], *rest)

    def _take(self, position: Position, until: int | None) -> Taken:
        events, next_id, gaps, is_at_end = self._read(position, until)
        # The inbox is read after the log: whatever stands in both is seen in both.
        kinds = ["step_failed", "dead_letter"] + (["run_ended"] if is_at_end else [])
        inbox = self._connection.execute(_SQL["take_inbox"], {"kinds": kinds, "rows": self._rows}).fetchall()
        inbox.sort()
        if len(inbox) == self._rows:  # the rest comes first: without it nobody can say what a trigger has missed
            events, next_id, gaps, is_at_end = [], position.next_id, position.gaps, False
        failed = [_failed_event(record) for _, kind, record in inbox if kind == "step_failed"]
        told = {event.id for event in failed if isinstance(event, Event)}
        missed = self.missing([event for event in events if event.type == "step_failed" and event.id not in told])

        ended = {UUID(record["run_id"]) for _, kind, record in inbox if kind == "run_ended"}
        batch = self.batch(position, events, ended)
        self.follow(batch, events, position)
        self.tell(batch, [event for event in failed if isinstance(event, Event)] + missed, position)
        batch.errors += [event for event in failed if not isinstance(event, Event)]
        places = self.places([record["run_id"] for _, kind, record in inbox if kind != "step_failed"], position)
        counted = self._counted(ended - batch.runs.keys(), places, position)
        for _, kind, record in inbox:
            if kind == "run_ended":
                _end_run(batch, record, places, counted)
            elif kind == "dead_letter":
                batch.errors.append(_dead_letter(record, places))
        self.write(batch)
        is_idle = not (inbox or events or gaps != position.gaps)
        is_due = time.monotonic() - self._moved_at > _SIGN_OF_LIFE_SECONDS
        if not is_idle or is_due:
            self._move(next_id, gaps, len(missed))
        if is_idle and is_due and position.has_events and self._connection.execute(_SQL["begin_again"]).rowcount:
            log.warning("MeshHook's event log was emptied, and its ids begin anew: it is read from its beginning")
        return Taken(len(inbox) + len(missed), len(events), is_at_end)

    def _move(self, next_id: int, gaps: Sequence[Gap], recovered: int) -> None:
        move = {"next_id": next_id, "gaps": Jsonb([gap.as_json() for gap in gaps]), "recovered": recovered}
        self._connection.execute(_SQL["move_position"], move)
        self._moved_at = time.monotonic()

    def _read(self, position: Position, until: int | None) -> tuple[list[Event], int, list[Gap], bool]:
        if not position.has_events:
            return [], position.next_id, position.gaps, True
        # Ten thousand rolled back transactions beside one that stays open cost a tenth of a second to look for.
        with_late = until is not None or time.monotonic() - self._late_at > len(position.gaps) * _SECONDS_PER_GAP
        self._late_at = time.monotonic() if with_late else self._late_at
        read = read_on(
            self._connection,
            position.next_id,
            position.gaps,
            position.horizon,
            position.now,
            self._rows,
            until,
            with_late=with_late,
        )
        return read.events, read.next_id, read.gaps, read.is_at_end

    def missing(self, events: Sequence[Event]) -> list[Event]:
        """Those of the failed tries that aren't stored yet."""
        if not events:
            return []
        ids = {event_error_id(event.id, event.at): event for event in events}
        for (known,) in self._connection.execute(_SQL["known_errors"], {"ids": list(ids)}):
            ids.pop(known, None)
        return list(ids.values())

    def batch(self, position: Position, events: Sequence[Event], others: Iterable[UUID] = ()) -> Batch:
        """A batch with the states of all runs that `events` and `others` are about."""
        wanted = {event.run_id for event in events} | set(others)
        if not wanted:
            return Batch(position.now)
        return Batch(position.now, load_runs(self._connection, wanted))

    def follow(self, batch: Batch, events: Sequence[Event], position: Position) -> None:
        """Let the runs follow their events."""
        strangers = {event.run_id for event in events} - batch.runs.keys()
        places = self.places(strangers, position)
        counted = self._counted(strangers, places, position, {event.id for event in events})
        for event in events:
            run = batch.runs.get(event.run_id)
            if run is None:
                place = places.get(event.run_id, NOWHERE)
                run = Run(event.run_id, place.started_at or event.at, event.at, place.project_id, place.workflow_id)
                run.outcome = "succeeded" if event.run_id in counted else None
                batch.runs[event.run_id] = run
            batch.trials += [(run, trial) for trial in run.take(event, position.max_attempts)]

    def _counted(
        self, strangers: Iterable[UUID], places: Mapping[UUID, Place], position: Position, now_read: Container[int] = ()
    ) -> set[UUID]:
        """Runs that were counted as succeeded, and forgotten. Only one that was started long ago can be."""
        long_ago = position.now - ENDED_KEPT
        old = [run for run in strangers if (places.get(run, NOWHERE).started_at or long_ago) <= long_ago]
        if not old or not position.has_events:
            return set()
        rows = self._connection.execute(_SQL["completed"], {"runs": old})
        return {run_id for run_id, event_id in rows if event_id not in now_read}

    def tell(self, batch: Batch, failed: Sequence[Event], position: Position) -> None:
        """Make errors of failed tries."""
        if not failed:
            return
        places = self.places({event.run_id for event in failed}, position)
        last = [event for event in failed if event.is_last_try(position.max_attempts)]
        repeated = self._repeated(last, position)
        for event in failed:
            place = places.get(event.run_id, NOWHERE)
            raw = failed_try(event, place, position.max_attempts, is_repeated=event.id in repeated)
            batch.errors.append(raw)

    def _repeated(self, failed: Sequence[Event], position: Position) -> set[int]:
        """Those of the last tries whose step had ended before: a job that was delivered twice runs it twice."""
        if not failed or not position.has_events:
            return set()
        history: dict[tuple[UUID, str | None], list[Event]] = defaultdict(list)
        runs = list({event.run_id for event in failed})
        for run_id, event_id, kind, node, attempt, most in self._connection.execute(
            _SQL["step_history"], {"runs": runs}
        ):
            told = Event(event_id, run_id, position.now, kind, node, None, whole(attempt), whole(most))
            history[run_id, node].append(told)
        return {event.id for event in failed if _had_ended(event, history[event.run_id, event.node], position)}

    def places(self, run_ids: Iterable[Any], position: Position) -> dict[UUID, Place]:
        """Where these runs belong."""
        wanted = list({run_id for run_id in map(_uuid, run_ids) if run_id is not None})
        if not wanted or not position.has_runs:
            return {}
        rows = self._connection.execute(_SQL["places"], {"runs": wanted}).fetchall()
        if {row[2] for row in rows if row[4] is None} - self._nameless:  # a workflow that has just been made
            refresh_names(self._connection)
            rows = self._connection.execute(_SQL["places"], {"runs": wanted}).fetchall()
            self._nameless = {row[2] for row in rows if row[4] is None}
        return {row[0]: Place(row[1], row[2], row[4], row[5], row[3]) for row in rows}

    def write(self, batch: Batch) -> None:
        """Store the batch."""
        rows = batch.rows(self._hall)
        if rows:
            land(self._connection, rows)
        save_runs(self._connection, batch.runs.values(), self._hall.masker)


def _had_ended(event: Event, history: Sequence[Event], position: Position) -> bool:
    before = [told for told in history if told.id < event.id]
    counts = Counter(told.type == "step_started" for told in before if told.type != "step_failed")
    ended = counts[False] + sum(
        told.type == "step_failed" and told.is_last_try(position.max_attempts) for told in before
    )
    return ended >= max(counts[True], 1)


def _failed_event(record: JsonObject) -> Event | JsonObject:
    """The event of an inbox row; what can't be read is kept as an error as it is."""
    try:
        return Event(
            int(record["event_id"]),
            UUID(record["run_id"]),
            moment(record["ts"]),
            "step_failed",
            record["node"],
            record["node_type"],
            whole(record["attempt"]),
            whole(record["max_attempts"]),
            record["error"],
        )
    except (KeyError, ValueError, TypeError):
        return _unreadable(record)


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _place_of(run_id: Any, places: dict[UUID, Place]) -> Place:
    known = _uuid(run_id)
    return NOWHERE if known is None else places.get(known, NOWHERE)


def _dead_letter(record: JsonObject, places: dict[UUID, Place]) -> JsonObject:
    try:
        at = moment(record["at"])
        return dead_letter(record, at, _place_of(record["run_id"], places))
    except (KeyError, ValueError, TypeError):
        return _unreadable(record)


def _end_run(batch: Batch, record: JsonObject, places: dict[UUID, Place], counted: Container[UUID]) -> None:
    """A run's status was set to failed or canceled."""
    run_id = UUID(record["run_id"])
    ended_at = moment(record["ended_at"])
    run = batch.runs.get(run_id)
    # MeshHook may have deleted the run by now.
    place = places.get(run_id, Place(_uuid(record["project_id"]), _uuid(record["workflow_id"])))
    if run is None:
        started_at = moment(record["started_at"] or record["ended_at"])
        run = batch.runs[run_id] = Run(run_id, started_at, started_at, place.project_id, place.workflow_id)
        run.outcome = "succeeded" if run_id in counted else None
    run.has_moved = True
    end_run(batch, run, place, record["status"], ended_at)


def end_run(batch: Batch, run: Run, place: Place, status: Any, ended_at: datetime) -> None:
    """Count a run that has ended with this status, and make the error of one that failed. A failure happened when its
    step failed for good."""
    at = run.exhausted.at if status == "failed" and run.exhausted is not None else ended_at
    has_failed_before = run.outcome == "failed"
    batch.trials += [(run, trial) for trial in run.end(status, at)]
    if status == "failed" and not has_failed_before:
        batch.errors.append(failed_run(run, place, at))


def _error_row(raw: JsonObject, now: datetime, hall: Hall) -> Row:
    try:
        return hall.row(raw, now)
    except InvalidEvent as error:
        log.warning("a failure of MeshHook isn't understood, it is kept as it is", reason=str(error))
        return hall.row(_unreadable(raw), now)


def _unreadable(record: JsonObject) -> JsonObject:
    return {"source": "worker", "title": "A failure of MeshHook that isn't understood", "metadata": {"record": record}}
