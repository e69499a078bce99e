"""Compressed bodies, bounded: whole or refused, with all of their members, and never larger than the limit."""

import zlib
from collections.abc import Callable, Iterator

import brotli
import zstandard

from ingest.doors.problems import Problem

ENCODINGS = "gzip, deflate, br or zstd"
_GZIP = b"\x1f\x8b"
_LARGEST_WINDOW = 2**23
_MOST_MEMBERS = 100  # each copies what comes after it
_ZSTD_PIECE = 512  # a piece this small grows by at most some megabytes before the limit is looked at again


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """Raises Problem: 413 above `limit` bytes, 415 for an unknown encoding, 422 for a body that isn't whole."""
    reader = _READERS.get(encoding)
    if reader is None:
        raise Problem(415, f"Content-Encoding {encoding[:40]!r} isn't understood. Use {ENCODINGS}, or none.")
    parts: list[bytes] = []
    size = 0
    try:
        for part in reader(body, limit):
            size += len(part)
            if size > limit:
                raise Problem(413, f"The body is larger than {limit} bytes. Send fewer events at once.")
            parts.append(part)
    except (zlib.error, zstandard.ZstdError, brotli.error, EOFError):
        raise Problem(422, f"The body isn't complete, valid {encoding}.") from None
    return b"".join(parts)


def _members() -> Iterator[int]:
    """As many turns as a body may have members, and no more."""
    yield from range(_MOST_MEMBERS)
    raise EOFError


def _gunzipped(body: bytes, limit: int) -> Iterator[bytes]:
    for _ in _members():
        if not body:
            return
        inflater = zlib.decompressobj(31)
        yield inflater.decompress(body, limit + 1)
        if not inflater.eof:
            raise EOFError
        body = inflater.unused_data.lstrip(b"\0")  # members may be padded


def _inflated(body: bytes, limit: int) -> Iterator[bytes]:
    """The header tells zlib from gzip; raw deflate, which some clients send, has none."""
    if body.startswith(_GZIP):
        yield from _gunzipped(body, limit)
        return
    inflater = zlib.decompressobj(15 if body[:1] == b"\x78" else -15)
    yield inflater.decompress(body, limit + 1)
    if not inflater.eof or inflater.unused_data:
        raise EOFError


def _unzstd(body: bytes, _limit: int) -> Iterator[bytes]:
    for _ in _members():
        if not body:
            return
        frame = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
        position = 0
        while position < len(body) and not frame.eof:
            yield frame.decompress(body[position : position + _ZSTD_PIECE])
            position += _ZSTD_PIECE
        if not frame.eof:
            raise EOFError
        body = frame.unused_data + body[position:]


def _unbrotlied(body: bytes, limit: int) -> Iterator[bytes]:
    decompressor = brotli.Decompressor()
    yield decompressor.process(body, output_buffer_limit=limit)
    while not decompressor.is_finished():
        part = decompressor.process(b"", output_buffer_limit=limit)
        if not part and decompressor.can_accept_more_data():
            raise EOFError
        yield part


_READERS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _inflated,
    "zstd": _unzstd,
    "br": _unbrotlied,
}
