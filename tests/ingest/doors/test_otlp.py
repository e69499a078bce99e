"""OTLP logs on a real database: which records become errors, what they carry, and what is answered."""

import gzip
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from ingest.database import Connection
from ingest.keys import create_key
from ingest.projects import create_project
from tests.apis import Api, stored
from tests.ingest.doors.otlp_requests import (
    JSON,
    NOW,
    PATH,
    PROTOBUF,
    both_encodings,
    encoded,
    events,
    export,
    log_record,
    partial_success,
    request_of,
    rows,
)

SECOND = 1_000_000_000
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STACK = (
    'Traceback (most recent call last):\n  File "/srv/app/deliver.py", line 41, in deliver\n    post(hook)\n'
    '  File "/venv/lib/python3.12/site-packages/httpx/api.py", line 9, in post\nhttpx.ConnectError: refused\n'
)


@both_encodings
def test_an_error_arrives_with_all_that_is_known_of_it(api: Api, connection: Connection, encoding: str) -> None:
    workflow, run = str(uuid4()), str(uuid4())
    record = log_record(
        "delivery failed",
        attributes={
            "exception.type": "httpx.ConnectError",
            "exception.message": "refused",
            "exception.stacktrace": STACK,
            "http.response.status_code": 502,
            "meshhook.workflow_id": workflow,
            "meshhook.run_id": run,
            "meshhook.node": "deliver",
            "meshhook.attempt": 3,
            "meshhook.max_attempts": "5",
            "meshhook.source": "webhook",
            "order": {"id": 17, "paid": True, "items": ["a", 2.5]},
            "blob": b"\x00\xff",
        },
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        event_name="delivery.failed",
        severity_text="ERROR",
    )
    resource = {
        "service.name": "hooks",
        "service.version": "1.4.2",
        "deployment.environment.name": "production",
        "host.name": "worker-7",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.2",
        "telemetry.sdk.language": "python",
        "k8s.pod.name": "hooks-5c9",
    }
    assert partial_success(export(api, request_of(record, resource=resource, scope="hooks.deliver"), encoding)) is None
    columns = "source, severity, workflow_id::text, run_id::text, title"
    assert rows(connection, columns) == [
        ("webhook", "low", workflow, run, "deliver: ConnectError: delivery failed")  # a try that will be repeated
    ]
    (metadata,) = events(connection)
    assert metadata.pop("classified_by")
    metadata.pop("fingerprint_before", None)  # with the first error of a group
    assert metadata == {
        "message": "delivery failed",
        "exception": {"type": "ConnectError", "module": "httpx", "value": "refused"},
        "stack": STACK,
        "frames": [
            {
                "file": "/srv/app/deliver.py",
                "function": "deliver",
                "line": 41,
                "in_app": True,
                "context_line": "post(hook)",
            },
            {
                "file": "/venv/lib/python3.12/site-packages/httpx/api.py",
                "function": "post",
                "line": 9,
                "in_app": False,
            },
        ],
        "http_status": 502,
        "node": "deliver",
        "attempt": 3,
        "max_attempts": 5,
        "trace_id": TRACE,
        "span_id": SPAN,
        "event_name": "delivery.failed",
        "log_level": "ERROR",
        "severity_number": 17,
        "service": "hooks",
        "release": "1.4.2",
        "environment": "production",
        "server_name": "worker-7",
        "platform": "python",
        "sdk": "opentelemetry 1.45.2",
        "logger": "hooks.deliver",
        "attributes": {"order": {"id": 17, "paid": True, "items": ["a", 2.5]}, "blob": "AP8="},
        "resource": {"k8s.pod.name": "hooks-5c9"},
    }


@both_encodings
def test_errors_and_exceptions_count_and_all_else_is_only_accepted(
    api: Api, connection: Connection, encoding: str
) -> None:
    raised = {"exception.type": "KeyError"}
    request = request_of(
        log_record("info", 9),
        log_record("last warning", 16),
        log_record("error", 17),
        log_record("fatal", 21),
        log_record("caught", 13, raised),
        log_record("unsaid", 0, raised),
        log_record("unsaid and no exception", 0),
    )
    assert partial_success(export(api, request, encoding)) is None
    assert sorted(rows(connection, "metadata->>'message', severity")) == [
        ("caught", "low"),
        ("error", "medium"),
        ("fatal", "high"),
        ("unsaid", "medium"),
    ]
    metrics = api.client.get("/metrics").text
    assert 'meshhook_errors_otlp_records_total{outcome="kept"} 4.0' in metrics
    assert 'meshhook_errors_otlp_records_total{outcome="below_error"} 3.0' in metrics


def test_the_severity_may_stand_in_the_text_alone(api: Api, connection: Connection) -> None:
    export(api, request_of(log_record("a", 0, severity_text="Error"), log_record("b", 0, severity_text="info")))
    assert [event["message"] for event in events(connection)] == ["a"]


