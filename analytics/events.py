"""One error in full, from wherever it is kept."""

import json
from datetime import UTC, date, datetime, timedelta
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
def error_by_id(store: Store, error_id: UUID, happened_at: datetime | None = None) -> dict[str, Any] | None:
    """The contract's columns with `metadata` as an object and `received_at`; None where no such error is kept.

    `happened_at`, where it is known, tells the lake's day to look at first. Else an id of version 7 tells it; one of
    another version is looked for in all of them."""
    with store.connection() as connection:
        cursor = connection.execute(_SQL["error_by_id"], {"error_id": error_id})
        row = cursor.fetchone()
        if row is not None and cursor.description is not None:
            return dict(zip([column.name for column in cursor.description], row, strict=True))
    return _from_lake(store, error_id, happened_at)


def _from_lake(store: Store, error_id: UUID, happened_at: datetime | None) -> dict[str, Any] | None:
    listing = store.listing("errors")
    days = _likely_days(error_id, happened_at)
    if days is not None:
        paths = listing.paths(*days)
        if paths and (found := _found(store, paths, error_id)) is not None:
            return found
    return _found(store, listing.paths(), error_id)


def _likely_days(error_id: UUID, happened_at: datetime | None) -> tuple[date, date] | None:
    """The first and the last. An id is made a little before or after the error's own time."""
    if happened_at is not None:
        day = happened_at.astimezone(UTC).date()
        return day, day
    made_at = moment_of_uuid7(error_id)
    if made_at is None or made_at.date() == date.max:
        return None
    return made_at.date() - _DAY, made_at.date() + _DAY


def _found(store: Store, paths: list[str], error_id: UUID) -> dict[str, Any] | None:
    if not paths:
        return None
    parts, read = parts_in_sql("errors", paths)
    found = store.read_lake(filled(_LAKE_SQL["error_by_id"], parts=parts), {**read, "error_id": str(error_id)})
    rows: list[dict[str, Any]] = found.to_dicts()
    if not rows:
        return None
    return rows[0] | {"metadata": json.loads(rows[0]["metadata"])}
