"""What kind of error it is, and how bad: ordered rules, the first match wins and is named in the event."""

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions that are given must hold. `names` are exceptions without their module; `message` is searched."""

    name: str
    error_type: str
    sources: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    message: re.Pattern[str] | None = None
    without_exception: bool = False

    def holds(self, facts: Facts, status: int | None, name: str) -> bool:
        """Whether it decides about `facts`, of which `status` and `name` have been made out before."""
        return (
            (not self.sources or facts.source in self.sources)
            and (not self.statuses or status in self.statuses)
            and (not self.names or name in self.names)
            and (self.message is None or self.message.search(facts.message) is not None)
            and not (self.without_exception and name)
        )


_OVERLOADED = frozenset((408, 425, 429))
_CLIENT_STATUSES = frozenset(range(400, 500)) - _OVERLOADED
_SERVER_STATUSES = frozenset(range(500, 600)) | _OVERLOADED
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
# They mean the payload where one came in, and our own mistake anywhere else.
_PAYLOAD_EXCEPTIONS = frozenset(("ValueError", "KeyError"))
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
_PAYLOAD_MESSAGE = re.compile(r"\b(?:payload|request body|json|field|header|query|parameter)\b", re.IGNORECASE)
_HTTP_STATUS = re.compile(r"\b(?:HTTP|status(?: code)?)[ :=/]{1,3}(?:\d\.\d )?([45]\d\d)\b", re.IGNORECASE)

# The first that holds decides.
RULES = (
    # A caller of ours sent it (webhook), or we sent it to somebody else (worker): wrong input both times.
    Rule("http-4xx", "input", statuses=_CLIENT_STATUSES),
    Rule("http-upstream", "execution", sources=frozenset(("worker",)), statuses=_SERVER_STATUSES),
    Rule("http-5xx", "system", statuses=_SERVER_STATUSES),
    Rule("exception-input", "input", names=_INPUT_EXCEPTIONS),
    Rule("exception-system", "system", names=_SYSTEM_EXCEPTIONS),
    Rule("message-system", "system", message=_SYSTEM_MESSAGE),
    Rule("message-input", "input", message=_INPUT_MESSAGE),
    Rule("exception-payload", "input", names=_PAYLOAD_EXCEPTIONS, message=_PAYLOAD_MESSAGE),
    Rule("exception-webhook", "input", sources=frozenset(("webhook",)), names=_PAYLOAD_EXCEPTIONS),
    Rule("source-system", "system", sources=frozenset(("system",))),
    Rule("source-webhook", "input", sources=frozenset(("webhook",)), without_exception=True),
    Rule("default", "execution"),
)


class Classifier:
    """Decides by rules; safe for many threads."""

    def classify(self, facts: Facts, error_type: str | None, severity: str | None) -> Verdict:
        """Given values win; what isn't given is decided by the rules."""
        verdict = _decide(facts)
        if error_type is None and severity is None:
            return verdict
        rule = "given" if error_type and severity else f"given, {verdict.rule}"
        kind = error_type or verdict.error_type
        return Verdict(kind, severity or _severity(facts, kind), rule)


@lru_cache(maxsize=4096)
def _decide(facts: Facts) -> Verdict:
    status = facts.http_status or _status_in(facts.message)
    name = facts.exception.rpartition(".")[2]
    rule = next(rule for rule in RULES if rule.holds(facts, status, name))
    return Verdict(rule.error_type, _severity(facts, rule.error_type), rule.name)


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
