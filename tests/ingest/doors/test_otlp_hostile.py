"""OTLP requests that are broken, huge or absurd: each record is judged by itself, and nothing gives a 5xx."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.types import Message

from ingest.access import Access
from ingest.database import Connection
from ingest.doors.gate import Gate, Visit
from ingest.doors.otlp import take_logs
from ingest.doors.otlp.logs import MOST_DEPTH
from ingest.doors.room import Room, Share
from ingest.keys import create_key
from ingest.settings import Settings
from ingest.spool import Spool
from ingest.writer import Writer
from jobs.api import create_app
from tests.apis import Api, stored
from tests.fuzzing import examples
from tests.ingest.doors.otlp_requests import (
    JSON,
    PATH,
    PROTOBUF,
    enclosed,
    events,
    export,
    field,
    log_record,
    nested,
    partial_success,
    request_of,
    rows,
    status_of,
)


def test_a_broken_record_sinks_no_neighbour(api: Api, connection: Connection) -> None:
    request = request_of(log_record("before"), log_record("VICTIM"), log_record("after"))
    broken = request.SerializeToString().replace(b"\x2a\x08\x0a\x06VICTIM", b"\x2a\x7f\x0a\x06VICTIM")
    refused = partial_success(export(api, broken))
    assert refused is not None
    assert (refused[0], "Record 1" in refused[1]) == (1, True)
    assert [event["message"] for event in events(connection)] == ["after", "before"]
    odd = {"resourceLogs": [17, {"scopeLogs": ["x", {"logRecords": [None, {"severityNumber": 17}]}]}]}
    refused = partial_success(export(api, json.dumps(odd).encode(), JSON))
    assert refused is not None
    assert (refused[0], stored(connection)) == (3, 3)


def test_a_text_that_is_not_utf8_is_repaired(api: Api, connection: Connection) -> None:
    request = request_of(log_record("caf_", attributes={"k_y": "v_l"}), resource={"service.name": "sh_p"})
    body = request.SerializeToString().replace(b"_", b"\xe9")
    assert partial_success(export(api, body)) is None
    (event,) = events(connection)
    assert (event["message"], event["service"], event["attributes"]) == (
        "caf\ufffd",
        "sh\ufffdp",
        {"k\ufffdy": "v\ufffdl"},
    )


def test_a_large_resource_is_not_copied_whole_into_each_record(api: Api, connection: Connection) -> None:
    resource = {f"label.{number:04}": "x" * 300 for number in range(200)} | {
        "service.name": "shop",
        "long": "y" * 9_000,
    }
    export(api, request_of(*[log_record(f"{number}") for number in range(30)], resource=resource))
    found = rows(connection, "metadata->>'service', length(metadata::text), metadata->'resource'->>'…'")
    assert len(found) == 30
    assert all(service == "shop" and size < 12_000 and "cut" in mark for service, size, mark in found)


def test_nesting_without_end_costs_at_most_the_record(api: Api, connection: Connection) -> None:
    for depth in (20, 31, 32, 60, 300):
        deep = log_record("deep").SerializeToString() + field(6, field(1, b"deep") + field(2, nested(depth)))
        before = stored(connection)
        answer = export(api, enclosed(deep, log_record(f"neighbour {depth}").SerializeToString()))
        refused = partial_success(answer)
        assert (refused is None) == (depth <= 32)
        assert stored(connection) - before == (2 if refused is None else 1)


def test_nesting_without_end_is_cut_in_json(api: Api, connection: Connection) -> None:
    for depth in (20, 31, 32, 60, 300):
        value = '{"arrayValue":{"values":[' * depth + "1" + "]}}" * depth
        record = f'{{"severityNumber":17,"eventName":"{depth}","attributes":[{{"key":"deep","value":{value}}}]}}'
        neighbour = f'{{"severityNumber":17,"eventName":"neighbour {depth}"}}'
        body = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{neighbour},{record}]}}]}}]}}'.encode()
        before = stored(connection)
        answer = export(api, body, JSON)
        assert (answer.status_code, stored(connection) - before) in ((200, 2), *([(400, 0)] if depth > 32 else []))
    brackets = [str(event["attributes"]).count("[") for event in events(connection) if "attributes" in event]
    assert max(brackets) == MOST_DEPTH + 1  # that of the mark counts too


def test_a_small_body_may_not_become_millions_of_values(options: Settings, connection: Connection) -> None:
    keys = {"ingest": create_key(connection, "worker", "ingest")}
    with TestClient(create_app(options.model_copy(update={"max_body_bytes": 10_000_000}))) as client:
        api = Api(client, keys)

        def send(body: bytes, encoding: str = PROTOBUF) -> Any:
            return export(api, gzip.compress(body), encoding, Content_Encoding="gzip")

        values = send(enclosed(log_record("many").SerializeToString() + b"\x32\x00" * 1_500_000))
        parts = send(b"\x0a\x00" * 3_000_000)
        texts = send(b'{"resourceLogs":[' + b"[]," * 2_000_000 + b"[]]}", JSON)
    assert [answer.status_code for answer in (values, parts, texts)] == [400, 413, 413]
    assert "values" in status_of(values)[1]
    assert "parts" in status_of(parts)[1]
    assert stored(connection) == 0


def test_what_a_small_request_grows_to_needs_room_too(options: Settings, connection: Connection) -> None:
    keys = {"ingest": create_key(connection, "worker", "ingest")}
    records, resource = (
        [log_record(f"{number}") for number in range(100)],
        {f"k{number}": "v" * 900 for number in range(9)},
    )
    with TestClient(create_app(options.model_copy(update={"max_inflight_bytes": 400_000}))) as client:
        api = Api(client, keys)
        answer = export(api, request_of(*records, resource=resource))
        assert (answer.status_code, answer.headers["retry-after"], stored(connection)) == (429, "2", 0)
        assert partial_success(export(api, request_of(*records[:20], resource=resource))) is None
        assert "meshhook_errors_body_bytes 0.0" in client.get("/metrics").text


@pytest.mark.parametrize(
    "body", [field(1, b"") * 501, field(1, field(2, b"") * 501), field(1, field(2, field(2, b"") * 501))]
)
def test_empty_parts_are_counted_too(api: Api, body: bytes) -> None:
    answer = export(api, body)
    assert (answer.status_code, "More than 500" in status_of(answer)[1]) == (413, True)


def test_a_long_text_is_cut_and_not_refused(options: Settings, connection: Connection) -> None:
    keys = {"ingest": create_key(connection, "worker", "ingest")}
    with TestClient(create_app(options.model_copy(update={"max_body_bytes": 10_000_000}))) as client:
        assert partial_success(export(Api(client, keys), request_of(log_record("so it began\n" * 200_000)))) is None
    ((title, size),) = rows(connection, "title, length(metadata::text)")
    assert (title, size < 262_144) == ("so it began", True)


def test_what_postgres_alone_would_refuse_is_stored_all_the_same(api: Api, connection: Connection) -> None:
    values = (
        rb'{"stringValue":"a\u0000b"}',
        rb'{"stringValue":"\ud800"}',
        b'{"doubleValue":1e400}',
        b'{"doubleValue":"NaN"}',
        b'{"intValue":' + b"9" * 4_000 + b"}",
        b'{"intValue":' + b"9" * 5_000 + b"}",
        b'{"intValue":"' + b"9" * 5_000 + b'"}',
    )
    records = b",".join(b'{"severityNumber":17,"attributes":[{"key":"odd","value":%s}]}' % value for value in values)
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + records + b"]}]}]}"
    assert partial_success(export(api, body, JSON)) is None
    odd = (b"a\0b", float("nan"), float("inf"), 2**63 - 1)
    nul = log_record("a\0b", attributes={f"k{number}": value for number, value in enumerate(odd)})
    assert partial_success(export(api, request_of(nul))) is None
    assert stored(connection) == len(values) + 1


def test_a_large_request_lets_others_have_their_turn(database_url: str, connection: Connection, tmp_path: Path) -> None:
    key = create_key(connection, "worker", "ingest")
    writer = Writer(database_url, Spool(tmp_path, 0))
    gate = Gate(Access(database_url), writer, Room(10_000_000), max_body_bytes=10_000_000, max_batch=10_000)
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", PROTOBUF.encode())]
    scope = {"type": "http", "path": PATH, "method": "POST", "query_string": b"", "headers": headers}

    async def turns(body: bytes) -> int:
        """How often something else got its turn meanwhile."""
        counted = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def count() -> None:
            nonlocal counted
            while True:
                counted += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        answer = await take_logs(Visit(scope, receive, Share(gate.room)), gate)
        counting.cancel()
        assert answer.start["status"] == 200
        return counted

    async def compared() -> tuple[int, int]:
        await turns(b"")  # the key is remembered from now on
        return await turns(b""), await turns(request_of(*[log_record("info", 9)] * 10_000).SerializeToString())

    of_none, of_many = asyncio.run(compared())
    assert of_none == 0
    assert of_many > 0


RECORD = log_record(
    "victim",
    attributes={"exception.type": "a.B", "exception.stacktrace": 'File "x", line 1, in y', "n": [1, {"k": 2.5}]},
).SerializeToString()
SETTINGS = settings(
    max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(
    """key value values stringValue intValue doubleValue boolValue bytesValue arrayValue kvlistValue attributes body
    severityNumber severityText timeUnixNano observedTimeUnixNano traceId spanId eventName exception.type
    exception.stacktrace code.lineno meshhook.project_id meshhook.source log.record.uid""".split()
)
DOCUMENTS = st.recursive(
    SCALARS | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with some bytes changed, and perhaps cut."""
    changed = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed[: draw(st.integers(0, len(changed)) | st.just(len(changed)))])


