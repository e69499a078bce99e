"""Version 2: what was said, where it happened, and what had caused it.

The source, the workflow's node, the exception's type, the innermost steps through the program's own code, the message
without what varies, a status or code beside it, and the causes below. What a runtime says in its own words counts by
its names and numbers alone where there are steps: engines, and versions of them, word the same otherwise.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from ingest.fingerprint.frames import Frame, are_telling, steps_of
from ingest.fingerprint.stacks import frames_in, holds_stack
from ingest.fingerprint.templates import MOST_LOOKED_AT, essence
from ingest.masking import unkeyed
from ingest.models import JsonObject

VERSION = 2
_OUTERMOST, _INNERMOST = 20, 60  # frames that are looked at
_LONGEST_NAME, _MOST_CAUSES = 300, 5
_LONGEST_STACK = 16_000

_OF_RUNTIMES = frozenset(
    """TypeError ReferenceError RangeError SyntaxError InternalError EvalError URIError NullPointerException
    NullReferenceException ClassCastException ArrayIndexOutOfBoundsException StringIndexOutOfBoundsException
    IndexOutOfBoundsException IndexOutOfRangeException ArithmeticException NumberFormatException InvalidCastException
    NegativeArraySizeException DivideByZeroException FormatException AttributeError NameError UnboundLocalError
    IndexError KeyError ZeroDivisionError UnicodeDecodeError UnicodeEncodeError JSONDecodeError NoMethodError
    StopIteration ZeroDivisionException""".split()
)
# What comes with a runtime is worded by its version and in its language, but for what programs raise themselves.
_WITH_RUNTIMES = ("java.", "javax.", "jakarta.", "kotlin.", "scala.", "System.")
_FOR_PROGRAMS = frozenset(
    """Exception Error Throwable RuntimeException IllegalStateException IllegalArgumentException ApplicationException
    UnsupportedOperationException IOException SQLException ExecutionException CompletionException AssertionError
    UncheckedIOException InvalidOperationException ArgumentException NotSupportedException SystemException
    NoSuchElementException TimeoutException HttpRequestException ValidationException""".split()
)
# Their words are the browser's, and no two browsers name the same parts.
_OF_BROWSERS = frozenset(
    """AbortError ConstraintError DataCloneError DataError EncodingError HierarchyRequestError InvalidAccessError
    InvalidCharacterError InvalidStateError NotAllowedError NotFoundError NotReadableError NotSupportedError
    OperationError QuotaExceededError SecurityError TransactionInactiveError DOMException""".split()
)
_OVERFLOWS = frozenset(("RecursionError", "StackOverflowError", "StackOverflowException", "SystemStackError"))
_OVERFLOW = re.compile(
    r"maximum call stack|too much recursion|stack overflow|stack exceeds|stack level too deep|recursion depth exceeded"
    r"|maximum function nesting",
    re.IGNORECASE,
)
_FACT = re.compile(r"⟨[^⟩]{1,160}⟩|\bE[A-Z]{4,20}\b|\b\d{1,6}\b")
_PREFIXES = (
    "Uncaught ",
    "Unhandled ",
    "(in promise) ",
    "exception ",
    "Error: ",
    "panic: ",
    "ERROR: ",
    "FATAL: ",
    "WARNING: ",
)


def fingerprint(source: str, metadata: JsonObject, title: str) -> str:
    """The group that an error belongs to, such as `2-9f86d081884c7d65`."""
    get = metadata.get
    exception = get("exception")
    if not isinstance(exception, dict):
        exception = {}
    message, value = get("message"), exception.get("value")
    if type(message) is not str:
        message = value if type(value) is str else title
    given, causes, stack = get("frames"), get("causes"), None
    frames, are_ours = _path(given) if given else ((), False)
    if not frames and type(stack := get("stack")) is str:
        stack = stack[:_LONGEST_STACK]
    return _group(
        (source, _name(get("node")), _name(exception.get("module")), _name(exception.get("type"))),
        _looked_at(message),
        _looked_at(value) if type(value) is str else "",
        (_code(get("http_status")), _code(get("code"))),
        _causes(causes) if causes else (),
        frames,
        are_ours,
        stack if type(stack) is str else "",
    )


@lru_cache(maxsize=4096)
def _group(
    where: tuple[str, str, str, str],
    message: str,
    value: str,
    codes: tuple[str, str],
    causes: tuple[tuple[str, str, str], ...],
    frames: tuple[Frame, ...],
    are_ours: bool,
    stack: str,
) -> str:
    source, node, module, kind = where
    text = stack or message
    if not frames and holds_stack(text):
        frames = frames_in(text)
    is_overflow = kind in _OVERFLOWS or _overflows(message)
    steps = steps_of(frames, are_ours=are_ours, is_overflow=is_overflow) if frames else []
    if is_overflow and steps:
        parts = [source, node, "overflow", *steps]
    else:
        said = _said(kind, message, value)
        if kind in _OF_BROWSERS and are_telling(steps):
            said = ""
        elif _is_worded_by_runtime(module, kind) and are_telling(steps):
            said = " ".join(sorted(set(_FACT.findall(said))))
        parts = [source, node, _kind(module, kind), *codes, said, *steps]
    for cause_module, cause_type, cause_value in causes:
        parts += ("caused by", _kind(cause_module, cause_type), essence(_bare(cause_type, cause_value)))
    known_by = unkeyed("\n".join(parts))
    return f"{VERSION}-{blake2b(known_by.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _looked_at(text: str) -> str:
    """The part of a message that counts; whose address it was that is masked in it doesn't, wherever it is cut."""
    return unkeyed(text[: 2 * MOST_LOOKED_AT])[:MOST_LOOKED_AT]


