"""What can go wrong in the ingest package; every message says what to do."""


class IngestError(Exception):
    """Base of this package's errors."""


class InvalidEvent(IngestError):
    """One event can't be taken; the message names the field. Its neighbours are unaffected."""


class StoreUnavailable(IngestError):
    """Postgres can't be reached or refuses to work at the moment."""


class Unprepared(StoreUnavailable):
    """Postgres answers, and lacks our tables or the newest of them."""

    def __init__(self) -> None:
        super().__init__("This database isn't prepared for this version: run `meshhook-errors migrate`.")


class SpoolFull(IngestError):
    """Postgres is away and the disk spool has reached its limit."""


class MigrationFailed(IngestError):
    """A migration can't be applied."""


class TakesLong(Exception):
    """An event that would keep others waiting: have it made where nobody waits for it."""
