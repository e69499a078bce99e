"""The native door: `POST /api/error-events` takes one error, an array of them, or one a line."""

from datetime import UTC, datetime
from typing import Any

from ingest.doors.batch import Batch, commit_rows, over_limit
from ingest.doors.documents import Unreadable
from ingest.doors.gate import ANYBODY, Gate, Owner, Turns, Visit
from ingest.doors.problems import Answer, Problem, answer
from ingest.exceptions import InvalidEvent
from ingest.limits import Toll
from ingest.rows import Row

PATH = "/api/error-events"
_ACCEPTED = b'{"accepted":1,"duplicates":0,"rejected":[]}'
_DUPLICATE = b'{"accepted":0,"duplicates":1,"rejected":[]}'


async def take_errors(visit: Visit, gate: Gate) -> Answer:
    """202 `{"accepted", "duplicates", "rejected": [{"index", "error"}]}`, sent after the commit. Raises Problem."""
    items, owner, toll = await gate.admit(visit)
    received_at = datetime.now(UTC)
    if len(items) == 1:
        return await _take_one(items[0], owner, received_at, gate, toll)
    batch, turns = Batch(len(items)), Turns(gate.writer)
    for index, item in enumerate(items):
        await turns.pass_on()
        try:
            batch.take(index, await _row(item, owner, received_at, gate, toll))
        except InvalidEvent as error:
            batch.refuse(index, str(error))
    return await batch.commit(gate, toll)


async def _take_one(item: Any, owner: Owner, received_at: datetime, gate: Gate, toll: Toll) -> Answer:
    """What comes most often, without a list of what became of each."""
    try:
        row = await _row(item, owner, received_at, gate, toll)
    except InvalidEvent as error:
        raise Problem(422, str(error)) from None
    outcome = await commit_rows(gate, (row,))
    if outcome.rejected:
        raise Problem(422, outcome.rejected[0])
    if toll.over:
        raise over_limit(toll, {"accepted": 1 - outcome.duplicates, "duplicates": outcome.duplicates, "rejected": []})
    return answer(202, _DUPLICATE if outcome.duplicates else _ACCEPTED, b"application/json")


async def _row(item: Any, owner: Owner, received_at: datetime, gate: Gate, toll: Toll) -> Row:
    if isinstance(item, Unreadable):
        raise InvalidEvent(item.reason)
    if not isinstance(item, dict):
        raise InvalidEvent("An event is a JSON object.")
    own = item if owner is ANYBODY else owner.own(item)
    return await gate.row(own, received_at, toll, owner)
