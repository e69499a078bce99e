"""Secrets that are percent-encoded, as in forms and addresses within others."""

import re
from collections.abc import Callable, Iterator
from string import punctuation
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from ingest.masking.marks import MARK

DEEPEST = 3  # an address in a form in an address
_TOKEN = re.compile(r"[^\s\"'<>\[\]{}\\]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_PUNCTUATION = frozenset(punctuation) - {"%", "+"}


def through_percent(text: str, mask: Callable[[str], str]) -> str:
    """`text` with each percent-encoded word masked as what it means; what isn't hidden stays encoded."""
    return _TOKEN.sub(lambda match: _masked(match[0], mask), text) if "%" in text or "+" in text else text


def _masked(token: str, mask: Callable[[str], str]) -> str:
    is_form = "=" in token and "+" in token
    if not is_form and not ("%" in token and _ESCAPE.search(token)):
        return token
    meant = unquote_plus(token)
    masked = mask(meant)
    return token if masked == meant else "".join(_encoded(masked, token))


def _encoded(masked: str, token: str) -> Iterator[str]:
    """As the token was written, but for the marks."""
    safe = "".join(_PUNCTUATION & set(token))
    done = 0
    for mark in MARK.finditer(masked):
        yield from (_quoted(masked[done : mark.start()], safe, token), mark[0])
        done = mark.end()
    yield _quoted(masked[done:], safe, token)


def _quoted(text: str, safe: str, token: str) -> str:
    quoted = quote(text, safe=safe, errors="replace")
    return quoted.replace("%20", "+") if "+" in token else quoted


def may_be_encoded(text: bytes) -> bool:
    """Whether something in it may be percent-encoded, or a form's blanks."""
    return b"%" in text or (b"+" in text and b"=" in text)


def meanings(encoded: bytes) -> Iterator[bytes]:
    """What a document means with its percent-encoding undone once, twice …"""
    for _ in range(DEEPEST):
        if not may_be_encoded(encoded):
            return
        meant = unquote_to_bytes(encoded.replace(b"+", b" "))
        yield meant
        encoded = meant
