"""What an installation wants masked beyond what everybody wants, and what it wants to keep; read from its settings.

All entries of a setting are divided by blanks or line breaks. Expressions are RE2's, which is linear in the text, and
bounded in size, so that neither a wild expression nor a wild text can hang the writer.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import re2

from ingest.masking.looks import ALSO
from ingest.masking.names import joined

_NAME = re.compile(r"([a-z][a-z0-9_]{0,39})(#?)=(.+)")
_UNUSABLE = re.compile(r"\\[AzCQ]|\(\?[a-zA-Z]*-")
_MOST_KEYS, _MOST_PATTERNS = 200, 20
_SHORTEST_KEY, _LONGEST_KEY = 3, 60
_LONGEST_EXPRESSION = 500
_MOST_STEPS = 300  # of RE2's program, with letters of one byte: a text of a MB takes a second or two at the worst
_MOST_MEMORY = 2 * 1024 * 1024


class OwnPattern(NamedTuple):
    """An expression of the installation's own, and the kind that its marks name. `is_keyed`: with a keyed hash."""

    kind: str
    expression: str
    is_keyed: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """`keys` are telling names beside ours; `also` are kinds that are masked on demand: `phone`, `ip`. What is allowed
    stays: names as they stand, values, and what an expression matches whole."""

    keys: tuple[str, ...] = ()
    patterns: tuple[OwnPattern, ...] = ()
    allowed_keys: tuple[str, ...] = ()
    allowed_values: tuple[str, ...] = ()
    allowed_patterns: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def policy_of(keys: str = "", patterns: str = "", allow: str = "", also: str = "") -> Policy:
    """The policy that these settings describe. Raises ValueError with a sentence that says what is wrong."""
    allowed = [_allowed(entry) for entry in allow.split()]
    return Policy(
        _keys(keys),
        _patterns(patterns),
        tuple(value for kind, value in allowed if kind == "key"),
        tuple(value for kind, value in allowed if kind == "value"),
        tuple(value for kind, value in allowed if kind == "pattern"),
        _also(also),
    )


def compiled(expression: str) -> "re2._Regexp":
    """The expression, with `^` and `$` at each line, as bytes are searched with it. Raises ValueError."""
    options = re2.Options()
    options.max_mem, options.log_errors = _MOST_MEMORY, False
    _check_size(expression)
    try:
        re2.compile(expression, options)
        made = re2.compile(f"(?m:{expression})", options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "unknown"
        raise ValueError(f"the expression {expression} isn't understood: {reason}") from None
    if made.search(b"") is not None:
        raise ValueError(f"the expression {expression} matches the empty text, so it would match everywhere")
    return made


def _check_size(expression: str) -> None:
    if _UNUSABLE.search(expression):
        raise ValueError(f"the expression {expression} holds \\A, \\z, \\C, \\Q or (?-…): write ^, $ and classes")
    options = re2.Options()
    options.log_errors, options.encoding = False, re2.Options.Encoding.LATIN1
    try:
        size = re2.compile(expression.encode("latin-1", "replace"), options).programsize
    except re2.error:  # a range of letters that Latin-1 doesn't have, or what isn't understood anyway
        size = 0
    if len(expression) > _LONGEST_EXPRESSION or size > _MOST_STEPS:
        raise ValueError(f"the expression {expression[:60]}… is too large: shorten it, or repeat less often")


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(text.replace(",", " ").split())
    for key in keys:
        if not _SHORTEST_KEY <= len(joined(key)) <= _LONGEST_KEY:
            raise ValueError(f"{key[:80]} is no name of a key: it needs {_SHORTEST_KEY} to {_LONGEST_KEY} letters")
    if len(keys) > _MOST_KEYS:
        raise ValueError(f"at most {_MOST_KEYS} names are taken")
    return keys


def _patterns(text: str) -> tuple[OwnPattern, ...]:
    found = []
    for entry in text.split():
        parts = _NAME.fullmatch(entry)
        if parts is None:
            raise ValueError(
                f"{entry[:80]} isn't NAME=EXPRESSION: a name of small letters, for example customer=K-[0-9]{{6}};"
                r" write a blank in an expression as \s"
            )
        compiled(parts[3])
        found.append(OwnPattern(parts[1], parts[3], bool(parts[2])))
    if len(found) > _MOST_PATTERNS:
        raise ValueError(f"at most {_MOST_PATTERNS} patterns are taken")
    return tuple(found)


def _allowed(entry: str) -> tuple[str, str]:
    kind, _, value = entry.partition("=")
    if kind not in ("key", "value", "pattern") or not value:
        raise ValueError(f"{entry[:80]} isn't key=NAME, value=TEXT or pattern=EXPRESSION")
    if kind == "pattern":
        compiled(value)
    return kind, value


def _also(text: str) -> tuple[str, ...]:
    kinds = tuple(text.replace(",", " ").split())
    for kind in kinds:
        if kind not in ALSO:
            raise ValueError(f"{kind[:80]} isn't one of {', '.join(ALSO)}")
    return kinds
