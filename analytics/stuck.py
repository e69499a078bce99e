"""Runs of MeshHook that ended without a word or take far too long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.filters import Filters
from analytics.narrowing import postgres_clause
from ingest.database import Connection
from ingest.statements import filled, load_statements

NOTICED_WITHIN = timedelta(days=1)
MOVED_WITHIN = timedelta(hours=1)
_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that stands still `since` then; `moved_at` says when it went on. Its error is `error_id`. It is the newest
    of `alike`, which stopped at the same node of the same workflow for the same reason."""

    error_id: str
    run_id: str
    project_id: str | None
    workflow_id: str | None
    reason: str
    node: str | None
    since: datetime
    noticed_at: datetime
    moved_at: datetime | None
    alike: int

    def lasts(self, now: datetime) -> timedelta:
        """How long it has stood still, or did so until it moved."""
        return (self.moved_at or now) - self.since


@dataclass(frozen=True, slots=True)
class StuckRuns:
    """How many runs stand still, and the newest of each kind, followed by those that moved again."""

    still: int = 0
    runs: tuple[StuckRun, ...] = ()


def stuck_runs(connection: Connection, now: datetime, filters: Filters, limit: int = 6) -> StuckRuns:
    """Runs noticed within a day that stand still, and those that moved again within an hour.

    They know workflow and project alone: filters on other columns leave them as they are.
    """
    clause, values = postgres_clause(Filters(workflow_id=filters.workflow_id, project_id=filters.project_id))
    values |= {"noticed_after": now - NOTICED_WITHIN, "moved_after": now - MOVED_WITHIN, "limit": limit}
    rows = connection.execute(filled(_SQL["stuck_runs"], filters=clause), values).fetchall()
    if not rows:
        return StuckRuns()
    return StuckRuns(rows[0][-1], tuple(StuckRun(*row[:-1]) for row in rows))
