"""What an error's texts tell beside its fields: the exceptions they name, the HTTP status, whether it was the last
try."""

import re
from typing import NamedTuple

import re2

from ingest.classification.facts import Facts


class Reading(NamedTuple):
    """`names`: the exception, with its module where that is known, and those that the texts name; `exception` is the
    first of them without its module. `is_last_try` is None where nothing is known of tries."""

    text: str
    exception: str
    names: tuple[str, ...]
    http_status: int | None
    is_last_try: bool | None
    is_uncaught: bool


_BARE = frozenset(("error", "exception", "baseexception", "throwable"))  # they tell nothing
_MOST_NAMES = 8
_SEPARATOR = re.compile(r"[.:\\/]")
_NAMED = re2.compile(
    r"(?:[A-Za-z_$][\w$]*(?:\.|::|\\|\$))*[A-Z][\w$]*(?:Error|Exception|Fault|Warning|Violation|Timeout)\b"
)
_STATUS = re2.compile(r"(?i)\b(?:HTTP(?: error)?|status(?: ?code)?)(?: is| of)?['\":= /]{1,3}(?:\d\.\d )?([45]\d\d)\b")
_AGAIN = re2.compile(r"(?i)will be retried|will retry|retrying|\bretry in \d|retry #\d|sending for retry|attempts left")
_GIVEN_UP = re2.compile(
    r"(?i)retries exhausted|exhausted (?:all )?(?:its )?(?:retries|attempts)|giving up|gave up|dead-?letter(?:ed)?\b"
    r"|moved to [\w.-]*dlq|after all (?:attempts|retries|tries)|on the last (?:try|attempt)|max(?:imum)? retries"
    r"|failed after \d+ (?:of \d+ )?(?:attempts|tries|retries)|after (\d+) of \d+ (?:attempts|tries)"
)


def read(facts: Facts) -> Reading:
    """Everything that the rules need beside the facts themselves."""
    text = f"{facts.message}\n{facts.value}" if facts.message and facts.value else facts.message or facts.value
    names = _names(facts, text)
    bare = facts.exception or (names[0] if names else "")
    return Reading(
        text,
        _SEPARATOR.split(bare)[-1] or bare,
        names,
        facts.http_status or _status_in(text),
        _is_last_try(facts, text),
        facts.handled is False,
    )


def _names(facts: Facts, text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    if facts.exception:
        is_whole = not facts.module or facts.exception.startswith(facts.module)
        found[facts.exception if is_whole else f"{facts.module}.{facts.exception}"] = None
    for match in _NAMED.finditer(text):
        name = match[0]
        if name.casefold() not in _BARE:
            found[name] = None
            if len(found) == _MOST_NAMES:
                break
    return tuple(found)


def _status_in(text: str) -> int | None:
    match = _STATUS.search(text)
    return int(match[1]) if match else None


def _is_last_try(facts: Facts, text: str) -> bool | None:
    """A try that will be repeated is noise; the last one is the failure."""
    if _GIVEN_UP.search(text):
        return True
    if facts.attempt is not None and facts.max_attempts is not None:
        return facts.attempt >= facts.max_attempts
    return False if _AGAIN.search(text) else None
