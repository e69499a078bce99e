"""OTLP's JSON encoding: protobuf's mapping to JSON, but with hex ids. Names in snake case are taken too; what has
another type than expected counts as missing."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from ingest.doors.documents import check_values, parsed
from ingest.doors.otlp.logs import (
    LARGEST_TIME,
    MOST_DEPTH,
    LogRecord,
    Origin,
    Reading,
    Refused,
    Resource,
    counts_as_error,
    origin,
    resource_of,
    severity_of,
)
from ingest.doors.problems import Problem
from ingest.masking import CUT
from ingest.models import JsonObject

_LONGEST_NUMBER = 25  # digits and a sign
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_LARGEST_WHOLE = 2**64
_SEVERITIES: dict[str, int] = dict(SeverityNumber.items())


def read_json(body: bytes, most: int) -> Iterator[Reading]:
    """The records of an ExportLogsServiceRequest. Raises Problem: 400 for none, 413 above `most` records."""
    check_values(body)
    try:
        request = parsed(body)
    except ValueError as error:
        raise Problem(400, f"The body can't be read as JSON: {error}.") from None
    if not isinstance(request, dict):
        raise Problem(400, "The body is no ExportLogsServiceRequest: it isn't a JSON object.")
    records = 0
    for resource_logs in _list(request, "resourceLogs", "resource_logs"):
        if not isinstance(resource_logs, dict):
            yield Refused("Resource logs are an object.")
            continue
        resource = resource_of(_attributes(_list(_record(resource_logs.get("resource")), "attributes")))
        for scope_logs in _list(resource_logs, "scopeLogs", "scope_logs"):
            if not isinstance(scope_logs, dict):
                yield Refused("Scope logs are an object.")
                continue
            found = _list(scope_logs, "logRecords", "log_records")
            records += len(found)
            if records > most:
                raise Problem(413, f"More than {most} records in one request. Send fewer at once.")
            shared = _origin(resource, _record(scope_logs.get("scope")))
            yield from (_reading(record, shared) for record in found)


def _origin(resource: Resource, scope: JsonObject) -> Origin:
    name, version = _text(scope.get("name")), _text(scope.get("version"))
    return origin(resource, name, version, _attributes(_list(scope, "attributes")))


def _reading(record: Any, shared: Origin) -> Reading:
    if not isinstance(record, dict):
        return Refused("A record is an object.")
    severity_text = _text(_field(record, "severityText", "severity_text"))
    severity = severity_of(_severity(_field(record, "severityNumber", "severity_number")), severity_text)
    attributes = _attributes(_list(record, "attributes"))
    if not counts_as_error(severity, attributes):
        return None
    return LogRecord(
        shared,
        _time(_field(record, "timeUnixNano", "time_unix_nano")),
        _time(_field(record, "observedTimeUnixNano", "observed_time_unix_nano")),
        severity,
        severity_text,
        _value(record.get("body")),
        attributes,
        _identifier(_field(record, "traceId", "trace_id"), _TRACE_DIGITS),
        _identifier(_field(record, "spanId", "span_id"), _SPAN_DIGITS),
        _text(_field(record, "eventName", "event_name")),
    )


def _field(record: JsonObject, name: str, other: str) -> Any:
    value = record.get(name)
    return record.get(other) if value is None else value


def _list(record: JsonObject, name: str, other: str = "") -> list[Any]:
    value = _field(record, name, other)
    return value if isinstance(value, list) else []


def _record(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    """An integer, as a number or as text."""
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            return int(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if isfinite(value) and value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: Any) -> int:
    number = _whole(value) or 0
    return number if 0 < number < LARGEST_TIME else 0


def _severity(value: Any) -> int:
    named = _SEVERITIES.get(value) if isinstance(value, str) else None
    return _whole(value) or 0 if named is None else named


def _identifier(value: Any, digits: int) -> str:
    """In lower case; nothing for one that isn't valid: no hex, of another length, or all zeros."""
    if not isinstance(value, str) or len(value) != digits:
        return ""
    try:
        return value.lower() if any(bytes.fromhex(value)) and " " not in value else ""
    except ValueError:
        return ""


def _attributes(entries: list[Any], depth: int = 0) -> JsonObject:
    return {
        entry["key"]: _value(entry.get("value"), depth)
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("key"), str)
    }


def _value(value: Any, depth: int = 0) -> Any:
    """Of an AnyValue; a plain text, number or truth value is taken as it is."""
    if not isinstance(value, dict):
        return _scalar(value)
    for name, item in value.items():
        if name in ("arrayValue", "array_value", "kvlistValue", "kvlist_value"):
            if depth >= MOST_DEPTH:
                return CUT
            values = _list(_record(item), "values")
            if name.startswith("kvlist"):
                return _attributes(values, depth + 1)
            return [_value(inner, depth + 1) for inner in values]
        if name in ("intValue", "int_value"):
            number = _whole(item)
            return _scalar(item if number is None else number)
        if name in ("doubleValue", "double_value"):
            return _double(item)
        if name in ("stringValue", "string_value", "boolValue", "bool_value", "bytesValue", "bytes_value"):
            return _scalar(item)
    return None


def _scalar(value: Any) -> Any:
    """A text, a number or a truth value; a number of more than 64 bits is none that OTLP has."""
    if isinstance(value, int) and not -_LARGEST_WHOLE < value < _LARGEST_WHOLE:
        return CUT
    return value if isinstance(value, str | int | float) else None


def _double(value: Any) -> Any:
    """A number, also one written as text; `NaN` and `Infinity` stay texts, which JSON can hold."""
    if isinstance(value, str) and len(value) < 400:
        try:
            number = float(value)
        except ValueError:
            return value
        return number if isfinite(number) else value
    return _scalar(value)
