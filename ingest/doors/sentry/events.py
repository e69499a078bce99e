"""A Sentry event as a raw event of ours: what a person needs to fix the bug, and the facts that our rules look at.

What isn't kept: local variables, lists of installed packages, debug images, and the body that a request came with.
"""

import re
from contextlib import suppress
from itertools import islice
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from ingest.doors.sentry.stacks import causes, described, event_frames, exceptions_of, handled
from ingest.doors.shapes import pairs, record, records, start_of, text
from ingest.exceptions import InvalidEvent
from ingest.hall import moment_of
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
_USUAL_ID = re.compile(r"[0-9a-f]{32}").fullmatch
_MOST_BREADCRUMBS = 20
_LONGEST_TEMPLATE = 20_000
_MOST_PARAMETERS = 100
_STATUS_NAMES = ("http_status", "http.status_code", "status_code")
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
        "timestamp": _timestamp(event.get("timestamp"), metadata),
        "source": _source(metadata, tags, ours),
        "severity": _SEVERITY_OF_LEVEL.get((text(event.get("level")) or "").lower()),
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
        if not isinstance(value, str):
            return None
        if _USUAL_ID(value):
            return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"
        return str(UUID(value))
    except ValueError:
        return None


def _timestamp(value: Any, metadata: JsonObject) -> str | float | None:
    """Epoch seconds or ISO 8601; what can't be a time is kept aside: the error counts all the same, as of receipt."""
    if value is None:
        return None
    known: str | float = value
    if moment_of(value) is not None:
        return known
    if isinstance(value, str):
        with suppress(ValueError):
            known = float(value)
            if moment_of(known) is not None:
                return known
    metadata["timestamp_given"] = value
    return None


def _source(metadata: JsonObject, tags: JsonObject, ours: JsonObject) -> str:
    """As it is named, else `webhook` for what happened while a request was served."""
    for named in (ours.get("source"), tags.get("source")):
        if named in SOURCES:
            return str(named)
    return "webhook" if "request" in metadata else "worker"


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
    """A log message with its parameters, in percent or in brace style. Widths and conversions aren't honoured, and all
    is bounded: a template may come from anybody, and name one long parameter a million times."""
    named = {name: _shown(value) for name, value in islice(record(params).items(), _MOST_PARAMETERS)}
    listed = [_shown(value) for value in params[:_MOST_PARAMETERS]] if isinstance(params, list) else []
    if not named and not listed:
        return template
    coming = iter(listed)
    places = 0

    def value(match: re.Match[str]) -> str:
        nonlocal places
        places += 1
        name = match["percent"] or match["brace"]
        if match[0] == "%%":
            return "%"
        if places > _MOST_PARAMETERS:
            return match[0]
        return named.get(name, match[0]) if name else next(coming, match[0])

    return _PLACE.sub(value, template[:_LONGEST_TEMPLATE]) + template[_LONGEST_TEMPLATE:]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return start_of(value, _LONGEST_PARAMETER)
    try:
        return start_of(to_json(value, inf_nan_mode="constants").decode(), _LONGEST_PARAMETER)
    except ValueError:  # lone surrogates, nesting without end
        return "…"


def _metadata(event: JsonObject, exceptions: list[JsonObject], tags: JsonObject, ours: JsonObject) -> JsonObject:
    metadata: JsonObject = {name: known for name in _TEXTS if (known := text(event.get(name)))}
    _take_exceptions(event, exceptions, metadata)
    if ours or tags:
        _take_facts(ours, tags, metadata)
    if kept := {name: value for name, value in tags.items() if name not in _OURS}:
        metadata["tags"] = kept
    _take_surroundings(event, metadata)
    status = _status(metadata)
    if status is not None:
        metadata["http_status"] = status
    return metadata


def _take_exceptions(event: JsonObject, exceptions: list[JsonObject], metadata: JsonObject) -> None:
    if exceptions:
        metadata["exception"] = described(exceptions[0])
        if known_causes := causes(exceptions):
            metadata["causes"] = known_causes
        is_handled = handled(exceptions)
        if is_handled is not None:
            metadata["handled"] = is_handled
    if frames := event_frames(event, exceptions):
        metadata["frames"] = frames


def _take_surroundings(event: JsonObject, metadata: JsonObject) -> None:
    for name in ("user", "extra"):
        if value := record(event.get(name)):
            metadata[name] = value
    if request := _request(event):
        metadata["request"] = request
    if contexts := {name: value for name, value in record(event.get("contexts")).items() if name != "meshhook"}:
        metadata["contexts"] = contexts
    if breadcrumbs := records(event.get("breadcrumbs"))[-_MOST_BREADCRUMBS:]:
        metadata["breadcrumbs"] = breadcrumbs
    if sdk := _sdk(event):
        metadata["sdk"] = sdk


def _take_facts(ours: JsonObject, tags: JsonObject, metadata: JsonObject) -> None:
    """What a context or tags say of our own facts; numbers come as text from tags."""
    for name in _FACTS:
        value = ours.get(name, tags.get(name))
        if value is not None:
            metadata[name] = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 9 else value


def _request(event: JsonObject) -> JsonObject:
    request = record(event.get("request") or event.get("sentry.interfaces.Http"))
    if not request:
        return request
    kept: JsonObject = {name: known for name in ("method", "url") if (known := text(request.get(name))) is not None}
    query = request.get("query_string")
    if query:
        kept["query_string"] = query if isinstance(query, str) else dict(pairs(query))
    if headers := dict(pairs(request.get("headers"))):
        kept["headers"] = headers
    return kept


def _status(metadata: JsonObject) -> int | None:
    """The HTTP status, wherever SDKs and people put it."""
    contexts = metadata.get("contexts")
    places = (contexts and record(contexts.get("response")), metadata.get("tags"), metadata.get("extra"))
    for place in filter(None, places):
        for name in _STATUS_NAMES:
            known = text(place.get(name)) if name in place else None
            if known and len(known) == 3 and known.isdecimal() and 100 <= int(known) <= 599:
                return int(known)
    return None


def _sdk(event: JsonObject) -> str | None:
    sdk = record(event.get("sdk"))
    name = text(sdk.get("name"))
    return f"{name} {text(sdk.get('version')) or ''}".strip() if name else None


def _fingerprint(value: Any) -> list[str] | None:
    """The caller's own."""
    return [known for part in value if (known := text(part))] if isinstance(value, list) else None
