"""Keeps the names of MeshHook's projects and workflows, so that pages can say more than an id, also of what is gone."""

from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)


def refresh_names(connection: Connection) -> None:
    """Take over what has changed. Tables or columns that this MeshHook doesn't have are done without."""
    columns = {table: set(names) for table, names in connection.execute(_SQL["columns"])}
    if {"id", "name"} <= columns.get("projects", set()):
        connection.execute(_filled("refresh_projects", name="name"))
    known = columns.get("workflow_definitions", set())
    if {"id", "project_id", "slug"} <= known:
        version = "version" if "version" in known else "null::integer"
        name = "coalesce(name, slug)" if "name" in known else "slug"
        connection.execute(_filled("refresh_workflows", name=name, version=version))


def _filled(statement: str, **slots: str) -> bytes:
    text = _SQL[statement].decode()
    for name, value in slots.items():
        text = text.replace("{" + name + "}", value)
    return text.encode()
