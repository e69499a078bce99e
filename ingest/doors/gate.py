"""What every door shares: who may enter, how much at once, and the writer behind it.

Doors are plain ASGI applications: they stand before the router, because at thousands of requests a second its work
would cost more than theirs.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.access import Access, bearer
from ingest.doors.bodies import documents, read_body
from ingest.doors.problems import Answer, Problem
from ingest.writer import Writer

log = structlog.get_logger("doors")


@dataclass(frozen=True, slots=True)
class Gate:
    """Held by every door of the API."""

    access: Access
    writer: Writer
    max_body_bytes: int
    max_batch: int

    async def admit(self, scope: Scope, receive: Receive) -> list[Any]:
        """The JSON items of a request whose key may send. Raises Problem."""
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization")
        await self.access.require(bearer(authorization and authorization.decode("latin-1")), "ingest")
        body = await read_body(headers, receive, self.max_body_bytes)
        return documents(body, headers.get(b"content-type", b"").decode("latin-1"), self.max_batch)


Take = Callable[[list[Any], Gate], Awaitable[Answer]]


class Doors:
    """Opens the door that a path leads to; everything else goes on to `behind`."""

    def __init__(self, doors: Mapping[str, Take], gate: Gate, behind: ASGIApp) -> None:
        self._doors = doors
        self._gate = gate
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        take = self._doors.get(scope.get("path", "")) if scope["type"] == "http" else None
        if take is None or scope["method"] != "POST":
            await self._behind(scope, receive, send)
            return
        try:
            answer = await take(await self._gate.admit(scope, receive), self._gate)
        except Problem as problem:
            answer = problem.answer()
        except Exception:  # the sender gets an answer, and the log the reason
            log.exception("a door failed", path=scope["path"])
            answer = Problem(500, "Something went wrong here. It is logged; send it again later.").answer()
        await send(answer.start)
        await send(answer.body)
