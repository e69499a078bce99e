"""The items of one request on their way through a door: each is taken or refused by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from ingest.doors.gate import Gate
from ingest.doors.problems import Answer, Problem, answer
from ingest.exceptions import SpoolFull, StoreUnavailable
from ingest.limits import Toll
from ingest.rows import Row
from ingest.writer import Outcome

_JSON = b"application/json"


async def commit_rows(gate: Gate, rows: Sequence[Row]) -> Outcome:
    """Make rows durable. Raises Problem 503 when neither Postgres nor the spool takes them."""
    try:
        return await gate.writer.write(rows)
    except (SpoolFull, StoreUnavailable) as error:
        raise Problem(503, str(error), {"Retry-After": "5"}) from error


def over_limit(toll: Toll, counts: Mapping[str, Any]) -> Problem:
    """What a sender above its limit is told. All of it is durable, so that nothing needs to be sent again."""
    return Problem(
        429,
        f"Above the limit: {toll.over} of these events were counted without their details. Don't send them again; "
        f"come back with others in {toll.retry_after} seconds.",
        {"Retry-After": str(toll.retry_after)},
        {"counted": toll.over, **counts},
    )


@dataclass(slots=True)
class Batch:
    """`take` or `refuse` each item, then `commit`."""

    count: int
    rows: list[Row] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: dict[int, str] = field(default_factory=dict)

    def take(self, index: int, row: Row) -> None:
        """Item `index` is good."""
        self.rows.append(row)
        self.positions.append(index)

    def refuse(self, index: int, reason: str) -> None:
        """Item `index` can't be used; the reason goes into the answer."""
        self.rejected[index] = reason

    async def commit(self, gate: Gate, toll: Toll | None = None) -> Answer:
        """Make the good ones durable and answer 202, and how many.

        Raises Problem: 422 where the only item was refused, 429 above a limit, with the same counts, 503 when neither
        Postgres nor the spool takes them.
        """
        duplicates = 0
        if self.rows:
            outcome = await commit_rows(gate, self.rows)
            duplicates = outcome.duplicates
            self.rejected |= {self.positions[index]: reason for index, reason in outcome.rejected.items()}
        if self.count == len(self.rejected) == 1:
            raise Problem(422, next(iter(self.rejected.values())))
        is_over = toll is not None and toll.over > 0
        if not self.rejected and duplicates == 0 and not is_over:
            return answer(202, b'{"accepted":%d,"duplicates":0,"rejected":[]}' % self.count, _JSON)
        counts = {
            "accepted": self.count - duplicates - len(self.rejected),
            "duplicates": duplicates,
            "rejected": [{"index": index, "error": reason} for index, reason in sorted(self.rejected.items())],
        }
        if toll is not None and is_over:
            raise over_limit(toll, counts)
        return answer(202, to_json(counts), _JSON)
