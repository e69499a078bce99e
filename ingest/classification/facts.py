"""What the rules look at."""

from collections.abc import Collection
from typing import Any, NamedTuple

from ingest.models import JsonObject

LONGEST_TEXT = 1000  # characters of a message that are searched
_LONGEST_NAME = 200
_MOST_TAGS = 20
_MOST_CAUSES, _LONGEST_CAUSE = 3, 300

Tags = tuple[tuple[str, str], ...]


class Facts(NamedTuple):
    """What is known of an error, for the rules; hashable, so that repeating errors are decided once. A text that is
    missing is empty; `value` is the exception's message, empty too where it is the same as `message`; `causes` are
    name and message of the exceptions that led to it."""

    source: str
    exception: str = ""
    module: str = ""
    message: str = ""
    value: str = ""
    http_status: int | None = None
    node: str = ""
    node_type: str = ""
    attempt: int | None = None
    max_attempts: int | None = None
    handled: bool | None = None
    logger: str = ""
    tags: Tags = ()
    causes: tuple[tuple[str, str], ...] = ()


def facts_of(source: str, metadata: JsonObject, tag_names: Collection[str] | None = None) -> Facts:
    """Pick the facts out of well-known metadata; what has another type than expected counts as missing. Of the tags
    those that `tag_names` names: a tag that no rule asks for makes no error a new one."""
    get = metadata.get
    exception = get("exception")
    name, module, value = "", "", None
    if isinstance(exception, dict):
        name, module, value = _text(exception.get("type")), _text(exception.get("module")), exception.get("value")
    message = get("message")
    message = message[:LONGEST_TEXT] if isinstance(message, str) else ""
    value = value[:LONGEST_TEXT] if isinstance(value, str) else ""
    if value == message:
        value = ""
    handled = get("handled")
    tags, causes = get("tags"), get("causes")
    return Facts(
        source,
        name,
        module,
        message,
        value,
        _whole(get("http_status")),
        _text(get("node")),
        _text(get("node_type")),
        _whole(get("attempt")),
        _whole(get("max_attempts")),
        handled if isinstance(handled, bool) else None,
        _text(get("logger")),
        _tags(tags, tag_names) if tags and isinstance(tags, dict) else (),
        _causes(causes) if causes and isinstance(causes, list) else (),
    )


def _text(value: Any) -> str:
    return value[:_LONGEST_NAME] if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def _tags(tags: JsonObject, names: Collection[str] | None) -> Tags:
    found = []
    for name, value in tags.items():
        if (names is None or name in names) and isinstance(value, str | int | float):
            found.append((name[:_LONGEST_NAME], str(value)[:_LONGEST_NAME]))
            if len(found) == _MOST_TAGS:
                break
    return tuple(sorted(found))


def _causes(causes: list[Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for cause in causes[:_MOST_CAUSES]:
        if isinstance(cause, dict):
            parts = (_text(cause.get(name)) for name in ("module", "type"))
            value = cause.get("value")
            text = value[:_LONGEST_CAUSE] if isinstance(value, str) else ""
            found.append((".".join(part for part in parts if part), text))
    return tuple(found)
