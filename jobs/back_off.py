"""Growing pauses between attempts: 1, 2, 4 … 30 s, and short again after a minute of health."""

from dataclasses import dataclass

_FIRST = 1.0
_LONGEST = 30.0
_HEALTHY = 60.0


@dataclass(slots=True)
class BackOff:
    """The pauses of one thing that is kept running. Every `now` is in seconds of one monotonic clock."""

    _next: float = _FIRST
    _began_at: float = 0.0
    _due_at: float | None = None

    def began(self, now: float) -> None:
        """It runs (again)."""
        self._began_at = now
        self._due_at = None

    def died(self, now: float) -> float:
        """It ended, or didn't start; answers the seconds until the next attempt."""
        if self._due_at is None and now - self._began_at > _HEALTHY:
            self._next = _FIRST
        pause = self._next
        self._due_at = now + pause
        self._next = min(pause * 2, _LONGEST)
        return pause

    def is_waiting(self, now: float) -> bool:
        """Whether it is dead and its pause isn't over."""
        return self._due_at is not None and now < self._due_at

    def is_due(self, now: float) -> bool:
        """Whether it is dead and to be started now."""
        return self._due_at is not None and now >= self._due_at
