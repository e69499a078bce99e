"""The items of one request on their way through a door: each is taken or refused by itself."""

from dataclasses import dataclass, field

from pydantic_core import to_json
from starlette.responses import Response

from ingest.doors.gate import Gate
from ingest.doors.problems import Problem, problem_response
from ingest.exceptions import SpoolFull, StoreUnavailable
from ingest.rows import Row


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

    async def commit(self, gate: Gate) -> Response:
        """Make the good ones durable and answer 202, or 422 where the only item was refused.

        Raises Problem 503 when neither Postgres nor the spool takes them.
        """
        duplicates = 0
        if self.rows:
            try:
                outcome = await gate.writer.write(self.rows)
            except (SpoolFull, StoreUnavailable) as error:
                raise Problem(503, str(error), {"Retry-After": "5"}) from error
            duplicates = outcome.duplicates
            self.rejected |= {self.positions[index]: reason for index, reason in outcome.rejected.items()}
        if self.count == len(self.rejected) == 1:
            return problem_response(422, next(iter(self.rejected.values())))
        answer = {
            "accepted": self.count - duplicates - len(self.rejected),
            "duplicates": duplicates,
            "rejected": [{"index": index, "error": reason} for index, reason in sorted(self.rejected.items())],
        }
        return Response(to_json(answer), 202, media_type="application/json")