@given(body=st.binary(max_size=300) | mutated(enclosed(RECORD, RECORD)))
@SETTINGS
def test_no_bytes_give_a_server_error(api: Api, body: bytes) -> None:
    for encoding in (PROTOBUF, JSON):
        assert export(api, body, encoding).status_code in (200, 400)


@given(victim=mutated(RECORD) | st.binary(max_size=200), rest=st.binary(max_size=30))
@SETTINGS
def test_no_broken_record_loses_a_neighbour(api: Api, connection: Connection, victim: bytes, rest: bytes) -> None:
    names = [uuid4().hex, uuid4().hex]
    before, after = (log_record(name).SerializeToString() for name in names)
    body = enclosed(before, victim, after) + field(1, rest)
    assert export(api, body).status_code == 200
    found = connection.execute("select count(*) from error_metrics where metadata->>'message' = any(%s)", [names])
    assert found.fetchall() == [(2,)]


@given(victim=DOCUMENTS, resource=DOCUMENTS, scope=DOCUMENTS, attributes=DOCUMENTS)
@SETTINGS
def test_no_odd_json_loses_a_neighbour(
    api: Api, connection: Connection, victim: Any, resource: Any, scope: Any, attributes: Any
) -> None:
    name = uuid4().hex
    neighbour = {"severityNumber": 17, "body": {"stringValue": name}}
    odd = {"severityNumber": 17, "attributes": attributes}
    logs = {"resource": resource, "scopeLogs": [victim, {"scope": scope, "logRecords": [victim, odd, neighbour]}]}
    body = json.dumps({"resourceLogs": [victim, logs]}).encode()
    assert export(api, body, JSON).status_code == 200
    found = connection.execute("select count(*) from error_metrics where metadata->>'message' = %s", [name])
    assert found.fetchall() == [(1,)]
