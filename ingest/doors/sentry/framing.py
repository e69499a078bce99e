"""The envelope: a line of JSON headers, then items, each a line of headers and a payload.

{"event_id": "…", "dsn": "…", "sent_at": "…"}
{"type": "event", "length": 1234}
…1234 bytes, or without `length` everything up to the end of the line…
"""

from dataclasses import dataclass
from typing import NamedTuple

from pydantic_core import from_json

from ingest.exceptions import InvalidEvent
from ingest.models import JsonObject

MOST_ITEMS = 1_000
_LONGEST_HEADER = 64 * 1024


class Item(NamedTuple):
    """One item; `payload` isn't parsed yet."""

    kind: str
    headers: JsonObject
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """`damage` says why reading stopped early; the items before it are whole."""

    headers: JsonObject
    items: list[Item]
    damage: str | None = None


def read_envelope(body: bytes) -> Envelope:
    """Raises InvalidEvent where not even the envelope's headers can be read."""
    line, position = _line(body, 0)
    headers = _headers(line, "The envelope's first line")
    items: list[Item] = []
    while position < len(body):
        if body[position] in b"\r\n":  # empty lines between items are tolerated
            position += 1
            continue
        if len(items) == MOST_ITEMS:
            return Envelope(headers, items, f"An envelope has at most {MOST_ITEMS} items.")
        try:
            item, position = _item(body, position, len(items))
        except InvalidEvent as error:
            return Envelope(headers, items, str(error))
        items.append(item)
    return Envelope(headers, items)


def _item(body: bytes, position: int, number: int) -> tuple[Item, int]:
    line, start = _line(body, position)
    headers = _headers(line, f"The headers of item {number}")
    kind = headers.get("type")
    if not isinstance(kind, str):
        raise InvalidEvent(f"The headers of item {number} name no type.")
    length = headers.get("length")
    if length is None:
        payload, end = _line(body, start)
        return Item(kind, headers, payload), end
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise InvalidEvent(f"The length of item {number} is no number of bytes.")
    if start + length > len(body):
        raise InvalidEvent(f"Item {number} is cut off: its headers promise {length} bytes.")
    return Item(kind, headers, body[start : start + length]), start + length


def _line(body: bytes, start: int) -> tuple[bytes, int]:
    end = body.find(b"\n", start)
    return (body[start:], len(body)) if end < 0 else (body[start:end], end + 1)


def _headers(line: bytes, what: str) -> JsonObject:
    if len(line) > _LONGEST_HEADER:
        raise InvalidEvent(f"{what} is longer than {_LONGEST_HEADER} bytes.")
    try:
        headers = from_json(line)
    except ValueError as error:
        raise InvalidEvent(f"{what} isn't JSON: {error}.") from None
    if not isinstance(headers, dict):
        raise InvalidEvent(f"{what} is no JSON object.")
    return headers
