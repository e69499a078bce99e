"""Request bodies: bounded in size, decompressed as they come in, and read as one or many JSON documents."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import zstandard
from pydantic_core import from_json
from starlette.types import Message, Receive

from ingest.doors.problems import Problem

Headers = Mapping[bytes, bytes]

_READ_SECONDS = 30.0
_ENCODINGS = "gzip, deflate, zstd"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in place of an item that isn't JSON."""

    reason: str


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The decompressed body. Raises Problem: 413 above `limit` bytes, 415 for an unknown encoding, 422 for broken
    compression, 408 for a sender that takes longer than 30 seconds."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await _received(receive, limit)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if encoding in ("", "identity"):
        return body
    return await asyncio.to_thread(_decompress, body, encoding, limit)


async def _received(receive: Receive, limit: int) -> bytes:
    """The body as it comes in. A small one comes in one piece and needs no clock."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] == "http.disconnect":
        try:
            async with asyncio.timeout(_READ_SECONDS):
                body = b"".join([part async for part in _parts(message, receive, limit)])
        except TimeoutError:
            raise Problem(
                408, "The body didn't arrive within 30 seconds. Send it faster or in smaller parts."
            ) from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _parts(message: Message, receive: Receive, limit: int) -> AsyncIterator[bytes]:
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Problem(400, "The connection closed before the body was complete.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        yield part
        if not message.get("more_body"):
            return
        message = await receive()


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes. Send fewer events at once.")


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _inflate(body, encoding, limit)
    if encoding == "zstd":
        try:
            with zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(body) as reader:
                text = reader.read(limit + 1)
        except zstandard.ZstdError:
            raise _broken(encoding) from None
        if len(text) > limit:
            raise _too_large(limit)
        return text
    raise Problem(415, f"Content-Encoding {encoding!r} isn't understood. Use {_ENCODINGS} or none.")


def _inflate(body: bytes, encoding: str, limit: int) -> bytes:
    # 47: gzip or zlib, by the header; raw deflate, which some clients send, has none.
    is_raw = encoding == "deflate" and body[:1] != b"\x78"
    inflater = zlib.decompressobj(-15 if is_raw else 47)
    try:
        text = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise _broken(encoding) from None
    if len(text) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise _broken(encoding)
    return text


def _broken(encoding: str) -> Problem:
    return Problem(422, f"The body isn't complete, valid {encoding}.")


def documents(body: bytes, content_type: str, most: int) -> list[Any]:
    """The items of one object, an array or NDJSON. In NDJSON a line that isn't JSON becomes Unreadable, so that it
    sinks no neighbour. Raises Problem: 422 for an empty or unreadable body, 413 above `most` items."""
    if not body.strip():
        raise Problem(422, "The body is empty. Send a JSON object, an array of objects, or one object a line.")
    if "ndjson" in content_type or "jsonl" in content_type:
        items: list[Any] = list(_lines(body))
    else:
        items = _one_document(body)
    if len(items) > most:
        raise Problem(413, f"That are {len(items)} items, more than {most}. Send fewer at once.")
    return items


def _parsed(text: bytes) -> Any:
    """The fast parser refuses what the standard one takes, such as a lone surrogate: the hall repairs those."""
    try:
        return from_json(text)
    except ValueError as error:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise error from None


def _one_document(body: bytes) -> list[Any]:
    try:
        document = _parsed(body)
    except ValueError as error:
        if body.lstrip()[:1] == b"{" and b"\n" in body.strip():
            items = list(_lines(body))
            if not all(isinstance(item, Unreadable) for item in items):
                return items
        raise Problem(422, f"The body isn't JSON: {error}.") from None
    return document if isinstance(document, list) else [document]


def _lines(body: bytes) -> Iterator[Any]:
    for line in body.splitlines():
        if line.strip():
            try:
                yield _parsed(line)
            except ValueError as error:
                yield Unreadable(f"This line isn't JSON: {error}.")