@both_encodings
def test_a_retried_request_is_a_duplicate_and_equal_records_of_one_request_are_not(
    api: Api, connection: Connection, encoding: str
) -> None:
    twice = log_record("the same, twice", attributes={"b": 1, "a": [1, "x"]})
    request = request_of(twice, twice, log_record("another"), log_record("without a time", time_unix_nano=0))
    for _ in range(3):
        assert partial_success(export(api, request, encoding)) is None
    assert stored(connection) == 4


def test_a_request_in_the_other_encoding_is_a_duplicate_too(api: Api, connection: Connection) -> None:
    request = request_of(log_record(attributes={"n": 1, "f": 0.5, "t": ["x", {"y": True}], "b": b"ab"}), scope="s")
    for encoding in (PROTOBUF, JSON):
        export(api, request, encoding)
    assert stored(connection) == 1


def test_records_that_differ_in_anything_are_errors_of_their_own(api: Api, connection: Connection) -> None:
    requests = [
        request_of(log_record()),
        request_of(log_record("body")),
        request_of(log_record(time_unix_nano=NOW + 1)),
        request_of(log_record(attributes={"a": 1})),
        request_of(log_record(trace_id=bytes.fromhex(TRACE))),
        request_of(log_record(span_id=bytes.fromhex(SPAN))),
        request_of(log_record(), resource={"host.name": "b"}),
        request_of(log_record(), scope="b"),
    ]
    for count, request in enumerate(requests, 1):
        export(api, request)
        assert stored(connection) == count


def test_ids_sort_by_time_and_a_given_one_is_used(api: Api, connection: Connection) -> None:
    given = str(uuid4())
    export(
        api,
        request_of(
            *[log_record(f"{number}", time_unix_nano=NOW - number * 1_000_000_000) for number in range(20)],
            log_record("given", time_unix_nano=NOW - 10**12, attributes={"log.record.uid": given}),
            log_record(
                "no uuid", time_unix_nano=NOW - 10**11, attributes={"log.record.uid": "01JABCDEFGHJKMNPQRSTVWXYZ0"}
            ),
        ),
    )
    first, *others = [UUID(row[0]) for row in rows(connection, "error_id::text")]
    assert str(first) == given
    assert others == sorted(others)
    assert {(identifier.version, identifier.variant) for identifier in others} == {(8, "specified in RFC 4122")}
    assert others[0].int >> 80 == (NOW - 10**11) // 1_000_000


@both_encodings
def test_an_absurd_time_loses_no_record(api: Api, connection: Connection, encoding: str) -> None:
    cases = {
        "time": (NOW - SECOND, NOW, NOW - SECOND),
        "observed": (0, NOW - SECOND, NOW - SECOND),
        "absurd time": (5, NOW - SECOND, NOW - SECOND),
        "far future": (2**64 - 1, NOW - SECOND, NOW - SECOND),
        "none": (0, 0, None),
        "both absurd": (2**64 - 1, 2**63, None),
    }
    records = [
        log_record(name, time_unix_nano=given, observed_time_unix_nano=observed)
        for name, (given, observed, _) in cases.items()
    ]
    assert partial_success(export(api, request_of(*records), encoding)) is None
    found = rows(connection, "metadata->>'message', timestamp, received_at, metadata->>'timestamp_given'")
    assert {name for name, *_ in found} == cases.keys()
    assert {name for name, *_, given in found if given} == {"absurd time", "far future", "both absurd"}
    for name, moment, received, _ in found:
        expected = cases[name][2]
        if expected is None:
            assert datetime.fromtimestamp(NOW / 1e9, UTC) < moment <= received
        else:
            assert round(moment.timestamp(), 3) == round(expected / 1e9, 3)


def test_one_exception_without_a_stack_is_placed_by_the_code_that_logged_it(api: Api, connection: Connection) -> None:
    new = {"code.function.name": "shop.Cart.pay", "code.file.path": "/srv/cart.py", "code.line.number": 7}
    old = {"code.function": "pay", "code.namespace": "shop.Cart", "code.filepath": "/srv/cart.py", "code.lineno": 7}
    raised = {"exception.type": "java.lang.IllegalStateException", "code.column.number": 3}
    export(api, request_of(log_record("a", attributes=new | raised), log_record("b", attributes=old)))
    first, second = sorted(events(connection), key=lambda event: event["message"])
    place = {"file": "/srv/cart.py", "function": "pay", "module": "shop.Cart", "line": 7, "in_app": True}
    assert first["frames"] == [place | {"column": 3}]
    assert first["exception"] == {"type": "IllegalStateException", "module": "java.lang"}
    assert second["location"] == place
    assert "frames" not in second


def test_plain_messages_of_one_function_are_grouped_by_what_they_say(api: Api, connection: Connection) -> None:
    place = {"code.function.name": "run", "code.file.path": "run.py"}
    for message in ("disk 1 is full", "disk 2 is full", "no such queue"):
        export(api, request_of(log_record(message, attributes=place)))
    assert connection.execute("select count(distinct fingerprint) from error_metrics").fetchall() == [(2,)]


