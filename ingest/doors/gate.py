"""What every door shares: who may enter, how much at once, and the writer behind it."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from ingest.access import Access, bearer
from ingest.doors.bodies import documents, read_body
from ingest.writer import Writer


@dataclass(frozen=True, slots=True)
class Gate:
    """Held in `app.state.gate` of the API."""

    access: Access
    writer: Writer
    max_body_bytes: int
    max_batch: int

    async def admit(self, request: Request) -> list[Any]:
        """The JSON items of a request whose key may send. Raises Problem."""
        await self.access.require(bearer(request.headers.get("authorization")), "ingest")
        body = await read_body(request, self.max_body_bytes)
        return documents(body, request.headers.get("content-type", ""), self.max_batch)
