"""Names with `*` for anything; small and capital letters are the same."""

import re
from collections.abc import Callable, Iterable

from ingest.classification.expressions import compiled

Matcher = Callable[[str], bool]


def matcher(patterns: Iterable[str]) -> Matcher:
    """Whether a text is one of `patterns`. Most of them begin or end with their only wildcard, which needs no
    expression."""
    exact, prefixes, suffixes, parts, others = set(), [], [], [], []
    for pattern in patterns:
        text = re.sub(r"\*+", "*", pattern.casefold())
        match text.split("*"):
            case [_]:
                exact.add(text)
            case [start, ""]:
                prefixes.append(start)
            case ["", end]:
                suffixes.append(end)
            case ["", part, ""]:
                parts.append(part)
            case pieces:
                others.append(compiled(r"(?s)\A" + ".*".join(re.escape(piece) for piece in pieces) + r"\z"))
    starts, ends = tuple(prefixes), tuple(suffixes)

    def matches(text: str) -> bool:
        folded = text.casefold()
        return (
            folded in exact
            or folded.startswith(starts)
            or folded.endswith(ends)
            or any(part in folded for part in parts)
            or any(other.search(folded) is not None for other in others)
        )

    return matches
