"""Rows that a connected MeshHook leaves, written straight into Postgres."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from ingest.database import Connection
from tests.seeding import now


def name_project(connection: Connection, name: str, project_id: UUID | None = None) -> UUID:
    known = project_id or uuid4()
    connection.execute("insert into project_names (project_id, name) values (%s, %s)", (known, name))
    return known


def name_workflow(
    connection: Connection,
    slug: str,
    version: int | None = 1,
    *,
    name: str | None = None,
    project_id: UUID | None = None,
    workflow_id: UUID | None = None,
) -> UUID:
    known = workflow_id or uuid4()
    connection.execute(
        "insert into workflow_names (workflow_id, project_id, slug, version, name) values (%s, %s, %s, %s, %s)",
        (known, project_id, slug, version, slug if name is None else name),
    )
    return known


def note_stuck(
    connection: Connection,
    *,
    reason: str = "exhausted",
    node: str | None = "notify",
    since: timedelta = timedelta(minutes=14),
    noticed: timedelta | None = None,
    moved: timedelta | None = None,
    workflow_id: UUID | None = None,
    project_id: UUID | None = None,
    error_id: UUID | None = None,
) -> UUID:
    """A stuck run; the times are how long ago."""
    known, moment = error_id or uuid4(), now()
    values = {
        "error_id": known,
        "project_id": project_id,
        "workflow_id": workflow_id,
        "reason": reason,
        "node": node,
        "since": moment - since,
        "noticed_at": moment - (since if noticed is None else noticed),
        "moved_at": None if moved is None else moment - moved,
    }
    connection.execute(
        """insert into stuck_runs values (%(error_id)s, gen_random_uuid(), %(project_id)s, %(workflow_id)s, %(reason)s,
        %(node)s, %(since)s, %(noticed_at)s, %(moved_at)s)""",
        values,
    )
    return known


def connect_meshhook(
    connection: Connection,
    *,
    connected_at: datetime | None = None,
    disconnected_at: datetime | None = None,
    read_at: datetime | None = None,
    recovered: int = 0,
    misses: int = 0,
) -> None:
    connection.execute(
        """insert into meshhook_connection (connected_at, disconnected_at, read_at, recovered)
        values (%s, %s, %s, %s)""",
        (connected_at or now() - timedelta(days=3), disconnected_at, read_at, recovered),
    )
    for _ in range(misses):
        connection.execute("select nextval('meshhook_misses')")


def put_into_the_inbox(connection: Connection, written_at: datetime) -> None:
    connection.execute(
        "insert into meshhook_inbox (kind, record, written_at) values ('step_failed', '{}', %s)", (written_at,)
    )
