"""The form of a secret that is recognised by its looks, in any text.

Every expression is linear: bounded or possessive repeats, so a hostile text can't hang the writer.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

Found = re.Match[str]


class Look(NamedTuple):
    """A form of a secret. What is hidden is the group `secret`, or the whole match where there is none.

    `hints`: one of them must occur in the lower-case text. `trigger`: what occurs wherever `expression` could match,
    for RE2 without regard to case. `holds`: a check of what was found. `normal`: the normal form of a value that may be
    recognised, for its keyed hash. `example` shows it in the docs.
    """

    kind: str
    hints: tuple[str, ...]
    expression: re.Pattern[str]
    trigger: str
    example: str
    holds: Callable[[Found], bool] | None = None
    normal: Callable[[str], str] | None = None


def look_of(
    kind: str,
    hints: str,
    expression: str,
    example: str,
    trigger: str = "",
    holds: Callable[[Found], bool] | None = None,
    normal: Callable[[str], str] | None = None,
) -> Look:
    """`hints` are divided by `|`; without a `trigger` they are it."""
    all_hints = tuple(hints.split("|"))
    return Look(
        kind,
        all_hints,
        re.compile(expression),
        trigger or "|".join(map(re.escape, all_hints)),
        example,
        holds,
        normal,
    )


START = r"(?<![A-Za-z0-9])"
END = r"(?![A-Za-z0-9])"
BEFORE = r"(?:^|[^A-Za-z0-9]|\\[bfnrt]|\\u[0-9a-f]{4}|%[0-9a-f]{2})"  # in JSON a line's first letter follows an n
