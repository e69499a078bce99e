"""How many events a key, and a project, may send with their details; what is above that is counted and answered 429.

A limit is a bucket of as many tokens as it allows in a minute, which fills up steadily: a burst of one minute's worth
is let through, and after it the limit's rate. Each process of the API has buckets of its own.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)
_MOST_BUCKETS = 10_000
_Owner = TypeVar("_Owner")


@dataclass(frozen=True, slots=True)
class LimitsOfTheirOwn:
    """Events per minute of the keys and projects that have a limit of their own."""

    keys: Mapping[UUID, int] = field(default_factory=dict)
    projects: Mapping[str | None, int] = field(default_factory=dict)


def read_limits(connection: Connection) -> LimitsOfTheirOwn:
    """As Postgres has them."""
    return LimitsOfTheirOwn(
        dict(connection.execute(_SQL["limits_of_keys"]).fetchall()),
        dict(connection.execute(_SQL["limits_of_projects"]).fetchall()),
    )


class _Bucket:
    __slots__ = ("filled_at", "per_minute", "tokens")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self.tokens = float(per_minute)
        self.filled_at = now

    def take(self, now: float) -> float:
        """Take a token; answers the seconds until there is one again where there is none."""
        self.tokens = min(self.per_minute, self.tokens + (now - self.filled_at) * self.per_minute / 60)
        self.filled_at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) * 60 / self.per_minute


class Limits:
    """The buckets of one process; for one thread. `per_key` and `per_project` hold where there is no limit of its own;
    0 is no limit."""

    def __init__(self, per_key: int = 0, per_project: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_key = per_key
        self._per_project = per_project
        self._clock = clock
        self._own = LimitsOfTheirOwn()
        # Apart, because events may name any project: whoever makes us forget projects must not refill a key's bucket.
        self._of_keys: dict[UUID | None, _Bucket] = {}
        self._of_projects: dict[str | None, _Bucket] = {}

    def replace(self, own: LimitsOfTheirOwn) -> None:
        """Take over limits that have changed."""
        self._own = own

    def take(self, key_id: UUID | None, project_id: str | None) -> float:
        """Count one event; answers 0, or the seconds to wait where it is one too many."""
        own = self._own
        of_key = own.keys.get(key_id, self._per_key) if key_id is not None else self._per_key
        of_project = own.projects.get(project_id, self._per_project)
        wait = _take(self._of_keys, key_id, of_key, self._clock()) if of_key else 0.0
        return wait or (_take(self._of_projects, project_id, of_project, self._clock()) if of_project else 0.0)


def _take(buckets: dict[_Owner, _Bucket], owner: _Owner, per_minute: int, now: float) -> float:
    bucket = buckets.get(owner)
    if bucket is None or bucket.per_minute != per_minute:
        if len(buckets) >= _MOST_BUCKETS:
            buckets.clear()
        bucket = buckets[owner] = _Bucket(per_minute, now)
    return bucket.take(now)


class Toll:
    """What one request is asked for: which of its events may bring their details."""

    __slots__ = ("_key_id", "_limits", "over", "wait")

    def __init__(self, limits: Limits, key_id: UUID | None) -> None:
        self._limits = limits
        self._key_id = key_id
        self.over = 0
        self.wait = 0.0

    def admits(self, project_id: str | None) -> bool:
        """Whether the next event, of this project, is within the limits."""
        wait = self._limits.take(self._key_id, project_id)
        if wait:
            self.over += 1
            self.wait = max(self.wait, wait)
        return not wait

    @property
    def retry_after(self) -> int:
        """Whole seconds after which there is room again."""
        return max(1, math.ceil(self.wait))
