"""A log record as a raw event of ours, by OpenTelemetry's conventions for exceptions, code and resources."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from ingest.doors.otlp.logs import ERROR, FATAL, LogRecord
from ingest.doors.otlp.stacks import frame, split_name, stack_frames
from ingest.doors.shapes import start_of, text
from ingest.models import SOURCES, JsonObject

PROJECT = "meshhook.project_id"
_OURS = {"meshhook.workflow_id": "workflow_id", "meshhook.run_id": "run_id"}
_FACTS = {"meshhook.node": "node", "meshhook.attempt": "attempt", "meshhook.max_attempts": "max_attempts"}
# Attributes of a resource that have a name of their own with us, the present name first.
_OF_RESOURCE = (
    ("service", ("service.name",)),
    ("release", ("service.version",)),
    ("environment", ("deployment.environment.name", "deployment.environment")),
    ("server_name", ("host.name",)),
    ("platform", ("telemetry.sdk.language",)),
)
_STATUS_NAMES = ("http.response.status_code", "http.status_code")
_BODY_MESSAGES = ("message", "msg", "exception.message")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST_NAME = 200
_LONGEST_MESSAGE = 10_000  # of a body that is no text


def raw_event(record: LogRecord, received_at: datetime) -> JsonObject:
    """What the hall takes, without an id and without a project."""
    attributes, resource = dict(record.attributes), dict(record.origin.resource)
    attributes.pop(PROJECT, None)
    resource.pop(PROJECT, None)
    happened, given = _times(record, received_at)
    metadata = _exception(attributes)
    metadata |= _shared(record, attributes, resource)
    metadata |= _own(record, attributes)
    if given is not None:
        metadata["timestamp_given"] = given
    raw: JsonObject = {
        "timestamp": happened,
        "source": _source(_taken("meshhook.source", attributes, resource)),
        "severity": _severity(record),
    }
    for name, ours in _OURS.items():
        raw[ours] = text(_taken(name, attributes, resource))
    for name, ours in _FACTS.items():
        if (value := _taken(name, attributes, resource)) is not None:
            metadata[ours] = _fact(value)
    if message := _message(record, metadata):
        metadata["message"] = message
    kept = {"attributes": attributes, "resource": resource}
    metadata |= {name: value for name, value in kept.items() if value}
    raw["metadata"] = metadata
    return raw


def _taken(name: str, attributes: JsonObject, resource: JsonObject) -> Any:
    """What the record says, else what its resource says; it stays in neither."""
    common = resource.pop(name, None)
    own = attributes.pop(name, None)
    return common if own is None else own


def _times(record: LogRecord, received_at: datetime) -> tuple[str | None, str | None]:
    """When it happened, and the time that was given where that can't be: the observed one, or that of receipt, is
    used instead."""
    moments = [_EPOCH + timedelta(microseconds=time // 1_000) for time in (record.time, record.observed) if time]
    usable = next((moment for moment in moments if _EARLIEST <= moment <= received_at), None)
    given = moments[0].isoformat() if moments and usable is not moments[0] else None
    return (None if usable is None else usable.isoformat()), given


def _severity(record: LogRecord) -> str | None:
    """FATAL and WARN say it; for ERROR, and where nobody says, our rules decide."""
    if record.severity >= FATAL:
        return "high"
    return "low" if 0 < record.severity < ERROR else None


def _source(value: Any) -> str:
    return value if isinstance(value, str) and value in SOURCES else "worker"


def _fact(value: Any) -> Any:
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 9 else start_of(value, _LONGEST_NAME)
    return value


def _exception(attributes: JsonObject) -> JsonObject:
    """`exception`, `frames`, `stack`, or `location`, the place in the code that logged it.

    The place is a frame only of an exception that has no other: plain messages of one function would be one group.
    """
    metadata: JsonObject = {}
    exception: JsonObject = {}
    if kind := text(attributes.pop("exception.type", None)):
        module, exception["type"] = split_name(kind)
        if module:
            exception["module"] = module
    if (value := text(attributes.pop("exception.message", None))) is not None:
        exception["value"] = value
    if exception:
        metadata["exception"] = exception
    if stack := text(attributes.pop("exception.stacktrace", None)):
        metadata["stack"] = stack
        if frames := stack_frames(stack):
            metadata["frames"] = frames
    if (location := _location(attributes)) is not None:
        if exception and "frames" not in metadata:
            metadata["frames"] = [location]
        else:
            metadata["location"] = location
    return metadata


def _location(attributes: JsonObject) -> JsonObject | None:
    function = text(_first(attributes, "code.function.name", "code.function"))
    file = text(_first(attributes, "code.file.path", "code.filepath"))
    module = text(attributes.pop("code.namespace", None))
    line, column = (
        _first(attributes, "code.line.number", "code.lineno"),
        _first(attributes, "code.column.number", "code.column"),
    )
    if not function and not file:
        return None
    if function and not module:
        module, function = split_name(function)
    return frame(file or "", function or "", _position(line), _position(column), module or "")


def _first(attributes: JsonObject, *names: str) -> Any:
    """The value of the first of `names` that there is; all of them are taken out."""
    values = [attributes.pop(name, None) for name in names]
    return next((value for value in values if value is not None), None)


def _position(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _shared(record: LogRecord, attributes: JsonObject, resource: JsonObject) -> JsonObject:
    """What the resource and the scope say."""
    metadata: JsonObject = {}
    for ours, names in _OF_RESOURCE:
        common = text(_first(resource, *names))
        if value := text(_first(attributes, *names)) or common:
            metadata[ours] = start_of(value, _LONGEST_NAME)
    sdk = [text(resource.pop(f"telemetry.sdk.{part}", None)) for part in ("name", "version")]
    if sdk[0]:
        metadata["sdk"] = " ".join(filter(None, sdk))[:_LONGEST_NAME]
    if record.origin.scope:
        metadata["logger"] = record.origin.scope
    if record.origin.scope_attributes:
        metadata["scope"] = record.origin.scope_attributes
    if record.origin.scope_version:
        metadata["logger_version"] = record.origin.scope_version
    return metadata


def _own(record: LogRecord, attributes: JsonObject) -> JsonObject:
    """What the record itself says beside its attributes."""
    level = record.severity_text or None
    names = {
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "event_name": record.event_name or text(attributes.pop("event.name", None)),
        "log_level": level,
    }
    metadata: JsonObject = {name: value for name, value in names.items() if value}
    if record.severity:
        metadata["severity_number"] = record.severity
    if isinstance(record.body, dict | list):
        metadata["body"] = record.body
    status = _position(_first(attributes, *_STATUS_NAMES))
    if status is not None and 100 <= status <= 599:
        metadata["http_status"] = status
    return metadata


def _message(record: LogRecord, metadata: JsonObject) -> str | None:
    """The body; the message in it where it is an object; else what the exception says, or the event's name."""
    body = record.body
    if isinstance(body, dict):
        body = next((body[name] for name in _BODY_MESSAGES if isinstance(body.get(name), str)), None)
    if (said := text(body)) is not None and said.strip():
        return said
    if said := text(metadata.get("exception", {}).get("value")):
        return said
    if "exception" not in metadata and isinstance(record.body, dict | list) and record.body:
        return _as_text(record.body)
    return text(metadata.get("event_name"))


def _as_text(value: Any) -> str:
    try:
        return start_of(to_json(value, inf_nan_mode="strings").decode(), _LONGEST_MESSAGE)
    except ValueError:  # lone surrogates
        return start_of(repr(value), _LONGEST_MESSAGE)
