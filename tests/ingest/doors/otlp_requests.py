"""Requests as OpenTelemetry's senders make them, in both encodings, and what comes back."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ingest.database import Connection
from tests.apis import Api

PATH = "/v1/logs"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
NOW = time.time_ns()
both_encodings = pytest.mark.parametrize("encoding", [PROTOBUF, JSON], ids=["protobuf", "json"])


def any_value(value: Any) -> AnyValue:
    found = AnyValue()
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, str):
        found.string_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, list):
        found.array_value.values.extend(map(any_value, value))
    elif isinstance(value, dict):
        found.kvlist_value.SetInParent()
        for name, item in value.items():
            found.kvlist_value.values.add(key=name).value.CopyFrom(any_value(item))
    return found


def log_record(body: Any = "it failed", severity: int = 17, attributes: Mapping[str, Any] = {}, **fields: Any) -> Any:
    record = LogRecord(**({"time_unix_nano": NOW} | fields), severity_number=severity, body=any_value(body))  # type: ignore[arg-type]
    for name, value in attributes.items():
        record.attributes.add(key=name).value.CopyFrom(any_value(value))
    return record


def request_of(*records: Any, resource: Mapping[str, Any] = {}, scope: str = "") -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    for name, value in resource.items():
        resource_logs.resource.attributes.add(key=name).value.CopyFrom(any_value(value))
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = scope
    scope_logs.log_records.extend(records)
    return request


def as_json(request: ExportLogsServiceRequest) -> bytes:
    """OTLP's JSON: protobuf's mapping, with hex ids."""
    document = MessageToDict(request, use_integers_for_enums=True)
    for number, resource_logs in enumerate(request.resource_logs):
        for inner, scope_logs in enumerate(resource_logs.scope_logs):
            for index, record in enumerate(scope_logs.log_records):
                shown = document["resourceLogs"][number]["scopeLogs"][inner]["logRecords"][index]
                shown |= {"traceId": record.trace_id.hex(), "spanId": record.span_id.hex()}
    return json.dumps(document).encode()


def field(number: int, data: bytes) -> bytes:
    """A field with a length, as it stands on the wire."""
    length, parts = len(data), bytearray([number << 3 | 2])
    while length > 127:
        parts.append(length & 127 | 128)
        length >>= 7
    return bytes(parts) + bytes([length]) + data


def nested(depth: int) -> bytes:
    """An AnyValue in `depth` arrays."""
    value = field(1, b"innermost")
    for _ in range(depth):
        value = field(5, field(1, value))
    return value


def enclosed(*records: bytes) -> bytes:
    """A request around records that need not be valid."""
    return field(1, field(2, b"".join(field(2, record) for record in records)))


def encoded(request: Any, media_type: str) -> bytes:
    if isinstance(request, bytes):
        return request
    return as_json(request) if media_type == JSON else bytes(request.SerializeToString())


def export(api: Api, request: Any, media_type: str = PROTOBUF, path: str = PATH, role: str = "ingest", **h: str) -> Any:
    return api.send(encoded(request, media_type), role, path, Content_Type=media_type, **h)


def partial_success(answer: Any) -> tuple[int, str] | None:
    """What a 200 says of refused records; None where it says nothing."""
    assert answer.status_code == 200, answer.content
    if answer.headers["content-type"] == JSON:
        partial = answer.json().get("partialSuccess")
        return None if partial is None else (int(partial["rejectedLogRecords"]), partial["errorMessage"])
    response = ExportLogsServiceResponse.FromString(answer.content)
    if not response.HasField("partial_success"):
        return None
    return response.partial_success.rejected_log_records, response.partial_success.error_message


def status_of(answer: Any) -> tuple[int, str]:
    """Code and message of a google.rpc.Status."""
    if answer.headers["content-type"] == JSON:
        return answer.json()["code"], answer.json()["message"]
    assert answer.headers["content-type"] == PROTOBUF
    status = Status.FromString(answer.content)
    return status.code, status.message


def rows(connection: Connection, columns: str) -> list[Any]:
    return connection.execute(
        f"select {columns} from error_metrics order by timestamp, title, error_id"  # type: ignore[arg-type]
    ).fetchall()


def events(connection: Connection) -> list[dict[str, Any]]:
    """The metadata of all errors, in the order of their times."""
    return [row[0] for row in rows(connection, "metadata")]
