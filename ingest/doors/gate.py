"""What every door shares: who may enter, for which project, how much at once, and the writer behind it.

Doors are plain ASGI applications: they stand before the router, because at thousands of requests a second its work
would cost more than theirs.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from uuid import UUID

from starlette.types import Receive, Scope

from ingest.access import Access, bearer
from ingest.doors.bodies import read_body
from ingest.doors.documents import documents
from ingest.doors.problems import Answer
from ingest.doors.room import Room, Share
from ingest.exceptions import InvalidEvent, TakesLong
from ingest.hall import Hall
from ingest.keys import Grant
from ingest.limits import Limits, Toll
from ingest.rows import Row
from ingest.writer import Writer


class Visit:
    """One request at a door."""

    __slots__ = ("headers", "receive", "scope", "share")

    def __init__(self, scope: Scope, receive: Receive, share: Share) -> None:
        self.scope = scope
        self.receive = receive
        self.share = share
        self.headers: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: bytes) -> str | None:
        """A header's value; `name` in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        query: bytes = self.scope["query_string"]
        values = parse_qs(query.decode("latin-1")).get(name) if query else None
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the items of a request are, where they don't say so themselves. A bound owner has no others. One that isn't
    trusted is not believed what it says of type and severity."""

    project_id: UUID | None = None
    is_bound: bool = False
    is_trusted: bool = True

    def own(self, item: dict[str, Any]) -> dict[str, Any]:
        """The item with its project. Raises InvalidEvent for one of another project."""
        mine = None if self.project_id is None else str(self.project_id)
        named = item.get("project_id")
        if named is None:
            return item if mine is None else {**item, "project_id": mine}
        if self.is_bound and str(named).lower() != mine:
            raise InvalidEvent("project_id: the key belongs to another project.")
        return item


_TURN_SECONDS = 0.005
_MOST_PASSES = 8  # of a turn to the writer, which needs two or three to take over what is ready


class Turns:
    """Gives other requests, and the writer, their turn while many items of one are worked through."""

    __slots__ = ("_until", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._until = 0.0

    async def pass_on(self) -> None:
        """Before an item: let others have their turn where this one has lasted a few milliseconds. What another
        request has ready goes to Postgres first, so that both work at the same time."""
        if time.monotonic() < self._until:
            return
        if self._until:
            await asyncio.sleep(0)
        passes = 0
        while self._writer.is_about_to_write and passes < _MOST_PASSES:
            passes += 1
            await asyncio.sleep(0)
        self._until = time.monotonic() + _TURN_SECONDS


ANYBODY = Owner()
STRANGER = Owner(is_trusted=False)


class Admitted(NamedTuple):
    """What came in at a door for JSON."""

    items: list[Any]
    owner: Owner
    toll: Toll


@dataclass(frozen=True, slots=True)
class Gate:
    """Held by every door of the API. `counts` says what came in beside errors and executions, for `/metrics`."""

    access: Access
    writer: Writer
    room: Room
    max_body_bytes: int
    max_batch: int
    hall: Hall = field(default_factory=Hall)
    limits: Limits = field(default_factory=Limits)
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "long-events"))

    async def admit(self, visit: Visit) -> Admitted:
        """The JSON items of a request whose key may send, and whose they are. Raises Problem."""
        grant = await self.access.require(bearer(visit.header(b"authorization")), "ingest")
        owner = await self.owner(grant, visit.parameter("project"))
        body = await self.body(visit)
        items = documents(body, visit.headers.get(b"content-type", b""), self.max_batch)
        return Admitted(items, owner, self.toll(grant))

    async def row(self, raw: dict[str, Any], received_at: datetime, toll: Toll, owner: Owner) -> Row:
        """The row of an event. One that takes long is made aside, one after the other, so that it keeps nobody else
        waiting. Raises InvalidEvent."""
        try:
            return self.hall.row(raw, received_at, toll, is_trusted=owner.is_trusted, at_leisure=False)
        except TakesLong:
            make = partial(self.hall.row, raw, received_at, toll, is_trusted=owner.is_trusted)
            return await asyncio.get_running_loop().run_in_executor(self.aside, make)

    def toll(self, grant: Grant) -> Toll:
        """What a request with this key is asked for."""
        return Toll(self.limits, grant.key_id)

    async def owner(self, grant: Grant, reference: str | None) -> Owner:
        """Whose the items are. Raises Problem for a project that isn't known, or isn't the key's."""
        if reference is None and grant.project is None:
            return ANYBODY if grant.is_trusted else STRANGER
        project = await self.access.project(grant, reference)
        return Owner(project.id if project else None, grant.project is not None, grant.is_trusted)

    async def body(self, visit: Visit) -> bytes:
        """The decompressed body. Raises Problem."""
        return await read_body(visit.headers, visit.receive, self.max_body_bytes, visit.share)


Door = Callable[[Visit, Gate], Awaitable[Answer]]
