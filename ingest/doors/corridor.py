"""Leads each request to its door, and everything else to what is behind."""

import re
from collections.abc import Collection, Mapping, Sequence

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest.doors.gate import Door, Gate, Visit
from ingest.doors.problems import Answer, Problem
from ingest.doors.room import Share

log = structlog.get_logger("doors")


class Corridor:
    """An ASGI application. `doors` take POST at one path, with or without a slash at its end; what may be read at
    those of `readable` is behind. `patterns` lead to doors that take any method."""

    def __init__(
        self,
        doors: Mapping[str, Door],
        patterns: Sequence[tuple[re.Pattern[str], Door]],
        gate: Gate,
        behind: ASGIApp,
        *,
        readable: Collection[str] = (),
    ) -> None:
        self._doors = {**doors, **{f"{path}/": door for path, door in doors.items()}}
        self._patterns = patterns
        self._readable = frozenset(readable)
        self._gate = gate
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._door(scope) if scope["type"] == "http" else None
        if door is None:
            await self._behind(scope, receive, send)
            return
        share = Share(self._gate.room)
        try:
            answer = await door(Visit(scope, receive, share), self._gate)
        except Problem as problem:
            answer = problem.answer()
        except Exception:  # the sender gets an answer, and the log the reason
            log.exception("a door failed", path=scope["path"])
            answer = Problem(500, "Something went wrong here. It is logged; send it again later.").answer()
        finally:
            share.give_back()
        if not share.has_come and answer.start["status"] >= 400:
            # The sender goes on with its body, perhaps for ever: the answer is the last word on this connection.
            answer.start["headers"].append((b"connection", b"close"))
        await send(answer.start)
        await send(answer.body)

    def _door(self, scope: Scope) -> Door | None:
        path: str = scope["path"]
        door = self._doors.get(path)
        if door is None:
            return next((door for pattern, door in self._patterns if pattern.fullmatch(path)), None)
        if scope["method"] == "POST":
            return door
        return None if path in self._readable and scope["method"] in ("GET", "HEAD") else _only_post


async def _only_post(visit: Visit, _gate: Gate) -> Answer:
    raise Problem(405, f"{visit.scope['path']} takes POST.", {"Allow": "POST"})
