"""What OTLP over HTTP answers: ExportLogsServiceResponse, or google.rpc.Status, in the encoding of the request."""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from ingest.doors.otlp.logs import Reading
from ingest.doors.otlp.otlp_json import read_json
from ingest.doors.otlp.protobuf import read_protobuf
from ingest.doors.problems import Answer, Problem, answer

_LONGEST = 1_000  # characters of a message
# HTTP's status → google.rpc.Code
_CODES = {401: 16, 403: 7, 404: 5, 408: 4, 413: 8, 429: 8, 503: 14}
_INVALID_ARGUMENT = 3


class Encoding(NamedTuple):
    """One of the two, by its media type."""

    media_type: bytes
    read: Callable[[bytes, int], Iterator[Reading]]


PROTOBUF = Encoding(b"application/x-protobuf", read_protobuf)
JSON = Encoding(b"application/json", read_json)
_OF_TYPE = {PROTOBUF.media_type: PROTOBUF, b"application/protobuf": PROTOBUF, JSON.media_type: JSON}


def encoding_of(content_type: bytes) -> Encoding | None:
    """The encoding that a Content-Type names, if it is one of OTLP's."""
    return _OF_TYPE.get(content_type.partition(b";")[0].strip().lower())


def taken(encoding: Encoding, refused: int, reason: str) -> Answer:
    """200; `partial_success` is set only where records were refused."""
    if encoding is JSON:
        partial = {"rejectedLogRecords": str(refused), "errorMessage": reason[:_LONGEST]}
        content = json.dumps({"partialSuccess": partial} if refused else {}).encode()
    else:
        response = ExportLogsServiceResponse()
        if refused:
            response.partial_success.rejected_log_records = refused
            response.partial_success.error_message = reason[:_LONGEST].encode("utf-8", "replace").decode()
        content = response.SerializeToString()
    return answer(200, content, encoding.media_type)


def failed(encoding: Encoding, problem: Problem) -> Answer:
    """A Status. Compression that isn't whole (422) is, in OTLP's terms, a body that can't be decoded: 400."""
    status = 400 if problem.status == 422 else problem.status
    code, message = _CODES.get(status, _INVALID_ARGUMENT), problem.detail[:_LONGEST]
    if encoding is JSON:
        content = json.dumps({"code": code, "message": message}).encode()
    else:
        text = message.encode("utf-8", "replace")
        content = b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text
    return answer(status, content, encoding.media_type, problem.headers)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