def test_the_message_is_what_somebody_said(api: Api, connection: Connection) -> None:
    cases: list[tuple[Any, dict[str, str], str]] = [
        ("said", {"exception.message": "raised"}, "said"),
        ("", {"exception.message": "raised"}, "raised"),
        ({"message": "inside", "code": 3}, {}, "inside"),
        ({"code": 3}, {}, '{"code":3}'),
        (["a", 1], {}, '["a",1]'),
        (17, {}, "17"),
    ]
    records = [
        log_record(body, attributes=attributes, time_unix_nano=NOW - (len(cases) - number) * SECOND)
        for number, (body, attributes, _) in enumerate(cases)
    ]
    export(api, request_of(*records))
    for event, (body, _, message) in zip(events(connection), cases, strict=True):
        assert event["message"] == message
        assert event.get("body") == (body if isinstance(body, dict | list) else None)


def test_older_names_of_attributes_are_known(api: Api, connection: Connection) -> None:
    resource = {"deployment.environment": "staging", "meshhook.node": "crm"}
    export(api, request_of(log_record(attributes={"http.status_code": 503}), resource=resource))
    (event,) = events(connection)
    assert (event["environment"], event["node"], event["http_status"]) == ("staging", "crm", 503)
    assert not {"attributes", "resource"} & event.keys()


def test_secrets_are_masked_in_the_stack_in_attributes_and_in_the_body(api: Api, connection: Connection) -> None:
    attributes = {
        "http.request.header.authorization": "Bearer s3cretvalue",
        "db.password": "s3cretvalue",
        "exception.stacktrace": STACK + "url = https://user:s3cretvalue@host/",
        "ours": {"api_key": "s3cretvalue"},
    }
    export(api, request_of(log_record({"password": "s3cretvalue"}, attributes=attributes)))
    assert stored(connection) == 1
    assert "s3cretvalue" not in str(rows(connection, "title, metadata::text"))


def test_an_id_that_is_not_valid_is_left_out(api: Api, connection: Connection) -> None:
    export(api, request_of(log_record(trace_id=bytes(16), span_id=b"short")))
    document = {"severityNumber": 17, "traceId": "zz" * 16, "spanId": "S/BnqgupArc="}
    export(api, json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [document]}]}]}).encode(), JSON)
    assert stored(connection) == 2
    assert not any({"trace_id", "span_id"} & event.keys() for event in events(connection))


def test_json_is_taken_in_every_spelling(api: Api, connection: Connection) -> None:
    camel = {
        "timeUnixNano": str(NOW),
        "severityNumber": "SEVERITY_NUMBER_ERROR",
        "traceId": TRACE.upper(),
        "body": {"stringValue": "x"},
        "attributes": [{"key": "n", "value": {"intValue": "9007199254740993"}}],
        "later": {"unknown": []},
    }
    snake = {
        "time_unix_nano": NOW,
        "severity_number": 17,
        "trace_id": TRACE,
        "body": {"string_value": "x"},
        "attributes": [{"key": "n", "value": {"int_value": 9007199254740993}}],
        "event_name": None,
    }
    for record, outer, inner, list_ in (
        (camel, "resourceLogs", "scopeLogs", "logRecords"),
        (snake, "resource_logs", "scope_logs", "log_records"),
    ):
        body = {outer: [{"resource": None, inner: [{list_: [record], "scope": {}}]}], "unknown": 1}
        assert partial_success(export(api, json.dumps(body).encode(), f"{JSON}; charset=utf-8")) is None
    (event,) = events(connection)  # the second is a duplicate: they say the same
    assert (event["trace_id"], event["attributes"], event["message"]) == (TRACE, {"n": 9007199254740993}, "x")


@both_encodings
def test_a_compressed_request_and_an_empty_one_are_taken(api: Api, connection: Connection, encoding: str) -> None:
    body = gzip.compress(encoded(request_of(log_record()), encoding))
    assert partial_success(export(api, body, encoding, Content_Encoding="gzip")) is None
    assert partial_success(export(api, request_of(), encoding)) is None
    assert stored(connection) == 1


PROJECT = "7f1d1c7e-0000-4000-8000-00000000000a"


def test_a_project_is_named_by_the_request_by_the_resource_or_by_the_key(api: Api, connection: Connection) -> None:
    shop = create_project(connection, "shop", UUID(PROJECT))
    api.keys["shop"] = create_key(connection, "shop", "ingest", project_number=shop.number)
    export(api, request_of(log_record("request")), path=f"{PATH}?project={shop.number}")
    export(api, request_of(log_record("resource"), resource={"meshhook.project_id": PROJECT}))
    export(api, request_of(log_record("number"), resource={"meshhook.project_id": shop.number}))
    export(api, request_of(log_record("key")), role="shop")
    assert rows(connection, "distinct project_id::text, timestamp, title, error_id")[0][0] == PROJECT
    assert connection.execute("select project_id::text, count(*) from error_metrics group by 1").fetchall() == [
        (PROJECT, 4)
    ]
    export(api, request_of(log_record("nobody's"), resource={"meshhook.project_id": "acme"}))
    (found,) = connection.execute(
        "select metadata->>'project_id_given' from error_metrics where project_id is null"
    ).fetchall()
    assert found == ("acme",)
