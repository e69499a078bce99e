"""The one readable line by which people know an error."""

from typing import Any

from ingest.models import MAX_TITLE, JsonObject

MOST_SCANNED = 1000  # characters of a text that may become the title


def title_of(metadata: JsonObject) -> str:
    """What an error is called that brings no title: its node, the exception's type and the message's first line."""
    exception = metadata.get("exception")
    kind = exception.get("type") if isinstance(exception, dict) else None
    message = metadata.get("message")
    if not isinstance(message, str) and isinstance(exception, dict):
        message = exception.get("value")
    node = metadata.get("node")
    parts = [part.strip() for part in (node, kind, message) if isinstance(part, str) and part.strip()]
    if len(parts) > 1 and parts[-1].startswith(f"{parts[-2]}:"):
        del parts[-2]  # «TypeError: TypeError: fetch failed»
    return title_line(": ".join(parts)) or "Error without a message"


def title_by_rule(given: Any, by_rule: str | None) -> str:
    """What the rule says where no title was given. It stands beside the fingerprint: a rule re-groups nothing."""
    return "" if by_rule is None or (isinstance(given, str) and given.strip()) else title_line(by_rule)


def title_line(text: str) -> str:
    """The first line of `text`, printable, with single blanks, at most 200 characters; empty for nothing readable."""
    first = next(iter(text.strip()[:MOST_SCANNED].splitlines()), "")
    if not first.isprintable():
        first = "".join(character if character.isprintable() else " " for character in first)
    if "  " in first:
        first = " ".join(first.split())
    first = first.strip()
    return first if len(first) <= MAX_TITLE else f"{first[: MAX_TITLE - 1]}…"
