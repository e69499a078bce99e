"""In a flood the details of a group's first errors say all there is to say: later ones of the same minute are counted.

The minute is that of the error, not of its receipt, so that errors which come late, or from a spool, are kept as they
would have been at the time.
"""

from ingest.models import ErrorEvent

DETAILS_PER_MINUTE = 1_000
_MOST_REMEMBERED = 100_000


class Sampler:
    """Counts the errors of each project, group and minute in one process."""

    def __init__(self, details_per_minute: int = DETAILS_PER_MINUTE) -> None:
        self._most = details_per_minute
        self._seen: dict[tuple[str | None, str, int], int] = {}

    def keeps_details(self, event: ErrorEvent) -> bool:
        """Whether `event` is among the first of its group and minute."""
        minute = int(event.timestamp.timestamp()) // 60
        series = (event.project_id, event.fingerprint, minute)
        number = self._seen.get(series, 0)
        if number == 0 and len(self._seen) >= _MOST_REMEMBERED:
            self._forget()
        self._seen[series] = number + 1
        return number < self._most

    def _forget(self) -> None:
        """The half that was seen first: minutes pass, so those are mostly over."""
        for series in list(self._seen)[: _MOST_REMEMBERED // 2]:
            del self._seen[series]
