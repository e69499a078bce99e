"""The states of runs as they are kept between two reads: without secrets, and with the start of a long message."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from ingest.database import Connection
from ingest.doors.meshhook.runs import Exhausted, Run
from ingest.masking import Masker
from ingest.statements import filled, load_statements

COLUMNS = """run_id, project_id, workflow_id, started_at, last_event_id, last_event_at, last_node, steps, exhausted,
    outcome, ended_at, stuck_error_id"""

_MOST_MESSAGE = 4096
_SQL = load_statements(__file__.replace("run_states.py", "intake.py"))


def load_runs(connection: Connection, run_ids: Iterable[UUID]) -> dict[UUID, Run]:
    """Those of the runs that are known."""
    statement = filled(_SQL["load_runs"], columns=COLUMNS)
    rows = connection.execute(statement, {"runs": list(run_ids)})
    return {row[0]: run_of(row) for row in rows}


def run_of(row: Sequence[Any]) -> Run:
    """The run of a row with the columns COLUMNS."""
    (
        run_id,
        project_id,
        workflow_id,
        started_at,
        last_id,
        last_at,
        last_node,
        steps,
        exhausted,
        outcome,
        ended,
        stuck,
    ) = row
    return Run(
        run_id,
        started_at,
        last_at,
        project_id,
        workflow_id,
        last_id,
        last_node,
        steps,
        None if exhausted is None else Exhausted.of_json(exhausted),
        outcome,
        ended,
        stuck,
    )


def save_runs(connection: Connection, runs: Iterable[Run], masker: Masker) -> None:
    """Keep the states, without secrets. A stuck run that has moved is noted as such, and may become stuck again."""
    kept = list(runs)
    if not kept:
        return
    for run in kept:
        if run.stuck_error_id is not None and run.has_moved:
            connection.execute(_SQL["note_moved"], {"run": run.run_id, "at": run.ended_at or run.last_event_at})
            run.stuck_error_id = None
    connection.execute(_SQL["save_runs"], {"runs": Jsonb([_as_json(run, masker) for run in kept])})


def _kept(exhausted: Exhausted, masker: Masker) -> Exhausted:
    error = exhausted.error and masker.text(exhausted.error)[:_MOST_MESSAGE]
    return replace(exhausted, node=exhausted.node and masker.text(exhausted.node), error=error)


def _as_json(run: Run, masker: Masker) -> dict[str, Any]:
    return {
        "run_id": str(run.run_id),
        "project_id": run.project_id and str(run.project_id),
        "workflow_id": run.workflow_id and str(run.workflow_id),
        "started_at": run.started_at.isoformat(),
        "last_event_id": run.last_event_id,
        "last_event_at": run.last_event_at.isoformat(),
        "last_node": run.last_node and masker.text(run.last_node),
        "steps": run.steps,
        "exhausted": run.exhausted and _kept(run.exhausted, masker).as_json(),
        "outcome": run.outcome,
        "ended_at": run.ended_at and run.ended_at.isoformat(),
        "stuck_error_id": run.stuck_error_id and str(run.stuck_error_id),
    }
