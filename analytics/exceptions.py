"""What can go wrong in the analytics package; every message says what to do."""


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
