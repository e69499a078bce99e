"""What an error's texts tell beside its fields: the exceptions they name, the HTTP status, whether it was the last
try."""

import re
from typing import NamedTuple

import re2

from ingest.classification.facts import Facts

# Tags that hold a code, in whatever way a library calls it; the message is searched as if it ended with `code=23505`.
CODE_TAGS = frozenset(("code", "sqlstate", "pgcode", "sql_state", "errno", "error_code", "errorCode", "reason", "grpc_code"))


class Reading(NamedTuple):
    """`text` is what messages are searched in. `names`: the exception, with its module where that is known, and those
    that the texts name; `exception` is the first of them without its module. `is_last_try` is None where nothing is
    known of tries; `is_crash`: nobody caught it, or something was lost."""

    text: str
    exception: str
    names: tuple[str, ...]
    http_status: int | None
    is_last_try: bool | None
    is_crash: bool


_BARE = frozenset(("error", "exception", "baseexception", "throwable"))  # they tell nothing
_MOST_NAMES = 8
_SEPARATOR = re.compile(r"[.:\\/]")
_NAMED = re2.compile(
    r"(?:[A-Za-z_$][\w$]*(?:\.|::|\\|\$))*[A-Z][\w$]*(?:Error|Exception|Fault|Warning|Violation|Timeout)\b"
    r"|\b[A-Z]\w*::(?:[A-Z]\w*::)*[A-Z]\w+"
)
_STATUS = re2.compile(
    r"(?i)\b(?:HTTP(?: error| status)?|status(?: ?code)?|answered|responded with|returned|code:?|response:?|got)"
    r"(?: (?:is|of|client error|server error|error))?['\":=/ (]{1,3}(?:\d\.\d )?([45]\d\d)\b"
    r"|\b([45]\d\d) (?:Client Error|Server Error|Bad Request|Unauthorized|Payment Required|Forbidden|Not Found"
    r"|Method Not Allowed|Not Acceptable|Request Time-?out|Conflict|Gone|Length Required|Precondition Failed"
    r"|Payload Too Large|Content Too Large|Request Entity Too Large|Unsupported Media Type|Unprocessable|Locked"
    r"|Too Many Requests|Internal Server Error|Not Implemented|Bad Gateway|Service (?:Temporarily )?Unavailable"
    r"|Gateway Time-?out)\b"
)
_AGAIN = re2.compile(
    r"(?i)\b(?:will (?:be )?retr(?:y|ied)|will be (?:tried again|re-?attempted|re-?queued|re-?delivered|re-?scheduled)"
    r"|will try again|retrying|trying again|retry(?: again)? (?:in|after|at|#|scheduled|attempt)|next (?:retry|attempt|try)"
    r"|sending for retry|scheduling (?:a )?retry|(?:retry|retries) (?:is )?scheduled|scheduled for retry|back(?:ing)? off"
    r"|re-?queue(?:d|ing)\b|re-?connecting|re-?scheduled|[1-9]\d* (?:more )?(?:attempts|retries|tries) (?:left|remaining)"
    r"|(?:attempts|retries|tries) (?:left|remaining)[:=]? ?[1-9])"
)
_DEAD = re2.compile(
    r"(?i)dead[- ]?letter|\bDLQ\b|[-_.]dlq\b|\bDLX\b|poison queue|parking lot|retries exhausted|exhausted (?:all )?(?:its |the )?"
    r"(?:retries|attempts|tries)|(?:retries|attempts|tries|backoff\b.*) (?:are |were |have been )?exhausted|retry exhausted"
    r"|giv(?:ing|en) up|gave up|no (?:more )?(?:retries|attempts|tries)(?: are| is)?(?: left| remaining)?"
    r"|\b0 (?:more )?(?:attempts|retries|tries) (?:left|remaining)|won.t (?:be retried|retry)|will not (?:be retried|retry)"
    r"|(?:final|last) (?:attempt|try|retry)\b|after (?:all|the last|\d+) (?:attempts|tries|retries|failed attempts)"
    r"|max(?:imum)?(?: number of)? (?:retries|attempts|tries)(?: \(?\d+\)?)? (?:was |were |has been |have been )?(?:reached|exhausted|hit)"
    r"|(?:exceeded|reached) (?:the )?max(?:imum)?(?: number of)? (?:retries|attempts|tries|receives|deliver)|maxReceiveCount"
    r"|too many attempts|attempted too many times|permanently failed|(?:run|job|task|message) (?:was )?(?:discarded|abandoned|buried)"
    r"|marked (?:as )?failed after|MaxRetriesExceeded|RetryError\b|RetriesExceeded"
)
_COUNTED = re2.compile(r"(?i)\b(?:attempts?|tr(?:y|ies)|retr(?:y|ies))[ :#=]*(?:no\.? ?)?\(?(\d{1,4})(?: ?of ?| ?/ ?| out of )(\d{1,4})")
_COUNTED_OF = re2.compile(r"(?i)\b(\d{1,4})(?: ?of ?| ?/ ?| out of )(\d{1,4}) (?:attempts|tries|retries)\b")
_CRASH = re2.compile(
    r"(?i)^panic: |\bfatal error: |unhandled (?:exception|promise|rejection|error)|UnhandledPromiseRejection|panic serving"
    r"|Exception in thread |\bUncaught (?:\w*Error|\w*Exception|exception)|PHP Fatal|thread '.*' (?:\(\d+\) )?panicked|segmentation fault"
    r"|(?:messages?|events?|data|records?|rows|jobs?) (?:\w+ ){0,4}lost\b"
)


def read(facts: Facts) -> Reading:
    """Everything that the rules need beside the facts themselves."""
    text = f"{facts.message}\n{facts.value}" if facts.message and facts.value else facts.message or facts.value
    codes = [value for name, value in facts.tags if name in CODE_TAGS]
    searched = "\n".join([text, *(f"code={code}" for code in codes)]) if codes else text
    names = _names(facts, text)
    first = facts.exception if facts.exception.casefold() not in _BARE else next(iter(names), facts.exception)
    return Reading(
        searched,
        _SEPARATOR.split(first)[-1] or first,
        names,
        facts.http_status or _status_in(text),
        _is_last_try(facts, text),
        facts.handled is False or (facts.handled is None and _CRASH.search(text) is not None),
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
    return int(match[1] or match[2]) if match else None


def _is_last_try(facts: Facts, text: str) -> bool | None:
    """A try that will be repeated is noise; the last one is the failure."""
    if facts.attempt is not None and facts.max_attempts is not None:
        return facts.attempt >= facts.max_attempts
    if _DEAD.search(text):
        return True
    if match := _COUNTED.search(text) or _COUNTED_OF.search(text):
        return int(match[1]) >= int(match[2])
    return False if _AGAIN.search(text) else None
