"""One error in full, from wherever it is kept."""

import json
from typing import Any
from uuid import UUID

from analytics.evolution import parts_in_sql
from analytics.store import Store, asked_again
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__.replace("events.py", "queries.py"))
_LAKE_SQL = load_statements(__file__.replace("events.py", "lake_queries.py"))


@asked_again
def error_by_id(store: Store, error_id: UUID) -> dict[str, Any] | None:
    """The contract's columns with `metadata` as an object and `received_at`; None where no such error is kept."""
    with store.connection() as connection:
        cursor = connection.execute(_SQL["error_by_id"], {"error_id": error_id})
        row = cursor.fetchone()
        if row is not None and cursor.description is not None:
            return dict(zip([column.name for column in cursor.description], row, strict=True))
    return _from_lake(store, error_id)


def _from_lake(store: Store, error_id: UUID) -> dict[str, Any] | None:
    """Ids made here begin with the time, so the parts' statistics leave few files to read."""
    paths = store.listing("errors").paths()
    if not paths:
        return None
    parts, read = parts_in_sql("errors", paths)
    found = store.read_lake(filled(_LAKE_SQL["error_by_id"], parts=parts), {**read, "error_id": str(error_id)})
    rows: list[dict[str, Any]] = found.to_dicts()
    if not rows:
        return None
    return rows[0] | {"metadata": json.loads(rows[0]["metadata"])}
