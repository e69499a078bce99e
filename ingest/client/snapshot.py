"""What is kept of an exception: taken on the caller's thread in microseconds, written out later in the background.

A snapshot holds code objects and line numbers, never frames: so no local variable is kept alive, and none is sent.
"""

import os
import sys
import time
from datetime import UTC, datetime
from types import CodeType, TracebackType
from typing import Any, NamedTuple

_MOST_FRAMES = 100
_MOST_CAUSES = 5
_LONGEST_TEXT = 8_000
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would double the import time

# The parameters that are columns of their own; all others go into the metadata.
COLUMNS = frozenset(
    ("source", "error_type", "severity", "workflow_id", "project_id", "run_id", "fingerprint", "title", "timestamp")
)


class Step(NamedTuple):
    """One call: its code, the line that it had reached, and its module's name."""

    code: CodeType
    line: int
    module: str


class Raised(NamedTuple):
    """One exception of a chain."""

    kind: type[BaseException]
    text: str
    steps: list[Step]


class Snapshot(NamedTuple):
    """One captured error, before it is written out."""

    error_id: str
    at: float  # epoch seconds
    chain: list[Raised]  # the exception itself, then what caused it
    message: str | None
    context: dict[str, Any]


def take(exception: BaseException | None, message: str | None, context: dict[str, Any]) -> Snapshot:
    """Called on the caller's thread: nothing here may be slow."""
    chain: list[Raised] = []
    while exception is not None and len(chain) <= _MOST_CAUSES:
        chain.append(Raised(type(exception), _text(exception), _steps(exception.__traceback__)))
        suppressed = exception.__suppress_context__
        exception = exception.__cause__ or (None if suppressed else exception.__context__)
    now = time.time()
    return Snapshot(new_id(now), now, chain, message, context)


def new_id(now: float) -> str:
    """A UUID version 7 as text."""
    random = os.urandom(10)
    head = int(now * 1000).to_bytes(6, "big")
    value = (head + bytes((0x70 | random[0] & 0x0F, random[1], 0x80 | random[2] & 0x3F)) + random[3:]).hex()
    return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


def _text(exception: BaseException) -> str:
    """An exception's text is taken at once: it may change later. One that can't be told apart is named by its type."""
    try:
        return str(exception)[:_LONGEST_TEXT]
    except Exception:
        return f"<{type(exception).__name__} whose text can't be read>"


def _steps(traceback: TracebackType | None) -> list[Step]:
    steps = []
    while traceback is not None:
        frame = traceback.tb_frame
        steps.append(Step(frame.f_code, traceback.tb_lineno, frame.f_globals.get("__name__", "")))
        traceback = traceback.tb_next
    return steps if len(steps) <= _MOST_FRAMES else steps[: _MOST_FRAMES // 2] + steps[-_MOST_FRAMES // 2 :]


def write_out(snapshot: Snapshot, defaults: dict[str, Any]) -> dict[str, Any]:
    """The event to send. Runs in the background, where source lines may be read."""
    event: dict[str, Any] = {
        "error_id": snapshot.error_id,
        "timestamp": datetime.fromtimestamp(snapshot.at, UTC).isoformat(),
    }
    metadata: dict[str, Any] = {}
    for name, value in {**defaults, **snapshot.context}.items():
        if value is not None:
            (event if name in COLUMNS else metadata)[name] = value
    if snapshot.chain:
        raised, *causes = snapshot.chain
        metadata["exception"] = _description(raised)
        metadata["frames"] = _frames(raised.steps)
        if causes:
            metadata["causes"] = [_description(cause) | {"frames": _frames(cause.steps)} for cause in causes]
    message = snapshot.message if snapshot.message is not None else (snapshot.chain[0].text if snapshot.chain else "")
    event["message"] = message
    event["metadata"] = metadata
    return event


def _description(raised: Raised) -> dict[str, Any]:
    return {"type": raised.kind.__qualname__, "module": raised.kind.__module__, "value": raised.text}


def _frames(steps: list[Step]) -> list[dict[str, Any]]:
    import linecache  # noqa: PLC0415 - not needed before the first error

    frames = []
    for step in steps:
        file = step.code.co_filename
        if file.startswith(_HERE):
            continue
        line = linecache.getline(file, step.line).strip()
        frames.append(
            {
                "file": file,
                "line": step.line,
                "function": step.code.co_qualname if sys.version_info >= (3, 11) else step.code.co_name,
                "module": step.module,
                "in_app": _is_in_app(file),
                **({"context_line": line[:300]} if line else {}),
            }
        )
    return frames


def _is_in_app(file: str) -> bool:
    return not (
        "site-packages" in file or "dist-packages" in file or file.startswith(("<frozen", sys.base_prefix + "/lib"))
    )
