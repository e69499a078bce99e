"""Exceptions, their causes and their frames, from Sentry's form into ours."""

from typing import Any

from ingest.doors.shapes import record, records, start_of, text
from ingest.models import JsonObject

_MOST_FRAMES = 100
_MOST_CAUSES = 20
_MOST_LINES = 5
_LONGEST_LINE = 300
_INTERFACES = ("exception", "sentry.interfaces.Exception")


def exceptions_of(event: JsonObject) -> list[JsonObject]:
    """The exceptions, the one that was raised first (Sentry's list has it last), then what led to it."""
    found = next((records(event[name]) for name in _INTERFACES if event.get(name)), [])
    usable = [raised for raised in found if text(raised.get("type")) or text(raised.get("value"))]
    return usable[::-1]


def described(raised: JsonObject) -> JsonObject:
    """`type`, `module` and `value` of an exception."""
    names = ("type", "module", "value")
    return {name: known for name in names if (known := text(raised.get(name))) is not None}


def causes(exceptions: list[JsonObject]) -> list[JsonObject]:
    """All but the raised exception, with their frames and how they are related to it."""
    if len(exceptions) < 2:
        return []
    groups = {
        group
        for raised in exceptions
        if (mechanism := record(raised.get("mechanism"))).get("is_exception_group") is True
        and isinstance(group := mechanism.get("exception_id"), int)
    }
    return [
        {**described(raised), "relation": _relation(raised, groups), "frames": frames_of(raised.get("stacktrace"))}
        for raised in exceptions[1 : 1 + _MOST_CAUSES]
    ]


def _relation(raised: JsonObject, groups: set[int]) -> str:
    mechanism = record(raised.get("mechanism"))
    source = text(mechanism.get("source")) or ""
    if source == "__context__":
        return "context"
    parent = mechanism.get("parent_id")
    is_member = isinstance(parent, int) and parent in groups and source not in ("__cause__", "cause")
    return "member" if is_member else "cause"


def handled(exceptions: list[JsonObject]) -> bool | None:
    """Whether somebody caught the raised exception; None where nobody says."""
    for raised in exceptions:
        known = record(raised.get("mechanism")).get("handled")
        if isinstance(known, bool):
            return known
    return None


def event_frames(event: JsonObject, exceptions: list[JsonObject]) -> list[JsonObject]:
    """The frames of the raised exception, else those of the stack or of the thread that the event names."""
    if exceptions and (found := frames_of(exceptions[0].get("stacktrace") or exceptions[0].get("raw_stacktrace"))):
        return found
    for name in ("stacktrace", "sentry.interfaces.Stacktrace"):
        if found := frames_of(event.get(name)):
            return found
    threads = records(event.get("threads"))
    chosen = next((thread for thread in threads if thread.get("crashed") is True), None)
    chosen = chosen or next((thread for thread in threads if thread.get("current") is True), None)
    return frames_of(chosen.get("stacktrace")) if chosen else []


def frames_of(stacktrace: Any) -> list[JsonObject]:
    """Frames in Sentry's order, which is ours: the failing call last. Of too many, the middle goes."""
    frames = record(stacktrace).get("frames") if isinstance(stacktrace, dict) else stacktrace
    known = [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []
    if len(known) > _MOST_FRAMES:
        known = known[: _MOST_FRAMES // 2] + known[-_MOST_FRAMES // 2 :]
    return [_frame(frame) for frame in known]


def _frame(frame: JsonObject) -> JsonObject:
    """Without the local variables: they are where secrets are that no masking knows."""
    get = frame.get
    file, function = get("filename"), get("function")
    if not file or not isinstance(file, str):
        file = text(file) or text(get("abs_path")) or text(get("module")) or text(get("package")) or ""
    if not function or not isinstance(function, str):
        function = text(function) or text(get("instruction_addr")) or "?"
    ours: JsonObject = {"file": file, "function": function, "in_app": get("in_app") is True}
    line = get("lineno")
    if isinstance(line, int):
        ours["line"] = line
    column = get("colno")
    if isinstance(column, int):
        ours["column"] = column
    module = get("module")
    if isinstance(module, str) and module:
        ours["module"] = module
    context = get("context_line")
    if isinstance(context, str) and context:
        ours["context_line"] = start_of(context, _LONGEST_LINE)
        if before := _lines(get("pre_context"), last=True):
            ours["pre_context"] = before
        if after := _lines(get("post_context"), last=False):
            ours["post_context"] = after
    return ours


def _lines(value: Any, *, last: bool) -> list[str]:
    if not isinstance(value, list):
        return []
    lines = [line for line in value if isinstance(line, str)]
    return [start_of(line, _LONGEST_LINE) for line in (lines[-_MOST_LINES:] if last else lines[:_MOST_LINES])]
