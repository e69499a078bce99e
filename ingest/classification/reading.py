"""What an error's texts tell beside its fields: the exceptions they name, the HTTP status, whether it was the last
try."""

import re
from typing import NamedTuple

import re2

from ingest.classification.facts import Facts

# Tags that hold a code, in whatever way a library calls it; the message is searched as if it ended with `code=23505`.
CODE_TAGS = frozenset(
    ("code", "sqlstate", "pgcode", "sql_state", "errno", "error_code", "errorCode", "reason", "grpc_code")
)


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
    r"(?i)\b(?:HTTP(?: error| status)?|status(?: ?code)?|answered|responded with|returned|code:?|got|indicate success)"
    r"(?: (?:is|of|client error|server error|error))?['\":=/ (]{1,3}(?:\d\.\d )?([45]\d\d)\b"
    r"|\b([45]\d\d) (?:Client Error|Server Error|Bad Request|Unauthorized|Payment Required|Forbidden|Not Found"
    r"|Method Not Allowed|Not Acceptable|Request Time-?out|Conflict|Gone|Length Required|Precondition Failed"
    r"|Payload Too Large|Content Too Large|Request Entity Too Large|Unsupported Media Type|Unprocessable|Locked"
    r"|Too Many Requests|Internal Server Error|Not Implemented|Bad Gateway|Service (?:Temporarily )?Unavailable"
    r"|Gateway Time-?out)\b"
    r"|^[\w .-]{1,40}: (?-i:([45]\d\d)(?:: |\.? [A-Z{\[]|$))"
)
_TRIES = "(?:attempts|tries|retries)"
_AGAIN = re2.compile(
    rf"(?i)\b(?:will (?:be )?retr(?:y|ied)|will be (?:tried again|re-?(?:attempted|(?:en)?queued|delivered|scheduled))"
    rf"|will try again|retrying|trying again|retry(?: again)? (?:in|after|at|#|scheduled|attempt)|retry:"
    rf"|next (?:retry|attempt|try)|sending for retry|scheduling (?:a )?retry|retr(?:y|ies) (?:is )?scheduled"
    rf"|scheduled for retry|back(?:ing)? off|re-?(?:en)?queu(?:e|ed|ing)\b|re-?connecting|re-?scheduled"
    rf"|[1-9]\d* (?:more )?{_TRIES} (?:left|remaining)|{_TRIES} (?:left|remaining)[:=]? ?[1-9])|^\[retry\]"
)
_GIVEN_UP = re2.compile(
    rf"(?i)dead[- ]?letter|\bDLQ\b|[-_.]dlq\b|\bDLX\b|poison queue|parking lot"
    rf"|exhausted (?:all )?(?:its |the )?{_TRIES}|(?:{_TRIES}|backoff\b.*) (?:(?:are|were|have been) )?exhausted"
    rf"|retry (?:limit |budget |count )?(?:exhausted|exceeded|reached)|giv(?:ing|en) up|gave up"
    rf"|no (?:more )?{_TRIES}(?: are| is)?(?: left| remaining)?|\b0 (?:more )?{_TRIES} (?:left|remaining)"
    rf"|(?:won.t|will not) (?:be retried|retry)|\bnot retrying|(?:final|last) (?:attempt|try|retry)\b"
    rf"|\ball (?:\d+ )?{_TRIES} (?:have )?failed|too many attempts|attempted too many times"
    rf"|permanent(?:ly)? fail|fail\w* permanently|max(?:imum)?(?: number of)? {_TRIES}(?: \(?\d+\)?)?"
    rf" (?:(?:was|were|ha[sv]e? been) )?(?:reached|exhausted|hit|exceeded(?:[^ ]|$| for| by| \())"
    rf"|(?:exceeded|reached) (?:the )?max(?:imum)?(?: number of)? (?:{_TRIES}|receives|deliver)|maxReceiveCount"
    rf"|(?:run|job|task|message) (?:was )?(?:discarded|abandoned|buried)|marked (?:as )?failed"
    rf"|MaxRetriesExceeded|RetryError\b|RetriesExceeded"
)
_AFTER_TRIES = re2.compile(rf"(?i)\bafter (?:all|the last|\d+)(?: failed)? {_TRIES}")
_OF = "(?: ?of ?| ?/ ?| out of )"
_COUNTED = re2.compile(
    rf"(?i)\b(?:attempts?|tr(?:y|ies)|retr(?:y|ies)|deliver(?:y|ies))[ :#=]*(?:no\.? ?)?\(?(\d{{1,4}}){_OF}(\d{{1,4}})"
)
_COUNTED_OF = re2.compile(rf"(?i)\b(\d{{1,4}}){_OF}(\d{{1,4}}) {_TRIES}\b")
_CRASH = re2.compile(
    r"(?i)^panic: |\bfatal error: |unhandled (?:exception|promise|rejection|error)|UnhandledPromiseRejection"
    r"|panic serving|Exception in thread |\bUncaught (?:\w*Error|\w*Exception|exception)|PHP Fatal"
    r"|thread '.*' (?:\(\d+\) )?panicked|segmentation fault|\bsegfault|uncaughtException|process crashed|unrecoverable"
    r"|^goroutine \d+ \[running\]"
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
    return int(match[1] or match[2] or match[3]) if match else None


def _is_last_try(facts: Facts, text: str) -> bool | None:
    """A try that will be repeated is noise; the last one is the failure."""
    if facts.attempt is not None and facts.max_attempts is not None:
        return facts.attempt >= facts.max_attempts
    if _GIVEN_UP.search(text):
        return True
    if match := _COUNTED.search(text) or _COUNTED_OF.search(text):
        return int(match[1]) >= int(match[2])
    if _AGAIN.search(text):
        return False
    return True if _AFTER_TRIES.search(text) else None
