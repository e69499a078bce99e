"""Rows for tests, written straight into Postgres."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from ingest.database import Connection

ERROR = """with known as (
    insert into error_ids (error_id) values (%(error_id)s)
)
insert into error_metrics
    (error_id, timestamp, source, error_type, severity, workflow_id, metadata, project_id, title, fingerprint)
values (%(error_id)s, %(timestamp)s, %(source)s, %(error_type)s, %(severity)s, %(workflow_id)s, %(metadata)s::jsonb,
    %(project_id)s, %(title)s, %(fingerprint)s)"""
REPORT = """insert into execution_metrics (report_id, timestamp, source, project_id, workflow_id, finished, failed)
values (gen_random_uuid(), %(timestamp)s, %(source)s, %(project_id)s, %(workflow_id)s, %(finished)s, %(failed)s)"""


def now() -> datetime:
    return datetime.now(UTC)


def insert_error(
    connection: Connection,
    *,
    timestamp: datetime | None = None,
    source: str = "worker",
    error_type: str = "execution",
    severity: str = "medium",
    workflow_id: UUID | None = None,
    project_id: UUID | None = None,
    title: str = "TypeError: fetch failed",
    fingerprint: str = "1-fetch",
    metadata: str = '{"message": "fetch failed"}',
) -> UUID:
    error_id = uuid4()
    values = dict(locals()) | {"timestamp": timestamp or now()}
    values.pop("connection")
    connection.execute(ERROR, values)
    return error_id


def insert_report(
    connection: Connection,
    finished: int,
    failed: int = 0,
    *,
    timestamp: datetime | None = None,
    source: str = "worker",
    workflow_id: UUID | None = None,
    project_id: UUID | None = None,
) -> None:
    values = dict(locals()) | {"timestamp": timestamp or now()}
    values.pop("connection")
    connection.execute(REPORT, values)


def insert_many(connection: Connection, count: int, *, over: timedelta = timedelta(hours=2)) -> None:
    """`count` errors of many kinds, spread evenly over the time before now, in one transaction."""
    connection.execute(
        r"""insert into error_metrics
            (error_id, timestamp, source, error_type, severity, workflow_id, metadata, title, fingerprint)
        select gen_random_uuid(), now() - %(over)s * (n::float8 / %(count)s),
            (array['worker', 'webhook', 'system'])[1 + n %% 3], (array['execution', 'input', 'system'])[1 + n %% 3],
            (array['low', 'medium', 'high'])[1 + n %% 3]::error_severity,
            ('00000000-0000-0000-0000-' || lpad((n %% 5)::text, 12, '0'))::uuid,
            jsonb_build_object('message', 'failure ' || n, 'attempt', n %% 4, 'quote', E'a "b"\n\\c,'),
            'failure ' || n %% 7, '1-' || n %% 7
        from generate_series(0, %(count)s - 1) n""",
        {"count": count, "over": over},
    )
