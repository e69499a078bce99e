"""OTLP's protobuf encoding, read level by level: what is broken in one record is broken in that one alone.

The messages are those of opentelemetry-proto with two changes. Texts are bytes, because some senders (the Collector
among them) pass on texts that aren't UTF-8, for which protobuf would refuse the whole request. And the parts down to
the single record are bytes too, so that each is parsed by itself, counted before it is made, and gone before the next.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from ingest.doors.otlp.logs import (
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

_LARGE = 1_000_000  # bytes, from which the parts of a message are counted before they are made
_MOST_PARTS = 2_000_000
_LIST_TAGS = (b"\x0a", b"\x12", b"\x8a", b"\x92")  # how a resource, a scope or a record begins
_VALUE_TAGS = (b"\x0a", b"\x32", b"\x8a", b"\xb2")  # how a value or an attribute begins
_UNREADABLE: JsonObject = {"…": "[can't be read]"}
_TRACE_BYTES, _SPAN_BYTES = 16, 8

# Parsed by themselves.
_PARTS = frozenset(
    """ExportLogsServiceRequest.resource_logs ResourceLogs.resource ResourceLogs.scope_logs ScopeLogs.scope
    ScopeLogs.log_records""".split()
)


def _lenient(module: Any) -> FileDescriptorProto:
    file = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    del file.service[:]
    for message in file.message_type:
        for field in message.field:
            is_part = f"{message.name}.{field.name}" in _PARTS
            if is_part or field.type == FieldDescriptorProto.TYPE_STRING:
                field.type = FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
    return file


def _messages() -> dict[str, type[Message]]:
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2, logs_service_pb2):
        pool.Add(_lenient(module))
    names = {
        "request": "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
        "resource logs": "opentelemetry.proto.logs.v1.ResourceLogs",
        "scope logs": "opentelemetry.proto.logs.v1.ScopeLogs",
        "record": "opentelemetry.proto.logs.v1.LogRecord",
        "resource": "opentelemetry.proto.resource.v1.Resource",
        "scope": "opentelemetry.proto.common.v1.InstrumentationScope",
    }
    return {short: GetMessageClass(pool.FindMessageTypeByName(name)) for short, name in names.items()}


_MESSAGES = _messages()


def read_protobuf(body: bytes, most: int) -> Iterator[Reading]:
    """The records of an ExportLogsServiceRequest. Raises Problem: 400 for none, 413 above `most` records."""
    if len(body) > _LARGE and sum(map(body.count, _LIST_TAGS)) > _MOST_PARTS:
        raise Problem(413, f"The body holds more than {_MOST_PARTS} parts. Send less at once.")
    try:
        request = _parsed("request", body)
    except DecodeError as error:
        raise Problem(400, f"The body can't be read as an ExportLogsServiceRequest: {error}.") from None
    scopes = records = 0
    _check(len(request.resource_logs), most)
    for part in request.resource_logs:
        try:
            resource_logs = _parsed("resource logs", part)
        except DecodeError as error:
            yield Refused(f"These resource logs can't be read: {error}.")
            continue
        resource = _resource(resource_logs.resource)
        scopes += len(resource_logs.scope_logs)
        _check(scopes, most)
        for inner in resource_logs.scope_logs:
            try:
                scope_logs = _parsed("scope logs", inner)
            except DecodeError as error:
                yield Refused(f"These scope logs can't be read: {error}.")
                continue
            records += len(scope_logs.log_records)
            _check(records, most)
            shared = _origin(resource, scope_logs.scope)
            yield from (_reading(record, shared) for record in scope_logs.log_records)


def _check(count: int, most: int) -> None:
    if count > most:
        raise Problem(413, f"More than {most} records in one request. Send fewer at once.")


def _parsed(name: str, data: bytes) -> Any:
    return _MESSAGES[name].FromString(data)


def _resource(data: bytes) -> Resource:
    try:
        return resource_of(_attributes(_parsed("resource", data).attributes))
    except DecodeError:
        return resource_of(_UNREADABLE)


def _origin(resource: Resource, data: bytes) -> Origin:
    try:
        scope = _parsed("scope", data)
    except DecodeError:
        return origin(resource, attributes=_UNREADABLE)
    return origin(resource, _text(scope.name), _text(scope.version), _attributes(scope.attributes))


def _reading(data: bytes, shared: Origin) -> Reading:
    """One record. A very large one is only parsed where few values can be in it."""
    if len(data) > _LARGE and sum(map(data.count, _VALUE_TAGS)) > _LARGE:
        return Refused(f"The record may hold more than {_LARGE} values.")
    try:
        record = _parsed("record", data)
    except DecodeError as error:
        return Refused(f"The record can't be read: {error}.")
    severity_text = _text(record.severity_text)
    severity = severity_of(record.severity_number, severity_text)
    if not counts_as_error(severity, (_text(entry.key) for entry in record.attributes)):
        return None
    return LogRecord(
        shared,
        record.time_unix_nano,
        record.observed_time_unix_nano,
        severity,
        severity_text,
        _value(record.body),
        _attributes(record.attributes),
        _identifier(record.trace_id, _TRACE_BYTES),
        _identifier(record.span_id, _SPAN_BYTES),
        _text(record.event_name),
    )


def _identifier(data: bytes, length: int) -> str:
    """As hex; nothing for one that isn't valid: of another length, or all zeros."""
    return data.hex() if len(data) == length and any(data) else ""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _attributes(entries: Any, depth: int = 0) -> JsonObject:
    return {_text(entry.key): _value(entry.value, depth) for entry in entries}


def _value(value: Any, depth: int = 0) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _text(value.string_value)
    if kind in ("bool_value", "int_value", "double_value"):
        return getattr(value, kind)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if kind not in ("array_value", "kvlist_value"):  # nothing, or what a later version knows
        return None
    if depth >= MOST_DEPTH:
        return CUT
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values, depth + 1)
    return [_value(item, depth + 1) for item in value.array_value.values]