def _is_worded_by_runtime(module: str, kind: str) -> bool:
    return kind in _OF_RUNTIMES or (f"{module}.".startswith(_WITH_RUNTIMES) and kind not in _FOR_PROGRAMS)


def _overflows(message: str) -> bool:
    hints = ("stack", "recursion", "nesting")
    return any(map(message.__contains__, hints)) and _OVERFLOW.search(message) is not None


def _said(kind: str, message: str, value: str) -> str:
    """What the message says, and what the exception does where that is something else."""
    said = essence(_bare(kind, message))
    if not value or value in message:
        return said
    return f"{said}\n{essence(_bare(kind, value))}"


def _bare(kind: str, text: str) -> str:
    """The text without the exception's name before it."""
    while text.startswith(_PREFIXES):
        text = text[text.index(" ") + 1 :] if not text.startswith("(in ") else text[len("(in promise) ") :]
    return text.removeprefix(f"{kind}: ") if kind else text


def _kind(module: str, kind: str) -> str:
    if module in ("builtins", "__main__"):
        module = ""
    module = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return f"{module.replace('jakarta.', 'javax.', 1)}.{kind}"


def _path(given: Any) -> tuple[tuple[Frame, ...], bool]:
    """File, function and module of the in-app frames, and whether there are any; else of all."""
    if not isinstance(given, list):
        return (), False
    ours: list[Frame] = []
    others: list[Frame] = []
    if len(given) > _OUTERMOST + _INNERMOST:
        given = given[:_OUTERMOST] + given[-_INNERMOST:]
    for frame in given:
        if isinstance(frame, dict):
            get = frame.get
            step = (_name(get("file")), _name(get("function")), _name(get("module")))
            (ours if get("in_app") else others).append(step)
    return (tuple(ours), True) if ours else (tuple(others), False)


def _causes(given: Any) -> tuple[tuple[str, str, str], ...]:
    """Module, type and text of the exceptions that this one came from."""
    if not isinstance(given, list):
        return ()
    return tuple(
        (_name(cause.get("module")), _name(cause.get("type")), _name(cause.get("value")))
        for cause in given[:_MOST_CAUSES]
        if isinstance(cause, dict)
    )


def _name(value: Any) -> str:
    if type(value) is not str:
        return ""
    return value if len(value) <= _LONGEST_NAME else value[-_LONGEST_NAME:]


def _code(value: Any) -> str:
    if value is None or isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    return str(value)[:64] if isinstance(value, str) or abs(value) < 2**63 else ""
