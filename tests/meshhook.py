"""A MeshHook in a database of its own, and what its workers write, statement by statement."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from ingest.database import Connection, connect
from ingest.doors.meshhook.connection import connect as connect_meshhook
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.quiet import QuietRuns
from jobs.demo.tables import create_tables

HTTP = {"id": "createContact", "type": "http_call"}


class Worker:
    """Writes as MeshHook's workers do, each statement by itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.project_id = self._id("insert into public.projects (owner, name) values (gen_random_uuid(), %s)", "Acme")
        self.workflow_id = self.workflow("lead-intake", 3)

    def _id(self, statement: str, *values: Any) -> UUID:
        row = self.connection.execute(f"{statement} returning id", values).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return UUID(str(row[0]))

    def workflow(self, slug: str, version: int) -> UUID:
        return self._id(
            "insert into public.workflow_definitions (project_id, slug, version, definition, name)"
            " values (%s, %s, %s, '{}', %s)",
            self.project_id,
            slug,
            version,
            slug.replace("-", " ").title(),
        )

    def run(self, workflow_id: UUID | None = None, started_at: datetime | None = None) -> UUID:
        return self._id(
            "insert into public.workflow_runs (project_id, workflow_id, status, started_at)"
            " values (%s, %s, 'running', %s)",
            self.project_id,
            workflow_id or self.workflow_id,
            started_at or datetime.now(UTC),
        )

    def event(self, run_id: UUID, kind: str, at: datetime | None = None, **payload: Any) -> int:
        row = self.connection.execute(
            "insert into public.workflow_events (run_id, ts, type, payload)"
            " values (%s, coalesce(%s, now()), %s, %s::jsonb) returning id",
            (run_id, at, kind, json.dumps(payload)),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def created(self, run_id: UUID, at: datetime | None = None) -> None:
        self.event(run_id, "run_created", at, headers={"authorization": "Bearer zzz-of-the-webhook"}, body="{}")

    def start(self, run_id: UUID, node: dict[str, str] = HTTP, at: datetime | None = None) -> None:
        self.event(run_id, "step_started", at, node=node)

    def succeed(self, run_id: UUID, node: dict[str, str] = HTTP, at: datetime | None = None) -> None:
        self.event(run_id, "step_succeeded", at, node=node, next=None, response="ok")

    def fail(
        self,
        run_id: UUID,
        attempt: int | None = 5,
        error: str = "Error: HTTP 502",
        at: datetime | None = None,
        node: dict[str, str] = HTTP,
    ) -> int:
        told = {} if attempt is None else {"attempt": attempt}
        return self.event(run_id, "step_failed", at, node=node, error=error, **told)

    def exhaust(self, run_id: UUID, at: datetime | None = None, error: str = "Error: HTTP 502") -> None:
        self.start(run_id, at=at)
        for attempt in range(1, 6):
            self.fail(run_id, attempt, error, at)

    def complete(self, run_id: UUID, at: datetime | None = None) -> None:
        self.event(run_id, "run_completed", at, reason="terminated")
        self.status(run_id, "succeeded", at)

    def status(self, run_id: UUID, status: str, at: datetime | None = None) -> None:
        ended = at or datetime.now(UTC)
        self.connection.execute(
            "update public.workflow_runs set status = %s, finished_at = %s where id = %s",
            (status, None if status in ("running", "paused") else ended, run_id),
        )

    def job(self, run_id: UUID, attempt: int = 5, dead_at: datetime | None = None) -> UUID:
        return self._id(
            "insert into public.job_tracking (msg_id, run_id, queue_name, attempt, max_attempts, moved_to_dlq_at)"
            " values (7, %s, 'workflow_jobs', %s, 5, %s)",
            run_id,
            attempt,
            dead_at,
        )

    def whole_run(self, at: datetime | None = None) -> UUID:
        run_id = self.run(started_at=at)
        self.created(run_id, at)
        self.start(run_id, at=at)
        self.succeed(run_id, at=at)
        self.complete(run_id, at)
        return run_id


class Stored:
    """What stands in our tables."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def errors(self) -> list[dict[str, Any]]:
        cursor = self.connection.execute(
            'select * from meshhook_errors.error_metrics order by "timestamp", title collate "C"'
        )
        names = [column.name for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def titles(self) -> list[str]:
        return [f"{error['severity']} {error['title']}" for error in self.errors()]

    def trials(self) -> tuple[int, int]:
        """Finished and failed."""
        row = self.connection.execute(
            "select coalesce(sum(finished), 0)::int, coalesce(sum(failed), 0)::int"
            " from meshhook_errors.execution_metrics"
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def one(self, statement: str) -> Any:
        row = self.connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def meshhook(database_url: str) -> Iterator[Worker]:
    """MeshHook's tables, not connected."""
    with connect(database_url, "worker") as connection:
        create_tables(connection)
        yield Worker(connection)


@pytest.fixture
def worker(meshhook: Worker, connection: Connection) -> Worker:
    """MeshHook's tables, connected."""
    connect_meshhook(connection)
    return meshhook


@pytest.fixture
def intake(connection: Connection) -> Intake:
    return Intake(connection)


@pytest.fixture
def quiet(connection: Connection, intake: Intake) -> QuietRuns:
    return QuietRuns(connection, intake)


@pytest.fixture
def stored(connection: Connection) -> Stored:
    return Stored(connection)
