"""Keeps the names of MeshHook's projects and workflows, so that pages can say more than an id, also of what is gone."""

import psycopg
import structlog

from ingest.database import Connection
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__)

log = structlog.get_logger("meshhook")


def refresh_names(connection: Connection) -> None:
    """Take over what has changed. Tables or columns that this MeshHook doesn't have, or has in another shape, are done
    without: an error is worth more than a name."""
    columns = {table: set(names) for table, names in connection.execute(_SQL["columns"])}
    if {"id", "name"} <= columns.get("projects", set()):
        _refresh(connection, filled(_SQL["refresh_projects"], name="name"))
    known = columns.get("workflow_definitions", set())
    if {"id", "project_id", "slug"} <= known:
        version = "version" if "version" in known else "null::integer"
        name = "coalesce(name, slug)" if "name" in known else "slug"
        _refresh(connection, filled(_SQL["refresh_workflows"], name=name, version=version))


def _refresh(connection: Connection, statement: bytes) -> None:
    try:
        with connection.transaction():
            connection.execute(statement)
    except (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.errors.ProgrammingError) as error:
        log.warning("MeshHook's names can't be read", reason=str(error).partition("\n")[0])
