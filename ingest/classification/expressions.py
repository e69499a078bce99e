"""What messages are searched with: RE2, whose time is linear in the text; its programs are bounded here as well."""

from collections.abc import Sequence
from functools import lru_cache

import re2

LONGEST = 1000  # characters of an expression
LARGEST_PROGRAM = 1000  # steps; each costs at most a few nanoseconds for each character of a text
_MEMORY = 1 << 20  # bytes; where they don't suffice it is slower, and still linear


def _options() -> "re2.Options":
    options = re2.Options()
    options.max_mem = _MEMORY
    options.case_sensitive = False
    options.log_errors = False
    options.never_capture = True
    return options


_OPTIONS = _options()


@lru_cache(maxsize=512)
def compiled(expression: str) -> "re2._Regexp":
    """The expression, ready to search with. Raises ValueError with a sentence."""
    try:
        return re2.compile(expression, _OPTIONS)
    except re2.error as error:
        told = error.args[0] if error.args else error
        reason = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        if "too large" in reason:
            raise ValueError(_TOO_LARGE.format(expression[:70])) from None
        raise ValueError(
            f"{expression[:70]!r} is no RE2 expression ({reason[:100]}). Put \\ before a sign that is meant itself; "
            "look-around and back-references don't exist."
        ) from None
    except UnicodeEncodeError:
        raise ValueError("The expression holds half a character (a lone surrogate). Take it out.") from None


_TOO_LARGE = "{!r} is too large an expression: take smaller repetitions, or fewer alternatives."


def checked_expression(expression: str) -> str:
    """`expression` unchanged. Raises ValueError with a sentence where it is none, or too large."""
    if not 0 < len(expression) <= LONGEST:
        raise ValueError(f"An expression has 1 to {LONGEST} characters.")
    program = compiled(expression)
    if program.programsize > LARGEST_PROGRAM:
        raise ValueError(_TOO_LARGE.format(expression[:70]))
    if program.search("") is not None:
        raise ValueError(f"{expression[:70]!r} is found in every text, also in an empty one. Say what must be there.")
    return expression


def expression_cost(expression: str) -> int:
    """The steps of its program."""
    return int(compiled(expression).programsize)


class Expressions:
    """Many expressions. One pass over a text finds which of them it can hold at all, by the words in them; only these
    are searched for, each within its own bounds."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self._filter = re2.Filter()
        for expression in expressions:
            self._filter.Add(expression, _OPTIONS)
        self._is_empty = not expressions
        if expressions:
            self._filter.Compile()

    def found_in(self, text: str) -> Sequence[int]:
        """The places in the list of those that `text` holds."""
        return () if self._is_empty or not text else self._filter.Match(text) or ()
