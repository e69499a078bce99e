"""What an older version would have called a group, told at first: no group starts anew because we got better at it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from ingest.fingerprint import version_1
from ingest.masking import unkeyed
from ingest.models import JsonObject

_MOST_REMEMBERED = 50_000
_TOLD_FOR = timedelta(minutes=10)


class Predecessors:
    """Remembers what the groups of a project continue, and since when this process tells it."""

    def __init__(self) -> None:
        self._told: dict[tuple[str | None, str], tuple[datetime, str | None]] = {}

    def __len__(self) -> int:
        return len(self._told)

    def first(
        self, project_id: str | None, group: str, older: Callable[[], str | None], received_at: datetime
    ) -> str | None:
        """`older()` of the first event of a project's `group`, for all that come in the minutes after it; then None.

        The first one alone may come to nothing: a resend that is known, a batch or a spool that is overtaken.
        """
        seen = (project_id, group)
        known = self._told.get(seen)
        if known is not None:
            until, before = known
            return before if received_at < until else None
        if len(self._told) >= _MOST_REMEMBERED:  # told once more it does no harm
            for forgotten in list(self._told)[: _MOST_REMEMBERED // 2]:
                self._told.pop(forgotten, None)
        before = older()
        self._told[seen] = (received_at + _TOLD_FOR, before)
        return before

    def forget(self, project_id: str | None, group: str) -> None:
        """What was told of `group` is not kept: tell it of the next one."""
        self._told.pop((project_id, group), None)


def previous(source: str, metadata: JsonObject, title: str) -> str:
    """The group that the version before today's gave an error. What was masked had no hash in those days."""
    older = dict(metadata)
    message, exception = metadata.get("message"), metadata.get("exception")
    if isinstance(message, str):
        older["message"] = unkeyed(message)
    if isinstance(exception, dict) and isinstance(value := exception.get("value"), str):
        older["exception"] = exception | {"value": unkeyed(value)}
    return version_1.fingerprint(source, older, unkeyed(title))
