"""The installation's own patterns and exceptions, at work on a text."""

import re2

from ingest.masking.marks import MARK, Marks
from ingest.masking.policy import OwnPattern, Policy, compiled

_TRIGGER_MEMORY = 8 * 1024 * 1024
# How JSON writes what an expression may ask for; a backslash is put aside first, so that none is read twice.
_ESCAPES = (
    (b"\\\\", b"\x00"),
    (b'\\"', b"\x01"),
    (b'"', b"\n"),
    (b"\\n", b"\n"),
    (b"\\t", b"\t"),
    (b"\\r", b"\r"),
    (b"\\/", b"/"),
    (b"\x01", b'"'),
    (b"\x00", b"\\"),
)


class Allowed:
    """Answers whether a value stays, although it was found."""

    def __init__(self, policy: Policy) -> None:
        self._values = frozenset(policy.allowed_values)
        self._patterns = [compiled(expression) for expression in policy.allowed_patterns]

    def __call__(self, value: str) -> bool:
        return value in self._values or any(
            pattern.fullmatch(value.encode("utf-8", "replace")) is not None for pattern in self._patterns
        )


class OwnPatterns:
    """Hides what the installation's own patterns find. A mark is never looked into."""

    def __init__(self, patterns: tuple[OwnPattern, ...], marks: Marks, stays: Allowed) -> None:
        self._patterns = [(pattern, compiled(pattern.expression)) for pattern in patterns]
        self._marks = marks
        self._stays = stays
        options = re2.Options()
        options.max_mem = _TRIGGER_MEMORY
        self._any = re2.compile("|".join(f"(?m:{pattern.expression})" for pattern in patterns), options)

    def may_be_in(self, text: bytes) -> bool:
        """Whether one of them finds something in a text, UTF-8."""
        return self._any.search(text) is not None

    def may_be_in_document(self, document: bytes) -> bool:
        """The same for the texts of a JSON document. May answer True without need, never False."""
        if b"\\u" in document or b"\\b" in document or b"\\f" in document:
            return True
        if b"\\" not in document:
            return self.may_be_in(document.replace(b'"', b"\n"))
        for written, meant in _ESCAPES:
            document = document.replace(written, meant)
        return self.may_be_in(document)

    def hide(self, text: str) -> str:
        """`text` without what they find."""
        for pattern, expression in self._patterns:
            parts: list[str] = []
            done = 0
            for mark in MARK.finditer(text):
                parts += (self._hidden(pattern, expression, text[done : mark.start()]), mark[0])
                done = mark.end()
            text = "".join((*parts, self._hidden(pattern, expression, text[done:])))
        return text

    def _hidden(self, pattern: OwnPattern, expression: "re2._Regexp", text: str) -> str:
        encoded = text.encode("utf-8", "replace")
        parts: list[bytes] = []
        done = 0
        for match in expression.finditer(encoded):
            begin, end = match.span()
            value = encoded[begin:end].decode("utf-8", "replace")
            if begin == end or self._stays(value):
                continue
            mark = self._marks.keyed(pattern.kind, value) if pattern.is_keyed else self._marks.plain(pattern.kind)
            parts += (encoded[done:begin], mark.encode())
            done = end
        return b"".join((*parts, encoded[done:])).decode("utf-8", "replace") if parts else text
