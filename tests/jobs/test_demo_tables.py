"""The demo's tables are MeshHook's, and it touches nobody else's."""

import psycopg
import pytest

from ingest.database import Connection
from jobs.demo.tables import MARK, ForeignTables, create_tables, drop_tables


def tables(connection: Connection) -> set[str]:
    rows = connection.execute(
        """select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where nspname = 'public' and relkind in ('r', 'p', 'v', 'S') or relname like 'meshhook_demo%'"""
    )
    return {row[0] for row in rows}


def test_tables_are_made_once_and_removed_without_a_trace(connection: Connection) -> None:
    before = tables(connection)
    assert create_tables(connection)
    assert not create_tables(connection)
    months = {name for name in tables(connection) if name.startswith("workflow_events_20")}
    assert len(months) == 4
    assert drop_tables(connection)
    assert not drop_tables(connection)
    assert tables(connection) == before
    assert connection.execute("select to_regproc('public.meshhook_demo_touch')").fetchone() == (None,)


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_run_carries_its_events_away_and_keeps_the_time_of_its_change(
    connection: Connection, partitioned: bool
) -> None:
    create_tables(connection, partitioned=partitioned, job_tracking=False)
    assert connection.execute("select to_regclass('public.job_tracking')").fetchone() == (None,)
    connection.execute("insert into public.projects (owner, name) values (gen_random_uuid(), 'shop')")
    connection.execute(
        """insert into public.workflow_definitions (project_id, slug, definition)
        select id, 'orders', '{}' from public.projects"""
    )
    connection.execute(
        "insert into public.workflow_runs (project_id, workflow_id) select project_id, id from public.workflows"
    )
    connection.execute("insert into public.workflow_events (run_id, type) select id, 'x' from public.workflow_runs")
    connection.execute("update public.workflow_runs set status = 'succeeded', finished_at = now()")
    changed = connection.execute("select updated_at > created_at from public.workflow_runs").fetchone()
    assert changed == (True,)
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("update public.workflow_runs set status = 'lost'")
    connection.execute("delete from public.projects")
    assert connection.execute("select count(*) from public.workflow_events").fetchone() == (0,)


def test_tables_of_somebody_else_are_refused_with_a_sentence(connection: Connection) -> None:
    connection.execute("create table public.workflow_runs (id int)")
    with pytest.raises(ForeignTables, match="didn't make"):
        create_tables(connection)
    with pytest.raises(ForeignTables, match=r"public\.workflow_runs"):
        drop_tables(connection)
    connection.execute(f"comment on table public.workflow_runs is '{MARK}'")
    connection.execute("create view public.workflows as select 1 as one")
    with pytest.raises(ForeignTables, match=r"public\.workflows,"):
        drop_tables(connection)
    assert tables(connection) == {"workflow_runs", "workflows"}
