"""Titles that a rule gives: a text with names in braces, which stand for what is known of the error."""

import string
from collections.abc import Mapping

PLACEHOLDERS = ("exception", "message", "node", "node_type", "http_status", "attempt", "source", "logger")
_FORMATTER = string.Formatter()


def placeholders(template: str) -> list[str]:
    """The names in braces. Raises ValueError with a sentence where braces don't fit together."""
    try:
        parts = list(_FORMATTER.parse(template))
    except ValueError:
        raise ValueError("A brace stands alone: write {{ or }} where a brace itself is meant.") from None
    names = []
    for _, name, specification, conversion in parts:
        if name is not None:
            names.append(
                name + (f"!{conversion}" if conversion else "") + (f":{specification}" if specification else "")
            )
    return names


def filled_title(template: str, values: Mapping[str, str]) -> str | None:
    """The title; None where something that it names isn't known, so that the usual title is better."""
    pieces = []
    for text, name, _, _ in _FORMATTER.parse(template):
        pieces.append(text)
        if name is not None:
            value = values.get(name, "")
            if not value:
                return None
            pieces.append(value)
    return "".join(pieces)
