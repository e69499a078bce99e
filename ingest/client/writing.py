"""A snapshot as the JSON that is sent. Runs in the background, where source lines may be read."""

import json
import linecache
import os
import time
from typing import Any

from .snapshot import Raised, Snapshot, Step

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - beside co_filename, which is text
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep  # noqa: PTH100, PTH120
_LONGEST_LINE = 300

# The parameters that are columns of their own; all others go into the metadata.
_COLUMNS = frozenset(
    ("source", "error_type", "severity", "workflow_id", "project_id", "run_id", "fingerprint", "title", "timestamp")
)


def stripped(snapshot: Snapshot, defaults: dict[str, Any], reason: str) -> dict[str, Any]:
    """What can be sent of an event whose `before_send` failed: nothing that it might have taken out."""
    metadata: dict[str, Any] = {
        name: defaults[name] for name in ("release", "environment", "server_name") if defaults.get(name) is not None
    }
    metadata["note"] = f"before_send failed ({reason}): the message and the context are left out"
    if snapshot.chain:
        raised = snapshot.chain[0]
        metadata["exception"] = {"type": raised.kind.__qualname__, "module": raised.kind.__module__}
        metadata["frames"] = [
            {name: frame[name] for name in ("file", "line", "function")} for frame in _frames(raised.steps)
        ]
    return {
        **{name: defaults[name] for name in ("source", "project_id") if defaults.get(name) is not None},
        "error_id": snapshot.error_id,
        "timestamp": iso(snapshot.at),
        "message": "an error whose before_send failed",
        "metadata": metadata,
    }


def as_json(event: dict[str, Any]) -> bytes:
    """One line, of ASCII."""
    return json.dumps(event, allow_nan=False, separators=(",", ":")).encode("ascii")


def event_of(snapshot: Snapshot, defaults: dict[str, Any]) -> dict[str, Any]:
    """One event as the server's contract names it."""
    event: dict[str, Any] = {"error_id": snapshot.error_id, "timestamp": iso(snapshot.at)}
    metadata: dict[str, Any] = {}
    given = {name: value for name, value in snapshot.context.items() if value is not None}
    for name, value in {**defaults, **given}.items():
        if value is not None:
            (event if name in _COLUMNS else metadata)[name] = value
    if snapshot.chain:
        raised, *others = snapshot.chain
        metadata["exception"] = _description(raised)
        metadata["frames"] = _frames(raised.steps)
        if others:
            metadata["causes"] = [
                {**_description(other), "relation": other.relation, "frames": _frames(other.steps)} for other in others
            ]
    event["message"] = snapshot.message if snapshot.message is not None else snapshot.chain[0].text
    event["metadata"] = metadata
    return event


def iso(epoch_seconds: float) -> str:
    """UTC with microseconds."""
    whole, micros = divmod(int(epoch_seconds * 1_000_000), 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{micros:06}Z"


def _description(raised: Raised) -> dict[str, Any]:
    return {"type": raised.kind.__qualname__, "module": raised.kind.__module__, "value": raised.text}


def _frames(steps: list[Step]) -> list[dict[str, Any]]:
    return [_frame(step) for step in steps if not step[0].co_filename.startswith(_HERE)]


def _frame(step: Step) -> dict[str, Any]:
    code, line_number, module = step
    file = code.co_filename
    frame: dict[str, Any] = {
        "file": file,
        "line": line_number,
        "function": code.co_qualname,
        "module": str(module or ""),
    }
    frame["in_app"] = _is_in_app(file)
    if line := linecache.getline(file, line_number).strip():
        frame["context_line"] = line[:_LONGEST_LINE]
    return frame


def _is_in_app(file: str) -> bool:
    return not ("site-packages" in file or "dist-packages" in file or file.startswith(("<frozen", _STANDARD_LIBRARY)))
