"""Request bodies: bounded in size and time, taken in as they come."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.types import Message, Receive

from ingest.doors.decompression import decompressed
from ingest.doors.problems import Problem
from ingest.doors.room import Share

Headers = Mapping[bytes, bytes]

_READ_SECONDS = 30.0


async def read_body(headers: Headers, receive: Receive, limit: int, share: Share) -> bytes:
    """The decompressed body. Raises Problem: 413 above `limit` bytes, 415 for an unknown encoding, 422 for broken
    compression, 408 for a sender that takes longer than 30 seconds, 429 where there is no room for it now."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await _received(receive, limit, share)
    share.has_come = True
    encoding = headers.get(b"content-encoding")
    if not encoding or encoding == b"identity":
        return body
    name = encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return body
    plain = await asyncio.to_thread(decompressed, body, name, limit)
    share.take(len(plain))
    return plain


async def _received(receive: Receive, limit: int, share: Share) -> bytes:
    """The body as it comes in. A small one comes in one piece and needs no clock."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] == "http.disconnect":
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return b"".join([part async for part in _parts(message, receive, limit, share)])
        except TimeoutError:
            raise Problem(
                408, f"The body didn't arrive within {_READ_SECONDS:.0f} seconds. Send it faster or in smaller parts."
            ) from None
    if len(body) > limit:
        raise _too_large(limit)
    share.take(len(body))
    return body


async def _parts(message: Message, receive: Receive, limit: int, share: Share) -> AsyncIterator[bytes]:
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Problem(400, "The connection closed before the body was complete.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        share.take(len(part))
        yield part
        if not message.get("more_body"):
            return
        message = await receive()


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes. Send less at once.")
