"""The native door: `POST /api/error-events` takes one error, an array of them, or one a line."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from ingest.doors.batch import Batch
from ingest.doors.documents import Unreadable
from ingest.doors.gate import ANYBODY, Gate, Owner, Visit
from ingest.doors.problems import Answer
from ingest.exceptions import InvalidEvent
from ingest.hall import normalise
from ingest.rows import Row, error_row

PATH = "/api/error-events"
_BREATH = 100  # events normalised before other requests get a turn


async def take_errors(visit: Visit, gate: Gate) -> Answer:
    """202 `{"accepted", "duplicates", "rejected": [{"index", "error"}]}`, sent after the commit. Raises Problem."""
    items, owner = await gate.admit(visit)
    received_at = datetime.now(UTC)
    batch = Batch(len(items))
    for index, item in enumerate(items):
        if index % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        try:
            batch.take(index, _row(item, owner, received_at))
        except InvalidEvent as error:
            batch.refuse(index, str(error))
    return await batch.commit(gate)


def _row(item: Any, owner: Owner, received_at: datetime) -> Row:
    if isinstance(item, Unreadable):
        raise InvalidEvent(item.reason)
    if not isinstance(item, dict):
        raise InvalidEvent("An event is a JSON object.")
    return error_row(normalise(item if owner is ANYBODY else owner.own(item), received_at))
