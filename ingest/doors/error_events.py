"""The native door: `POST /api/error-events` takes one error, an array of them, or one a line."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from ingest.doors.batch import Batch
from ingest.doors.bodies import Unreadable
from ingest.doors.gate import Gate
from ingest.doors.problems import Answer
from ingest.exceptions import InvalidEvent
from ingest.hall import normalise
from ingest.rows import Row, error_row

PATH = "/api/error-events"
_BREATH = 100  # events normalised before other requests get a turn


async def take_errors(items: list[Any], gate: Gate) -> Answer:
    """202 `{"accepted", "duplicates", "rejected": [{"index", "error"}]}`, sent after the commit. Raises Problem."""
    received_at = datetime.now(UTC)
    batch = Batch(len(items))
    for index, item in enumerate(items):
        if index % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        try:
            batch.take(index, _row(item, received_at))
        except InvalidEvent as error:
            batch.refuse(index, str(error))
    return await batch.commit(gate)


def _row(item: Any, received_at: datetime) -> Row:
    if isinstance(item, Unreadable):
        raise InvalidEvent(item.reason)
    if not isinstance(item, dict):
        raise InvalidEvent("An event is a JSON object.")
    return error_row(normalise(item, received_at))
