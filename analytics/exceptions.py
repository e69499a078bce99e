"""What can go wrong in the analytics package; every message says what to do."""

from ingest.exceptions import StoreUnavailable


class AnalyticsError(Exception):
    """Base of this package's errors."""


class BadRequest(AnalyticsError):
    """A reader asked for something that can't be answered; the message names the value."""


class LakeDamaged(AnalyticsError):
    """A file in the lake isn't what its name says, or can't be read."""


class NotFound(AnalyticsError):
    """What was asked for isn't there, or no longer."""


class Conflict(AnalyticsError):
    """What is to be stored contradicts what is there; the message names it."""


class LakeChanged(StoreUnavailable):
    """A file that was listed is gone: its day was sealed meanwhile. Whoever asks again gets an answer."""

    def __init__(self) -> None:
        super().__init__("The lake is being rearranged. Try again shortly.")
