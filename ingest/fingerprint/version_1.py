"""Version 1, kept as it was: groups that it made are continued by those of the version after it.

It must never change, not even for the better. With in-app frames: the exception's type and the functions it went
through (no line numbers, recursion folded); without, the exception's type and its message with all that varies
replaced. The source and the workflow's node count in both.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from ingest.models import JsonObject

VERSION = 1
_MOST_FRAMES = 30

_VARYING = (
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]{1,512}", re.IGNORECASE), "<url>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b"), "<address>"),
    (re.compile(r"\"[^\"]{0,256}\"|'[^']{0,256}'|`[^`]{0,256}`"), "<value>"),
    (re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][\w.@+-]{1,128}){2,32}"), "<path>"),
    (re.compile(r"\b0x[0-9a-f]{1,32}\b|\b(?=[0-9a-f]{0,63}\d)[0-9a-f]{8,64}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+"), "<n>"),
)
# «HTTP 502» and «code 23505» name the cause: their numbers stay.
_TELLING_NUMBER = re.compile(r"\b(HTTP|status(?: code)?|code|errno|SQLSTATE)([ :=]{1,3})(\d{1,5})\b", re.IGNORECASE)
_BUNDLE_HASH = re.compile(r"[.-][0-9a-f]{6,32}(?=\.(?:m?js|css|ts)$)", re.IGNORECASE)
_LAMBDA_NUMBER = re.compile(r"\d+")


@lru_cache(maxsize=4096)
def template(message: str) -> str:
    """The first 500 characters of a message with all that varies replaced by placeholders."""
    text = _TELLING_NUMBER.sub(lambda match: f"{match[1]}{match[2]}{_letters(match[3])}", message[:500])
    for expression, placeholder in _VARYING:
        text = expression.sub(placeholder, text)
    return " ".join(text.split())


def _letters(digits: str) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in digits)


def fingerprint(source: str, metadata: JsonObject, title: str) -> str:
    """The group that an error belongs to, such as `1-9f86d081884c7d65`."""
    exception = metadata.get("exception")
    if not isinstance(exception, dict):
        exception = {}
    kind = f"{_name(exception.get('module'))}.{_name(exception.get('type'))}"
    where = (source, _name(metadata.get("node")), kind)
    path = _path(metadata.get("frames"))
    if path:
        return _of_frames(where, path)
    message = metadata.get("message")
    if not isinstance(message, str):
        message = exception.get("value")
    return _of_message(where, message if isinstance(message, str) else title)


@lru_cache(maxsize=8192)
def _of_frames(where: tuple[str, ...], path: tuple[tuple[str, str], ...]) -> str:
    steps: list[str] = []
    for file, function in path:
        name = _BUNDLE_HASH.sub("", file.replace("\\", "/").rpartition("/")[2])
        step = f"{name}:{_LAMBDA_NUMBER.sub('', function)}"
        if step not in steps[-3:]:  # recursion, also through a helper or two
            steps.append(step)
    return f"{VERSION}-{_digest(chr(10).join((*where, *steps)))}"


def _of_message(where: tuple[str, ...], message: str) -> str:
    return f"{VERSION}-{_digest(chr(10).join((*where, template(message))))}"


def _path(frames: Any) -> tuple[tuple[str, str], ...]:
    """File and function of the in-app frames, of all where none is marked so."""
    if not isinstance(frames, list):
        return ()
    ours: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for frame in frames[-_MOST_FRAMES:]:
        if isinstance(frame, dict):
            get = frame.get
            file, function = get("file"), get("function")
            step = (file if type(file) is str else "", function if type(function) is str else "")
            (ours if get("in_app") else others).append(step)
    return tuple(ours or others)


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
