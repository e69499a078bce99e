"""What every channel's transport has in common: how it is called, and how it tells what went wrong."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from jobs.delivery.message import Message
from jobs.exceptions import JobError

TIMEOUT_SECONDS = 10


class PassingFailure(JobError):
    """It may work later: a time-out, an overloaded or absent server."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class PermanentFailure(JobError):
    """It will never work this way: a revoked webhook, an address that doesn't exist."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A channel with its secret in the clear. `dedup_key` is the same for every attempt of one notification."""

    name: str
    settings: dict[str, Any]
    secret: str | None
    dedup_key: str


class Transport(ABC):
    """One kind of channel."""

    @abstractmethod
    def send(self, message: Message, to: Destination) -> str:
        """Deliver, and answer a short note for the log of attempts. Raises PassingFailure or PermanentFailure, neither
        with a secret in its text."""
