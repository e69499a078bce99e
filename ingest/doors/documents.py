"""A body as JSON items: one object, an array, or one object a line. What can't be read sinks no neighbour."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic_core import from_json

from ingest.doors.problems import Problem

MOST_VALUES = 1_000_000
_LARGE = 1_000_000  # bytes, from which values are counted before they are made
_MOST_TOKENS = 200_000  # brackets and texts that are looked at to find the bad element of an array
_LONGEST_NUMBER = 400  # digits; a longer one is kept as text
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)
_NDJSON_HINT = "For one object a line send Content-Type: application/x-ndjson (with curl: --data-binary @FILE)."


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in place of an item that can't be read."""

    reason: str


def documents(body: bytes, content_type: bytes, most: int) -> list[Any]:
    """The items of a body. Raises Problem: 422 for an empty or unreadable one, 413 above `most` items."""
    if not body or body.isspace():
        raise Problem(422, "The body is empty. Send a JSON object, an array of objects, or one object a line.")
    check_values(body)
    if b"ndjson" in content_type or b"jsonl" in content_type:
        items: list[Any] = list(_lines(body))
    else:
        items = _one_document(body)
    if len(items) > most:
        raise Problem(413, f"{len(items)} items are more than {most}. Send fewer at once.")
    return items


def check_values(body: bytes) -> None:
    """Raises Problem 413 for a small text that would fill the memory with values."""
    if len(body) > _LARGE and sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise Problem(413, f"The body holds more than {MOST_VALUES} values. Send less at once.")


def parsed(text: bytes) -> Any:
    """The fast parser refuses what the standard one takes, such as a lone surrogate: the hall repairs those. Raises
    ValueError."""
    try:
        return from_json(text)
    except ValueError as error:
        try:
            return json.loads(text, parse_int=_whole)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
        except ValueError:
            raise error from None


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _one_document(body: bytes) -> list[Any]:
    try:
        document = parsed(body)
    except ValueError as error:
        if b"\n" in body.strip():
            items = list(_lines(body))
            if any(isinstance(item, dict) for item in items):
                return items
        if elements := _elements(body):
            return list(map(_item, elements))
        hint = f" {_NDJSON_HINT}" if "trailing" in str(error) else ""
        raise Problem(422, f"The body can't be read as JSON: {error}.{hint}") from None
    return document if isinstance(document, list) else [document]


def _lines(body: bytes) -> Iterator[Any]:
    return (_item(line) for line in body.splitlines() if line.strip())


def _item(text: bytes) -> Any:
    try:
        return parsed(text)
    except ValueError as error:
        return Unreadable(f"This can't be read as JSON: {error}.")


def _elements(body: bytes) -> list[bytes]:
    """The texts of an array's elements, where its brackets are in order; else nothing."""
    text = body.strip()
    if text[:1] != b"[" or text[-1:] != b"]":
        return []
    depth, start, elements = 0, 1, []
    for token in islice(_TOKEN.finditer(text), _MOST_TOKENS):
        mark = token[0]
        depth += (mark in b"[{") - (mark in b"]}") if len(mark) == 1 else 0
        if depth == 0 and token.end() < len(text):
            return []
        if (depth == 1 and mark == b",") or depth == 0:
            elements.append(text[start : token.start()])
            start = token.end()
    return [] if depth else elements
