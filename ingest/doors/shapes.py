"""Values as they come from programs of every kind and age: what has another type than expected counts as missing."""

from collections.abc import Iterator
from typing import Any

from ingest.models import JsonObject

_WORDS_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=%@:"


def text(value: Any) -> str | None:
    """A text that says something; numbers as text."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def start_of(text: str, most: int) -> str:
    """At most `most` characters, without a word that is cut in two: masking knows a token, and not the half of one."""
    if len(text) <= most:
        return text
    start = text[:most]
    return start.rstrip(_WORDS_LETTERS) if text[most] in _WORDS_LETTERS else start


def record(value: Any) -> JsonObject:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def records(value: Any) -> list[JsonObject]:
    """The objects of a list, of `{"values": […]}`, or of a single object; gaps are left out."""
    if isinstance(value, dict):
        inner = value.get("values")
        value = inner if isinstance(inner, list) else [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """The entries of an object, of a list of pairs, or of a list of `{"key", "value"}`."""
    if isinstance(value, dict):
        yield from ((str(name), item) for name, item in value.items())
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, list) and len(entry) == 2:
                name, item = text(entry[0]), entry[1]
            elif isinstance(entry, dict):
                name, item = text(entry.get("key")), entry.get("value")
            else:
                continue
            if name is not None:
                yield name, item
