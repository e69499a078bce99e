"""Who may do what over HTTP: the role of an API key, remembered for some seconds.

A key that was good stays good while Postgres is away, so that capture goes on; an unknown one can't be checked then.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import structlog

from ingest.database import Connection, connect
from ingest.doors.problems import Problem
from ingest.exceptions import StoreUnavailable
from ingest.keys import find_role

Role = str
_FRESH_SECONDS = 10.0
_PATIENCE_SECONDS = 2.0
_MOST_REMEMBERED = 10_000
# What each role may do beside its own name.
_GRANTS = {"ingest": {"ingest"}, "read": {"read"}, "admin": {"ingest", "read", "admin"}}

log = structlog.get_logger("access")


class Access:
    """Checks keys. Safe for many threads."""

    def __init__(self, database_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = database_url
        self._clock = clock
        self._known: dict[str, tuple[Role | None, float]] = {}
        self._connection: Connection | None = None
        self._looking_up = threading.Lock()
        # A thread of its own: where Postgres hangs, those of asyncio must stay free for the spool.
        self._looker = ThreadPoolExecutor(1, "access")

    async def require(self, key: str | None, wanted: Role) -> None:
        """Raises Problem: 401 without a valid key, 403 with one of another role, 503 when it can't be checked."""
        if key is None:
            raise _unauthorised("Send a key: Authorization: Bearer mh_…")
        remembered = self._known.get(key)
        if remembered is None or remembered[1] < self._clock():
            role = await self._look_up_soon(key)
        else:
            role = remembered[0]
        _check(role, wanted)

    async def _look_up_soon(self, key: str) -> Role | None:
        looking_up = asyncio.get_running_loop().run_in_executor(self._looker, self._look_up, key)
        try:
            return await asyncio.wait_for(looking_up, _PATIENCE_SECONDS)
        except TimeoutError:
            return self._recall(key)

    def _recall(self, key: str) -> Role:
        """What the key was good for, for another while. Raises Problem where that isn't known."""
        role, _ = self._known.get(key, (None, 0.0))
        if role is None:
            raise Problem(503, "Keys can't be checked: Postgres is away.", {"Retry-After": "2"})
        self._known[key] = (role, self._clock() + _FRESH_SECONDS)
        return role

    def require_now(self, key: str | None, wanted: Role) -> None:
        """The same for a caller that may block."""
        if key is None:
            raise _unauthorised("Send a key: Authorization: Bearer mh_…")
        _check(self._look_up(key), wanted)

    def _look_up(self, key: str) -> Role | None:
        with self._looking_up:
            role, fresh_until = self._known.get(key, (None, 0.0))
            if fresh_until >= self._clock():
                return role
            try:
                role = self._ask(key)
            except (StoreUnavailable, psycopg.Error):
                self._connection = None
                return self._recall(key)
            if len(self._known) >= _MOST_REMEMBERED:
                # Whoever tries keys must not make us forget the good ones: they are needed while Postgres is away.
                self._known = {known: value for known, value in self._known.items() if value[0] is not None}
            self._known[key] = (role, self._clock() + _FRESH_SECONDS)
            return role

    def _ask(self, key: str) -> Role | None:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, "access")
        return find_role(self._connection, key)


def bearer(header: str | None) -> str | None:
    """The key of an Authorization header."""
    if header is None:
        return None
    scheme, _, key = header.partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _check(role: Role | None, wanted: Role) -> None:
    if role is None:
        raise _unauthorised("This key isn't known or was revoked. `meshhook-errors keys list` shows the valid ones.")
    if wanted not in _GRANTS.get(role, ()):
        raise Problem(403, f"A key of role {role!r} may not do this: it takes {wanted!r} or admin.")


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, {"WWW-Authenticate": "Bearer"})
