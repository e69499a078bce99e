"""A Sentry event as a raw event of ours: what a person needs to fix the bug, and the facts that our rules look at.

What isn't kept: local variables, lists of installed packages, debug images, and the body that a request came with.
"""

import re
from datetime import datetime
from math import isfinite
from typing import Any
from uuid import UUID

from ingest.doors.sentry.shapes import pairs, record, records, text
from ingest.doors.sentry.stacks import causes, described, event_frames, exceptions_of, handled
from ingest.exceptions import InvalidEvent
from ingest.models import SOURCES, JsonObject

_SEVERITY_OF_LEVEL = {
    "fatal": "high",
    "critical": "high",
    "warning": "low",
    "info": "low",
    "debug": "low",
    "log": "low",
}
_TEXTS = ("release", "environment", "dist", "server_name", "transaction", "platform", "logger", "culprit")
_OURS = ("workflow_id", "run_id", "project_id")
_FACTS = ("node", "node_type", "attempt", "max_attempts", "workflow_slug", "workflow_version")
_MOST_BREADCRUMBS = 20
_LONGEST_PARAMETER = 1_000
_PLACE = re.compile(
    r"%%|%(?:\((?P<percent>\w+)\))?[-+ #0]{0,5}\d{0,3}(?:\.\d{1,3})?[sdifrxXeEgGcau]|\{(?P<brace>\w*)\}"
)


def raw_event(event: Any, header_id: Any = None) -> JsonObject:
    """What the hall takes. `header_id` is the envelope's id, for an event without one. Raises InvalidEvent."""
    if not isinstance(event, dict):
        raise InvalidEvent("An event is a JSON object.")
    exceptions = exceptions_of(event)
    tags = dict(pairs(event.get("tags")))
    ours = record(record(event.get("contexts")).get("meshhook"))
    metadata = _metadata(event, exceptions, tags, ours)
    raw: JsonObject = {
        "error_id": _error_id(event.get("event_id")) or _error_id(header_id),
        "timestamp": _timestamp(event.get("timestamp")),
        "source": _source(event, tags, ours),
        "severity": _SEVERITY_OF_LEVEL.get(str(event.get("level", "")).lower()),
        "message": _message(event, exceptions),
        "metadata": metadata,
    }
    for name in _OURS:
        raw[name] = text(ours.get(name)) or text(tags.get(name))
    if fingerprint := _fingerprint(event.get("fingerprint")):
        raw["fingerprint"] = fingerprint
    return raw


def _error_id(value: Any) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _timestamp(value: Any) -> str | float | None:
    """Epoch seconds or ISO 8601; what can't be a time is left to the time of receipt: the error counts all the same."""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return value
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return _number(value)
        return value
    return None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _source(event: JsonObject, tags: JsonObject, ours: JsonObject) -> str:
    """As it is named, else `webhook` for what happened while a request was served."""
    for named in (ours.get("source"), tags.get("source")):
        if named in SOURCES:
            return str(named)
    return "webhook" if _request(event) else "worker"


def _message(event: JsonObject, exceptions: list[JsonObject]) -> str | None:
    for value in (event.get("logentry"), event.get("sentry.interfaces.Message"), event.get("message")):
        if isinstance(value, dict):
            if formatted := text(value.get("formatted")):
                return formatted
            if template := text(value.get("message")):
                return _filled(template, value.get("params"))
        elif isinstance(value, str) and value:
            return value
    return text(exceptions[0].get("value")) if exceptions else None


def _filled(template: str, params: Any) -> str:
    """A log message with its parameters, in percent or in brace style. Widths and conversions aren't honoured: a
    template may come from anybody."""
    named = params if isinstance(params, dict) else {}
    listed = iter(params if isinstance(params, list) else ())

    def value(match: re.Match[str]) -> str:
        name = match["percent"] or match["brace"]
        if match[0] == "%%":
            return "%"
        found = named.get(name, match[0]) if name else next(listed, match[0])
        return str(found)[:_LONGEST_PARAMETER]

    return _PLACE.sub(value, template) if named or (isinstance(params, list) and params) else template


def _metadata(event: JsonObject, exceptions: list[JsonObject], tags: JsonObject, ours: JsonObject) -> JsonObject:
    metadata: JsonObject = {name: known for name in _TEXTS if (known := text(event.get(name))) is not None}
    if exceptions:
        metadata["exception"] = described(exceptions[0])
        if known_causes := causes(exceptions):
            metadata["causes"] = known_causes
        is_handled = handled(exceptions)
        if is_handled is not None:
            metadata["handled"] = is_handled
    if frames := event_frames(event, exceptions):
        metadata["frames"] = frames
    for name in _FACTS:
        value = ours.get(name, tags.get(name))
        if value is not None:
            metadata[name] = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 9 else value
    kept = {
        "tags": {name: value for name, value in tags.items() if name not in _OURS},
        "user": record(event.get("user")),
        "request": _request(event),
        "contexts": {name: value for name, value in record(event.get("contexts")).items() if name != "meshhook"},
        "extra": record(event.get("extra")),
        "breadcrumbs": records(event.get("breadcrumbs"))[-_MOST_BREADCRUMBS:],
        "sdk": _sdk(event),
    }
    metadata |= {name: value for name, value in kept.items() if value}
    status = _status(metadata)
    if status is not None:
        metadata["http_status"] = status
    return metadata


def _request(event: JsonObject) -> JsonObject:
    request = record(event.get("request") or event.get("sentry.interfaces.Http"))
    kept: JsonObject = {name: known for name in ("method", "url") if (known := text(request.get(name))) is not None}
    query = request.get("query_string")
    if query:
        kept["query_string"] = query if isinstance(query, str) else dict(pairs(query))
    if headers := dict(pairs(request.get("headers"))):
        kept["headers"] = headers
    return kept


def _status(metadata: JsonObject) -> int | None:
    """The HTTP status, wherever SDKs and people put it."""
    response = record(record(metadata.get("contexts")).get("response"))
    tags = record(metadata.get("tags"))
    extra = record(metadata.get("extra"))
    for value in (
        response.get("status_code"),
        *(tags.get(name) for name in ("http_status", "http.status_code", "status_code")),
        *(extra.get(name) for name in ("http_status", "status_code")),
    ):
        if isinstance(value, int | str) and str(value).isdecimal() and 100 <= int(value) <= 599:
            return int(value)
    return None


def _sdk(event: JsonObject) -> str | None:
    sdk = record(event.get("sdk"))
    name = text(sdk.get("name"))
    return f"{name} {text(sdk.get('version')) or ''}".strip() if name else None


def _fingerprint(value: Any) -> list[str] | None:
    """The caller's own."""
    return [known for part in value if (known := text(part))] if isinstance(value, list) else None
