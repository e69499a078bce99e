"""The hall: the one way from a raw event to an ErrorEvent, whatever door it came through.

normalise = mask → classify → fingerprint. What can't be understood is kept in the metadata rather than lost; only an
event that isn't one is refused.
"""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from ingest.classification import classify, facts_of
from ingest.exceptions import InvalidEvent
from ingest.fingerprint import fingerprint, own_fingerprint
from ingest.masking import clean, mask_text, mask_value, needs_walk
from ingest.models import MAX_TITLE, SEVERITIES, SOURCES, ErrorEvent, JsonObject
from ingest.sizes import fit
from ingest.uuid7 import uuid7

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_USUAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_ERROR_TYPE = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,63}$")
_SEVERITY_OF = {name: name for name in SEVERITIES} | {
    "critical": "high",
    "fatal": "high",
    "error": "medium",
    "warning": "low",
    "warn": "low",
    "info": "low",
    "debug": "low",
}
_OWN_FIELDS = frozenset(
    "error_id timestamp source error_type severity workflow_id project_id run_id title fingerprint metadata".split()
)


def normalise(raw: JsonObject, received_at: datetime) -> ErrorEvent:
    """Make an event of what a door took in. Raises InvalidEvent, which names the field."""
    metadata = _metadata(raw)
    source = _source(raw.get("source"))
    error_id = _error_id(raw.get("error_id"), received_at)
    timestamp = _timestamp(raw.get("timestamp"), received_at, metadata)
    workflow_id = _uuid(raw, "workflow_id", metadata)
    project_id = _uuid(raw, "project_id", metadata)
    run_id = _uuid(raw, "run_id", metadata)
    error_type = _error_type(raw.get("error_type"))
    severity = _severity(raw.get("severity"))

    metadata, document = _masked(metadata)
    verdict = classify(facts_of(source, metadata), error_type, severity)
    title = _title(raw.get("title"), metadata)
    own = own_fingerprint(raw["fingerprint"]) if raw.get("fingerprint") else None
    group = mask_text(clean(own)) if own else fingerprint(source, metadata, title)
    return ErrorEvent(
        error_id,
        timestamp,
        source,
        verdict.error_type,
        verdict.severity,
        workflow_id,
        _with_rule(document, verdict.rule),
        project_id,
        run_id,
        title,
        group,
    )


def _metadata(raw: JsonObject) -> JsonObject:
    """The given metadata and every field that we don't know."""
    given = raw.get("metadata")
    if given is None:
        metadata: JsonObject = {}
    elif isinstance(given, dict):
        metadata = dict(given)
    else:
        raise InvalidEvent("metadata: must be an object.")
    for name, value in raw.items():
        if name not in _OWN_FIELDS:
            metadata[name] = value
    return metadata


def _masked(metadata: JsonObject) -> tuple[JsonObject, bytes]:
    """The metadata without secrets, and its JSON. A document without any trigger is taken as it is."""
    try:
        document = to_json(metadata, inf_nan_mode="null")
        deep = document.count(b"{") + document.count(b"[") > 40
        if b"\\u0000" not in document and not deep and not needs_walk(document):
            return fit(metadata, document)
    except (ValueError, UnicodeEncodeError):  # lone surrogates
        pass
    masked = mask_value(metadata)
    return fit(masked, to_json(masked, inf_nan_mode="null"))


def _with_rule(document: bytes, rule: str) -> bytes:
    """Classification happens on what is serialised already: add the rule's name at the end."""
    entry = b'"classified_by":"' + rule.encode() + b'"}'
    return b"{" + entry if document == b"{}" else document[:-1] + b"," + entry


def _source(value: Any) -> str:
    if value is None:
        return "worker"
    source = value.lower() if isinstance(value, str) else value
    if source not in SOURCES:
        raise InvalidEvent(f"source: must be one of {', '.join(SOURCES)}.")
    return str(source)


def _error_id(value: Any, received_at: datetime) -> str:
    if value is None:
        return uuid7(received_at)
    error_id = _uuid_text(value)
    if error_id is None:
        raise InvalidEvent("error_id: must be a UUID.")
    return error_id


def _uuid_text(value: Any) -> str | None:
    """The usual form of a UUID in any form; None for what is none."""
    if not isinstance(value, str):
        return None
    if _USUAL_UUID(value):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        return None


def _timestamp(value: Any, received_at: datetime, metadata: JsonObject) -> datetime:
    """When it happened. A time in the future, or before 2000, is replaced by the time of receipt and kept aside."""
    if value is None:
        return received_at
    moment = _moment(value)
    if moment is None:
        raise InvalidEvent("timestamp: must be ISO 8601, for example 2026-11-24T12:00:00Z, or epoch seconds.")
    if _EARLIEST <= moment <= received_at:
        return moment
    metadata["timestamp_given"] = value
    return received_at


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            if moment.tzinfo is UTC:
                return moment
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _uuid(raw: JsonObject, name: str, metadata: JsonObject) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    known = _uuid_text(value)
    if known is None:
        metadata[f"{name}_given"] = value
    return known


def _error_type(value: Any) -> str | None:
    if value is None:
        return None
    name = value.strip().lower() if isinstance(value, str) else ""
    if not _ERROR_TYPE.match(name):
        raise InvalidEvent("error_type: must be a short word such as execution, input or system.")
    return name


def _severity(value: Any) -> str | None:
    if value is None:
        return None
    severity = _SEVERITY_OF.get(value.strip().lower()) if isinstance(value, str) else None
    if severity is None:
        raise InvalidEvent(f"severity: must be one of {', '.join(SEVERITIES)}.")
    return severity


def _title(given: Any, metadata: JsonObject) -> str:
    """One readable line: what was given, else the node, the exception's type and the message's first line."""
    if isinstance(given, str) and given.strip():
        return _line(mask_text(clean(given)))
    exception = metadata.get("exception")
    kind = exception.get("type") if isinstance(exception, dict) else None
    message = metadata.get("message")
    if not isinstance(message, str) and isinstance(exception, dict):
        message = exception.get("value")
    node = metadata.get("node")
    parts = [part.strip() for part in (node, kind, message) if isinstance(part, str) and part.strip()]
    if len(parts) > 1 and parts[-1].startswith(f"{parts[-2]}:"):
        del parts[-2]  # «TypeError: TypeError: fetch failed»
    return _line(": ".join(parts)) or "Error without a message"


def _line(text: str) -> str:
    first = text.strip().split("\n", 1)[0].strip()
    return first if len(first) <= MAX_TITLE else f"{first[: MAX_TITLE - 1]}…"
