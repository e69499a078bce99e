"""What kind of error it is, and how bad: ordered rules, the first match wins and is named in the event."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from ingest.models import JsonObject


class Verdict(NamedTuple):
    """`rule` names what decided."""

    error_type: str
    severity: str
    rule: str


class Facts(NamedTuple):
    """What the rules look at; hashable, so that repeating errors are decided once."""

    source: str
    exception: str
    message: str
    http_status: int | None
    attempt: int | None
    max_attempts: int | None
    handled: bool | None


_INPUT_EXCEPTIONS = frozenset(
    """ValidationError RequestValidationError SchemaError JSONDecodeError JsonSchemaException ZodError SyntaxError
    BadRequest BadRequestError UnprocessableEntity UnicodeDecodeError UnicodeError InvalidSignature SignatureError
    ParseError ParserError XMLSyntaxError MultipartError InvalidEvent PayloadTooLarge""".split()
)
_SYSTEM_EXCEPTIONS = frozenset(
    """ConnectionError ConnectionRefusedError ConnectionResetError ConnectionAbortedError BrokenPipeError TimeoutError
    OSError IOError MemoryError gaierror herror SSLError SSLCertVerificationError CertificateError OperationalError
    InterfaceError PoolTimeout AdminShutdown CannotConnectNow DeadlockDetected SerializationFailure DiskFull
    TooManyConnections ConnectTimeout ReadTimeout ConnectError NewConnectionError MaxRetryError SystemExit SystemError
    FileNotFoundError PermissionError BlockingIOError OutOfMemoryError AggregateError FetchError""".split()
)
_SYSTEM_MESSAGE = re.compile(
    r"ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|EPIPE|ENOSPC|EMFILE|fetch failed|socket hang up"
    r"|connection (?:refused|reset|timed out|closed)|deadlock detected|too many connections|out of memory"
    r"|no space left|name resolution|getaddrinfo|certificate (?:has expired|verify failed)|timed? ?out"
    r"|server closed the connection|could not connect",
    re.IGNORECASE,
)
_INPUT_MESSAGE = re.compile(
    r"invalid (?:json|signature|payload|input|request)|validation failed|is required|required (?:field|property)"
    r"|unexpected token|must be (?:a|an|of)\b|malformed|unprocessable|does not match (?:the )?schema|bad request",
    re.IGNORECASE,
)
_HTTP_STATUS = re.compile(r"\b(?:HTTP|status(?: code)?)[ :=/]{1,3}(?:\d\.\d )?([45]\d\d)\b", re.IGNORECASE)
_OVERLOADED = frozenset((408, 425, 429))


def classify(facts: Facts, error_type: str | None, severity: str | None) -> Verdict:
    """Given values win; what isn't given is decided by the rules."""
    verdict = _decide(facts)
    if error_type is None and severity is None:
        return verdict
    rule = "given" if error_type and severity else f"given, {verdict.rule}"
    return Verdict(error_type or verdict.error_type, severity or _severity(facts, error_type or ""), rule)


@lru_cache(maxsize=4096)
def _decide(facts: Facts) -> Verdict:
    error_type, rule = _error_type(facts)
    return Verdict(error_type, _severity(facts, error_type), rule)


def _error_type(facts: Facts) -> tuple[str, str]:
    status = facts.http_status or _status_in(facts.message)
    if status is not None and 400 <= status < 500 and status not in _OVERLOADED:
        # A caller of ours sent it (webhook), or we sent it to somebody else (worker): wrong input both times.
        return "input", "http-4xx"
    if status is not None and (status >= 500 or status in _OVERLOADED):
        return ("execution", "http-upstream") if facts.source == "worker" else ("system", "http-5xx")
    name = facts.exception.rpartition(".")[2]
    if name in _INPUT_EXCEPTIONS:
        return "input", "exception-input"
    if name in _SYSTEM_EXCEPTIONS:
        return "system", "exception-system"
    if _SYSTEM_MESSAGE.search(facts.message):
        return "system", "message-system"
    if _INPUT_MESSAGE.search(facts.message):
        return "input", "message-input"
    if facts.source == "system":
        return "system", "source-system"
    if facts.source == "webhook" and not name:
        return "input", "source-webhook"
    return "execution", "default"


def _severity(facts: Facts, error_type: str) -> str:
    if facts.attempt is not None and facts.max_attempts is not None:
        # A try that will be repeated is noise; the last one is the failure.
        return "low" if facts.attempt < facts.max_attempts else "high"
    if facts.handled is False or error_type == "system":
        return "high"
    return "low" if error_type == "input" else "medium"


def _status_in(message: str) -> int | None:
    match = _HTTP_STATUS.search(message)
    return int(match[1]) if match else None


def facts_of(source: str, metadata: JsonObject) -> Facts:
    """Pick the facts out of well-known metadata; what has another type than expected counts as missing."""
    exception = metadata.get("exception")
    name = exception.get("type") if isinstance(exception, dict) else None
    message = metadata.get("message")
    if not isinstance(message, str) and isinstance(exception, dict):
        message = exception.get("value")
    handled = metadata.get("handled")
    return Facts(
        source,
        name if isinstance(name, str) else "",
        message[:500] if isinstance(message, str) else "",
        _whole(metadata.get("http_status")),
        _whole(metadata.get("attempt")),
        _whole(metadata.get("max_attempts")),
        handled if isinstance(handled, bool) else None,
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None
