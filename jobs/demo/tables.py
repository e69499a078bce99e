"""MeshHook's tables in the schema `public`, as its migrations leave them, with a mark that says who made these."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg import sql

from ingest.statements import load_statements
from jobs.exceptions import JobError

if TYPE_CHECKING:
    from ingest.database import Connection

MARK = "made by meshhook-errors demo"
_SQL = load_statements(__file__)
_LOCK = 0x6D65_7368_00DE
_MONTHS_AHEAD = 2
_DROPPED_IN_ORDER = (
    "workflows",
    "job_tracking",
    "workflow_events",
    "workflow_runs",
    "workflow_definitions",
    "projects",
    "queue_config",
    "audit_log",
)


class ForeignTables(JobError):
    """Tables of a MeshHook stand here that the demo didn't make: it touches none of them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"This database has {', '.join(f'public.{name}' for name in names)}, which the demo didn't make: a real "
            "MeshHook, it seems. The demo leaves it alone; give it a database of its own with DATABASE_URL."
        )


def create_tables(connection: "Connection", *, partitioned: bool = True, job_tracking: bool = True) -> bool:
    """Make the tables, all or none; False where the demo's own stand already, which are kept as they are.

    With `partitioned`, the event log has a partition for each month from the last one to two months ahead. Raises
    ForeignTables.
    """
    with connection.transaction():
        if _standing(connection):
            if partitioned:
                _make_months(connection)
            return False
        connection.execute(_SQL["tables"])
        connection.execute(_SQL["events_by_month" if partitioned else "events_in_one"])
        connection.execute(_SQL["event_indexes"])
        connection.execute(_SQL["queues"])
        if job_tracking:
            connection.execute(_SQL["job_tracking"])
        if partitioned:
            _make_months(connection)
        for name in _standing_now(connection):
            kind = sql.SQL("view" if name == "workflows" else "table")
            mark = sql.SQL("comment on {} public.{} is {}").format(kind, sql.Identifier(name), sql.Literal(MARK))
            connection.execute(mark)
    return True


def drop_tables(connection: "Connection") -> bool:
    """Drop what the demo made, and all that hangs on it; False where there is nothing. Raises ForeignTables."""
    with connection.transaction():
        standing = _standing(connection)
        for name in (name for name in _DROPPED_IN_ORDER if name in standing):
            kind = sql.SQL("view" if name == "workflows" else "table")
            connection.execute(sql.SQL("drop {} public.{} cascade").format(kind, sql.Identifier(name)))
        if standing:
            connection.execute("drop function if exists public.meshhook_demo_touch()")
    return bool(standing)


def stand(connection: "Connection") -> bool:
    """Whether the demo's tables do. Raises ForeignTables."""
    with connection.transaction():
        return bool(_standing(connection))


def _standing(connection: "Connection") -> list[str]:
    """The names of the demo's own relations, under a lock until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    found = _standing_now(connection)
    if foreign := sorted(name for name, comment in found.items() if comment != MARK):
        raise ForeignTables(foreign)
    return sorted(found)


def _standing_now(connection: "Connection") -> dict[str, str | None]:
    return {row[0]: row[1] for row in connection.execute(_SQL["standing"])}


def _make_months(connection: "Connection") -> None:
    today = datetime.now(UTC)
    first = today.year * 12 + today.month - 1
    for number in range(first - 1, first + _MONTHS_AHEAD + 1):
        start, end = _month(number), _month(number + 1)
        connection.execute(
            sql.SQL(
                "create table if not exists public.{} partition of public.workflow_events for values from ({}) to ({})"
            ).format(sql.Identifier(f"workflow_events_{start:%Y_%m}"), sql.Literal(start), sql.Literal(end))
        )


def _month(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
