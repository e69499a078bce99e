"""What an older version would have called a group, told once: so no group starts anew because we got better at it."""

from collections.abc import Callable

from ingest.fingerprint import version_1
from ingest.masking import unkeyed
from ingest.models import JsonObject

_MOST_REMEMBERED = 50_000


class Predecessors:
    """Remembers which groups of a project this process has told of."""

    def __init__(self) -> None:
        self._told: dict[tuple[str | None, str], None] = {}

    def __len__(self) -> int:
        return len(self._told)

    def first(self, project_id: str | None, group: str, older: Callable[[], str | None]) -> str | None:
        """`older()` at the first sight of a project's `group`, afterwards None."""
        seen = (project_id, group)
        if seen in self._told:
            return None
        if len(self._told) >= _MOST_REMEMBERED:  # told once more it does no harm
            for forgotten in list(self._told)[: _MOST_REMEMBERED // 2]:
                self._told.pop(forgotten, None)
        self._told[seen] = None
        return older()

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
