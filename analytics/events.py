"""One error in full, from wherever it is kept."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from analytics.evolution import parts_in_sql
from analytics.store import Store, asked_again
from ingest.statements import filled, load_statements
from ingest.uuid7 import moment_of_uuid7

_DAY = timedelta(days=1)
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
    """Ids made by capture begin with the time: the days around it are looked at first."""
    listing = store.listing("errors")
    made_at = moment_of_uuid7(error_id)
    if made_at is not None:
        near = listing.paths(made_at.date() - _DAY, made_at.date() + _DAY)
        if near and (found := _found(store, near, error_id)) is not None:
            return found
    return _found(store, listing.paths(), error_id)


def _found(store: Store, paths: list[str], error_id: UUID) -> dict[str, Any] | None:
    if not paths:
        return None
    parts, read = parts_in_sql("errors", paths)
    found = store.read_lake(filled(_LAKE_SQL["error_by_id"], parts=parts), {**read, "error_id": str(error_id)})
    rows: list[dict[str, Any]] = found.to_dicts()
    if not rows:
        return None
    return rows[0] | {"metadata": json.loads(rows[0]["metadata"])}
