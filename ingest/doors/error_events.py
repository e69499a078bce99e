"""The native door: `POST /api/error-events` takes one error, an array of them, or one a line."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from ingest.doors.batch import Batch, commit_rows
from ingest.doors.documents import Unreadable
from ingest.doors.gate import ANYBODY, Gate, Owner, Visit
from ingest.doors.problems import Answer, Problem, answer
from ingest.exceptions import InvalidEvent
from ingest.hall import Hall
from ingest.rows import Row, error_row

PATH = "/api/error-events"
_ACCEPTED = b'{"accepted":1,"duplicates":0,"rejected":[]}'
_DUPLICATE = b'{"accepted":0,"duplicates":1,"rejected":[]}'
_BREATH = 100  # events normalised before other requests get a turn


async def take_errors(visit: Visit, gate: Gate) -> Answer:
    """202 `{"accepted", "duplicates", "rejected": [{"index", "error"}]}`, sent after the commit. Raises Problem."""
    items, owner = await gate.admit(visit)
    received_at = datetime.now(UTC)
    if len(items) == 1:
        return await _take_one(items[0], owner, received_at, gate)
    batch = Batch(len(items))
    for index, item in enumerate(items):
        if index % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        try:
            batch.take(index, _row(item, owner, received_at, gate.hall))
        except InvalidEvent as error:
            batch.refuse(index, str(error))
    return await batch.commit(gate)


async def _take_one(item: Any, owner: Owner, received_at: datetime, gate: Gate) -> Answer:
    """What comes most often, without a list of what became of each."""
    try:
        row = _row(item, owner, received_at, gate.hall)
    except InvalidEvent as error:
        raise Problem(422, str(error)) from None
    outcome = await commit_rows(gate, (row,))
    if outcome.rejected:
        raise Problem(422, outcome.rejected[0])
    return answer(202, _DUPLICATE if outcome.duplicates else _ACCEPTED, b"application/json")


def _row(item: Any, owner: Owner, received_at: datetime, hall: Hall) -> Row:
    if isinstance(item, Unreadable):
        raise InvalidEvent(item.reason)
    if not isinstance(item, dict):
        raise InvalidEvent("An event is a JSON object.")
    return error_row(hall.normalise(item if owner is ANYBODY else owner.own(item), received_at))
