"""Who may do what over HTTP: what an API key grants and which project a number names, remembered for some seconds.

A key that was good stays good while Postgres is away, so that capture goes on; an unknown one can't be checked then.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Generic, TypeVar

import psycopg
import structlog

from ingest.database import Connection, connect
from ingest.doors.problems import Problem
from ingest.exceptions import StoreUnavailable, Unprepared
from ingest.keys import Grant, Role, find_grant
from ingest.projects import Project, UnknownProject, find_project, project_of

_FRESH_SECONDS = 10.0
_PATIENCE_SECONDS = 2.0
_MOST_REMEMBERED = 10_000
# What each role may do beside its own name.
_GRANTS: dict[str, set[str]] = {"ingest": {"ingest"}, "read": {"read"}, "admin": {"ingest", "read", "admin"}}

log = structlog.get_logger("access")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Memory(Generic[_Key, _Value]):
    """Answers of the database, asked for again after some seconds; an old one is better than none while it is away."""

    def __init__(self, ask: Callable[[_Key], _Value | None], clock: Callable[[], float], looker: Executor) -> None:
        self._ask = ask
        self._clock = clock
        self._looker = looker
        self._known: dict[_Key, tuple[_Value | None, float]] = {}
        self._looking_up = threading.Lock()

    async def get(self, key: _Key) -> _Value | None:
        """The answer, without blocking. Raises Problem 503 where none is known and the database is away or hangs."""
        known = self._known.get(key)
        if known is not None and known[1] >= self._clock():
            return known[0]
        looking_up = asyncio.get_running_loop().run_in_executor(self._looker, self.look_up, key)
        try:
            return await asyncio.wait_for(looking_up, _PATIENCE_SECONDS)
        except TimeoutError:
            return self._recall(key)

    def look_up(self, key: _Key) -> _Value | None:
        """The same for a caller that may block."""
        with self._looking_up:
            value, fresh_until = self._known.get(key, (None, 0.0))
            if fresh_until >= self._clock():
                return value
            try:
                value = self._ask(key)
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                raise Problem(503, str(Unprepared()), {"Retry-After": "10"}) from None
            except (StoreUnavailable, psycopg.Error):
                return self._recall(key)
            if len(self._known) >= _MOST_REMEMBERED:
                # Whoever tries keys must not make us forget the good ones: they are needed while Postgres is away.
                self._known = {known: found for known, found in self._known.items() if found[0] is not None}
            self._known[key] = (value, self._clock() + _FRESH_SECONDS)
            return value

    def _recall(self, key: _Key) -> _Value:
        """What was known last, for another while."""
        value, _ = self._known.get(key, (None, 0.0))
        if value is None:
            raise Problem(503, "Keys can't be checked: Postgres is away.", {"Retry-After": "2"})
        self._known[key] = (value, self._clock() + _FRESH_SECONDS)
        return value


class Access:
    """Checks keys and projects. Safe for many threads."""

    def __init__(self, database_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = database_url
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        # A thread of its own: where Postgres hangs, those of asyncio must stay free for the spool.
        looker = ThreadPoolExecutor(1, "access")
        self._grants = _Memory(self._find_grant, clock, looker)
        self._projects = _Memory(self._find_project, clock, looker)

    async def require(self, key: str | None, wanted: Role) -> Grant:
        """Raises Problem: 401 without a valid key, 403 with one of another role, 503 when it can't be checked."""
        if key is None:
            raise _unauthorised("Send a key: Authorization: Bearer mh_…")
        return _checked(await self._grants.get(key), wanted)

    def require_now(self, key: str | None, wanted: Role) -> Grant:
        """The same for a caller that may block."""
        if key is None:
            raise _unauthorised("Send a key: Authorization: Bearer mh_…")
        return _checked(self._grants.look_up(key), wanted)

    async def project(self, grant: Grant, reference: str | None) -> Project | None:
        """The project that a request is about: the one it names, else the key's own. Raises Problem: 404 for a number
        that none has, 403 for one that isn't the key's."""
        if reference is None:
            return grant.project
        try:
            named = project_of(reference)
        except UnknownProject as error:
            raise Problem(404, str(error)) from None
        if isinstance(named, int):
            found = await self._projects.get(named)
            if found is None:
                raise Problem(404, str(UnknownProject(reference)))
            named = found
        if grant.project is not None and grant.project.id != named.id:
            raise Problem(403, f"This key belongs to project {grant.project.reference} and takes nothing for another.")
        return named

    def _find_grant(self, key: str) -> Grant | None:
        return self._asked(lambda connection: find_grant(connection, key))

    def _find_project(self, number: int) -> Project | None:
        try:
            return self._asked(lambda connection: find_project(connection, number))
        except UnknownProject:
            return None

    def _asked(self, question: Callable[[Connection], _Value]) -> _Value:
        with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._url, "access")
            try:
                return question(self._connection)
            except psycopg.Error:
                self._connection.close()
                raise


def bearer(header: str | None) -> str | None:
    """The key of an Authorization header."""
    if header is None:
        return None
    scheme, _, key = header.partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _checked(grant: Grant | None, wanted: Role) -> Grant:
    if grant is None:
        raise _unauthorised("This key isn't known or was revoked. `meshhook-errors keys list` shows the valid ones.")
    if wanted not in _GRANTS.get(grant.role, ()):
        needed = wanted if wanted == "admin" else f"{wanted} or admin"
        raise Problem(403, f"A key of role {grant.role} may not do this: it takes one of role {needed}.")
    return grant


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, {"WWW-Authenticate": "Bearer"})
