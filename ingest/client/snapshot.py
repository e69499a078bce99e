"""What is kept of an error: taken on the caller's thread in microseconds, written out later in the background.

A snapshot holds code objects, line numbers and plain values, never frames or the caller's own objects. So no local
variable is kept alive or sent, nothing changes after the capture, and no code of the caller runs on another thread.
"""

import os
import time
from collections.abc import Iterable
from math import isfinite
from types import CodeType, TracebackType
from typing import Any, NamedTuple

_MOST_FRAMES = 100
_MOST_CAUSES = 5
_LONGEST_TEXT = 8_000
_MOST_CHARACTERS = 64_000  # of all context values together; the server keeps 256 KB of an event
_DEEPEST = 6
_VALUE_COST = 8
_CUT = "…"
_WORDS_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~+/=%@:"

Step = tuple[CodeType, int, object]  # one call: its code, the line that it had reached, its module's name


class Raised(NamedTuple):
    """One exception of a chain; `relation` to the one before it is cause, context or member (of a group)."""

    relation: str
    kind: type[BaseException]
    text: str
    steps: list[Step]


class Snapshot(NamedTuple):
    """One captured error, before it is written out."""

    error_id: str
    at: float  # epoch seconds
    chain: list[Raised]  # the exception itself, then what led to it
    message: str | None
    context: dict[str, Any]  # plain values only


def take(exception: BaseException | None, message: str | None, context: dict[str, Any]) -> Snapshot:
    """Called on the caller's thread: nothing here may be slow."""
    now = time.time()
    chain = [] if exception is None else _chain(exception)
    return Snapshot(new_id(now), now, chain, message, plain_values(context) if context else context)


def new_id(now: float) -> str:
    """A UUID version 7 as text. The system's random bytes, because a forked child must not repeat its parent's."""
    random = os.urandom(10)
    head = int(now * 1000).to_bytes(6, "big")
    value = (head + bytes((0x70 | random[0] & 0x0F, random[1], 0x80 | random[2] & 0x3F)) + random[3:]).hex()
    return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


def _start_of(text: str, most: int) -> str:
    """Without a word that is cut in two: the server knows a token as a secret, and not the half of one."""
    start = text[:most]
    return start.rstrip(_WORDS_LETTERS) if text[most] in _WORDS_LETTERS else start


def text_of(value: object) -> str:
    """A value's text, taken at once because it may change later. One that can't be told is named by its type."""
    try:
        text = str(value)
        return text if len(text) <= _LONGEST_TEXT else _start_of(text, _LONGEST_TEXT) + _CUT
    except Exception:
        return f"<{type(value).__name__} whose text can't be read>"


def _chain(exception: BaseException) -> list[Raised]:
    chain: list[Raised] = []
    waiting = [("", exception)]
    seen = set()
    while waiting and len(chain) <= _MOST_CAUSES:
        relation, raised = waiting.pop(0)
        if id(raised) in seen:  # a chain may bite its own tail
            continue
        seen.add(id(raised))
        chain.append(Raised(relation, type(raised), text_of(raised), _steps(raised.__traceback__)))
        if raised.__cause__ is not None:
            waiting.append(("cause", raised.__cause__))
        elif raised.__context__ is not None and not raised.__suppress_context__:
            waiting.append(("context", raised.__context__))
        if isinstance(raised, BaseExceptionGroup):
            waiting += [("member", member) for member in raised.exceptions[:_MOST_CAUSES]]
    return chain


def _steps(traceback: TracebackType | None) -> list[Step]:
    steps: list[Step] = []
    names: dict[str, Any] | None = None
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals is not names:  # neighbours are often of one module
            names = frame.f_globals
            module = names.get("__name__")
        steps.append((frame.f_code, traceback.tb_lineno, module))
        traceback = traceback.tb_next
    return steps if len(steps) <= _MOST_FRAMES else steps[: _MOST_FRAMES // 2] + steps[-_MOST_FRAMES // 2 :]


def plain_values(context: dict[str, Any]) -> dict[str, Any]:
    """A copy of `context` made of what JSON knows; everything else becomes its text, and too much is cut."""
    return _Copying().copied_dict(context, 0)


class _Copying:
    """One copy on its way; `left` is how many characters it may still take."""

    def __init__(self) -> None:
        self.left = _MOST_CHARACTERS

    def copied(self, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        self.left -= _VALUE_COST
        kind = type(value)
        if kind is int:
            return value if -(2**63) <= value < 2**63 else self._text(value)
        if kind is float:
            return value if isfinite(value) else str(value)  # JSON has no NaN
        if kind is str or depth > _DEEPEST or self.left <= 0:
            return self._text(value)
        try:
            return self._container(value, depth)
        except Exception:
            return f"<{kind.__name__} that can't be read>"

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.copied_dict(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._copied_list(value, depth)
        if isinstance(value, str):  # a str enum is its value
            return self._text(str.__str__(value))
        return self._text(value)

    def copied_dict(self, values: dict[Any, Any], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for name, value in values.items():
            if self.left <= 0:
                copy[_CUT] = _CUT
                break
            copy[name if type(name) is str else self._text(name)] = self.copied(value, depth + 1)
        return copy

    def _copied_list(self, values: Iterable[Any], depth: int) -> list[Any]:
        copy = []
        for value in values:
            if self.left <= 0:
                copy.append(_CUT)
                break
            copy.append(self.copied(value, depth + 1))
        return copy

    def _text(self, value: Any) -> str:
        if self.left <= 0:
            return _CUT
        text = text_of(value)
        if len(text) > self.left:
            text = _start_of(text, self.left) + _CUT
        self.left -= len(text)
        return text
