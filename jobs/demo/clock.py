"""The script's time: it passes `speed` times as fast as the wall clock's."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Times and spans of the script are in seconds."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._zero = time.monotonic()
        self._began = datetime.now(UTC)

    def start(self) -> None:
        """The script begins now."""
        self._zero = time.monotonic()
        self._began = datetime.now(UTC)

    def now(self) -> float:
        return (time.monotonic() - self._zero) * self.speed

    def real(self, seconds: float) -> float:
        """How many real seconds a span of the script takes."""
        return seconds / self.speed

    def at(self, second: float) -> datetime:
        """When a moment of the script is."""
        return self._began + timedelta(seconds=self.real(second))
