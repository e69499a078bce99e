"""The API on a real database: what it takes, what it refuses, and what it answers."""

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import zstandard
from starlette.testclient import TestClient

from ingest.database import Connection, connect
from ingest.keys import create_key
from ingest.settings import Settings
from jobs.api import create_app
from jobs.mirror import Mirror
from jobs.tally import Tally
from tests.seeding import insert_many, insert_report

SECRET_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Api:
    """A client for each role."""

    def __init__(self, client: TestClient, keys: dict[str, str]) -> None:
        self.client = client
        self.keys = keys

    def send(self, body: Any, role: str = "ingest", path: str = "/api/error-events", **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        all_headers = {"Authorization": f"Bearer {self.keys[role]}", "Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.client.post(path, content=content, headers=all_headers)

    def get(self, path: str, role: str = "read", **parameters: Any) -> Any:
        return self.client.get(path, params=parameters, headers={"Authorization": f"Bearer {self.keys[role]}"})


@pytest.fixture
def options(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,  # type: ignore[arg-type]  # pydantic wraps the secret
        lake_url=str(tmp_path / "lake"),
        data_dir=tmp_path,
        secret_key=SECRET_KEY,  # type: ignore[arg-type]
        max_body_bytes=100_000,
        max_batch=500,
    )


@pytest.fixture
def api(options: Settings, connection: Connection) -> Iterator[Api]:
    keys = {role: create_key(connection, role, role) for role in ("ingest", "read", "admin")}  # type: ignore[arg-type]
    with TestClient(create_app(options)) as client:
        yield Api(client, keys)


def stored(connection: Connection) -> int:
    row = connection.execute("select count(*) from error_metrics").fetchone()
    assert row is not None
    return int(row[0])


# Capture --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "count"),
    [
        pytest.param(b'{"message": "one"}', "application/json", 1, id="object"),
        pytest.param(b'[{"message": "one"}, {"message": "two"}]', "application/json", 2, id="array"),
        pytest.param(b'{"message": "one"}\n\n{"message": "two"}\n', "application/x-ndjson", 2, id="ndjson"),
        pytest.param(b'{"message": "one"}\n{"message": "two"}', "application/json", 2, id="ndjson-undeclared"),
        pytest.param(b"[]", "application/json", 0, id="empty-array"),
        pytest.param(b"{}", "", 1, id="empty-object"),
    ],
)
def test_it_takes(api: Api, connection: Connection, body: bytes, content_type: str, count: int) -> None:
    answer = api.send(body, Content_Type=content_type)
    assert (answer.status_code, answer.json()) == (202, {"accepted": count, "duplicates": 0, "rejected": []})
    assert stored(connection) == count


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
    ],
)
def test_it_takes_compressed_bodies(api: Api, connection: Connection, encoding: str, compress: Any) -> None:
    assert api.send(compress(b'{"message": "one"}'), Content_Encoding=encoding).status_code == 202
    assert stored(connection) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        pytest.param(b"", {}, 422, "body is empty", id="empty"),
        pytest.param(b"{not json", {}, 422, "isn't JSON", id="not-json"),
        pytest.param(b"[" * 100_000, {}, 422, "isn't JSON", id="too-deep"),
        pytest.param(b"x" * 100_001, {}, 413, "larger than 100000", id="too-large"),
        pytest.param(json.dumps([{}] * 501).encode(), {}, 413, "501 items", id="too-many"),
        pytest.param(b"{}", {"Content_Encoding": "br"}, 415, "isn't understood", id="unknown-encoding"),
        pytest.param(b"{}", {"Content_Encoding": "gzip"}, 422, "valid gzip", id="not-gzip"),
        pytest.param(b"{}", {"Content_Encoding": "zstd"}, 422, "valid zstd", id="not-zstd"),
        pytest.param(
            gzip.compress(b"[" + b" " * 10_000_000 + b"]"), {"Content_Encoding": "gzip"}, 413, "larger", id="bomb"
        ),
        pytest.param(
            zstandard.ZstdCompressor().compress(b" " * 10_000_000),
            {"Content_Encoding": "zstd"},
            413,
            "larger",
            id="zbomb",
        ),
        pytest.param(b'{"source": "kitchen"}', {}, 422, "source: must be one of", id="bad-event"),
        pytest.param(b"17", {}, 422, "is a JSON object", id="no-object"),
    ],
)
def test_it_refuses_and_says_why(
    api: Api, connection: Connection, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = api.send(body, **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert stored(connection) == 0


def test_a_bad_item_sinks_no_neighbour(api: Api, connection: Connection) -> None:
    body = b'{"message": "good"}\n{broken\n{"error_id": "nope"}\n[1]\n{"message": "good too"}'
    answer = api.send(body, Content_Type="application/x-ndjson").json()
    assert (answer["accepted"], [item["index"] for item in answer["rejected"]]) == (2, [1, 2, 3])
    assert stored(connection) == 2


def test_what_postgres_alone_would_refuse_is_stored_all_the_same(api: Api, connection: Connection) -> None:
    body = (
        rb'[{"message": "a\u0000b"}, {"message": "\ud800 alone"}, {"metadata": {"n": 1e400}}, {"message": "\\ \t \n"}]'
    )
    assert api.send(body).json()["accepted"] == 4
    texts = [
        row[0] for row in connection.execute("select metadata->>'message' from error_metrics where title like '%'")
    ]
    assert "\\ \t \n" in texts


def test_a_resend_is_a_duplicate_also_a_day_later_and_within_a_request(api: Api, connection: Connection) -> None:
    event = {"error_id": str(uuid4()), "message": "once"}
    assert api.send([event, event]).json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    connection.execute("update error_metrics set received_at = received_at - interval '1 day'")
    assert api.send(event).json() == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert stored(connection) == 1


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), ("Bearer nonsense", 401), ("Basic abc", 401), ("read", 403)],
)
def test_without_a_fitting_key_nothing_is_taken(api: Api, header: str | None, status: int) -> None:
    value = f"Bearer {api.keys['read']}" if header == "read" else header
    answer = api.client.post(
        "/api/error-events", content=b"{}", headers={} if value is None else {"Authorization": value}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_executions_are_taken_and_impossible_ones_refused(api: Api, connection: Connection) -> None:
    report = {"report_id": str(uuid4()), "finished": 10, "failed": 2}
    body = [
        report,
        report,
        {"finished": 1, "failed": 2},
        {"finished": -1},
        {"finished": 1, "timestamp": "2099-01-01T00:00Z"},
    ]
    answer = api.send(body, path="/api/executions").json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    reasons = [item["error"] for item in answer["rejected"]]
    assert "failed can't be larger than finished" in reasons[0]
    assert "greater than or equal to 0" in reasons[1]
    assert "in the future" in reasons[2]
    assert connection.execute("select finished, failed from execution_metrics").fetchall() == [(10, 2)]


# Reading --------------------------------------------------------------------------------------


def publish(options: Settings) -> None:
    with connect(options.database_url.get_secret_value(), "test") as session:
        Mirror(session, options.lake_dir, max_rows=1000, max_lag_seconds=1).tick(everything=True)


@pytest.mark.parametrize("interval", ["10s", "1m", "1h"])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"severity": "high"},
        {"source": ["worker", "webhook"], "error_type": "execution"},
        {"workflow_id": "00000000-0000-0000-0000-000000000003"},
        {"fingerprint": "1-4"},
    ],
    ids=lambda filters: "+".join(filters) or "all",
)
def test_rollup_rows_and_lake_give_the_same_numbers(
    api: Api, options: Settings, connection: Connection, interval: str, filters: dict[str, Any]
) -> None:
    """The same range from the rollup, from rows above the watermark, from parts, and from a mixture of them."""
    end = datetime.now(UTC) + timedelta(minutes=1)
    short = {"interval": interval, "start": (end - timedelta(hours=3)).isoformat(), "end": end.isoformat()} | filters
    long = short | {"start": (end - timedelta(hours=20)).isoformat()}

    def counted(parameters: dict[str, Any]) -> list[dict[str, Any]]:
        buckets = api.get("/api/error-metrics", **parameters).json()["buckets"]
        return [bucket for bucket in buckets if bucket["errors"] or bucket["finished"]]

    insert_many(connection, 700)
    insert_report(connection, 50, 5)
    expected = counted(short)
    assert sum(bucket["errors"] for bucket in expected) > 0
    assert counted(long) == expected
    Tally(connection).tick()
    assert counted(short) == expected
    publish(options)
    assert counted(long) == expected
    insert_many(connection, 70, over=timedelta(minutes=5))
    Tally(connection).tick()
    assert counted(long) == counted(short) != expected


def test_groups_add_up_to_the_whole(api: Api, connection: Connection) -> None:
    insert_many(connection, 300)
    for column in ("source", "severity", "error_type", "fingerprint", "workflow_id"):
        buckets = api.get("/api/error-metrics", interval="1d", group_by=column).json()["buckets"]
        assert sum(bucket["errors"] for bucket in buckets) == 300, column
        assert all(bucket["group"] for bucket in buckets)


def test_an_unknown_rate_is_null_and_a_known_one_counts_each_execution_once(api: Api, connection: Connection) -> None:
    insert_many(connection, 10)
    buckets = api.get("/api/error-metrics", interval="1d").json()["buckets"]
    assert {bucket["error_rate"] for bucket in buckets} == {None}
    insert_report(connection, 200, 5)
    rates = {bucket["error_rate"] for bucket in api.get("/api/error-metrics", interval="1d").json()["buckets"]}
    assert 0.025 in rates


def test_events_are_complete_while_a_part_is_published(api: Api, options: Settings, connection: Connection) -> None:
    insert_many(connection, 120, over=timedelta(hours=30))
    publish(options)
    insert_many(connection, 30)
    start = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/api/error-events", start=start, limit=40, **cursor).json()
        seen += [event["timestamp"] + event["error_id"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == len(set(seen)) == 150
    assert seen == sorted(seen, reverse=True)


def test_an_event_is_found_in_postgres_and_in_the_lake(api: Api, options: Settings, connection: Connection) -> None:
    error_id = str(uuid4())
    api.send({"error_id": error_id, "message": "where is it", "metadata": {"tags": {"a": "b"}}})
    fresh = api.get(f"/api/error-events/{error_id}").json()
    publish(options)
    connection.execute("delete from error_metrics")
    kept = api.get(f"/api/error-events/{error_id}").json()
    assert kept["metadata"]["tags"] == {"a": "b"}
    assert kept == fresh
    assert api.get(f"/api/error-events/{uuid4()}").status_code == 404


@pytest.mark.parametrize(
    ("path", "parameters", "says"),
    [
        ("/api/error-metrics", {"interval": "7 apples"}, "isn't understood"),
        ("/api/error-metrics", {"interval": "15s"}, "multiple of 10"),
        ("/api/error-metrics", {"interval": "10s", "start": "2020-01-01T00:00:00Z"}, "Choose a longer interval"),
        ("/api/error-metrics", {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "after its start"),
        ("/api/error-metrics", {"group_by": "title"}, "group_by must be one of"),
        ("/api/error-metrics", {"start": "yesterday"}, "start"),
        ("/api/error-events", {"cursor": "nonsense"}, "isn't one of ours"),
        ("/api/error-events", {"limit": 100_000}, "limit"),
        ("/api/error-events", {"workflow_id": "nope"}, "workflow_id"),
    ],
)
def test_a_question_that_makes_no_sense_is_explained(
    api: Api, path: str, parameters: dict[str, Any], says: str
) -> None:
    answer = api.get(path, **parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert says in answer.json()["detail"]


# Alerting -------------------------------------------------------------------------------------


def test_rules_and_channels_are_kept_and_secrets_never_shown(api: Api) -> None:
    url = "https://hooks.example.com/services/very/secret"
    channel = api.send({"name": "team", "kind": "slack", "webhook_url": url}, "admin", "/api/channels")
    assert channel.status_code == 201
    rule = {"name": "many", "threshold": 5, "channel_ids": [channel.json()["id"]]}
    made = api.send(rule, "admin", "/api/alert-rules")
    assert made.status_code == 201
    assert api.send(rule, "admin", "/api/alert-rules").status_code == 409
    listed = api.get("/api/alert-rules").json()["rules"]
    assert [(item["name"], item["state"]) for item in listed] == [("many", "ok")]
    assert "secret" not in api.get("/api/channels").text.replace("has_secret", "")
    admin = {"Authorization": f"Bearer {api.keys['admin']}"}
    path = f"/api/alert-rules/{made.json()['id']}"
    assert api.client.put(path, json=rule | {"threshold": 7}, headers=admin).json()["threshold"] == 7
    assert api.client.delete(f"/api/channels/{channel.json()['id']}", headers=admin).status_code == 409
    assert api.client.delete(path, headers=admin).status_code == 204
    assert api.client.delete(path, headers=admin).status_code == 404
    assert api.client.delete(f"/api/channels/{channel.json()['id']}", headers=admin).status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/api/alert-rules", {"name": "x", "threshold": 0}, "greater than 0"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "min_executions": 3_000_000_000}, "less than or equal"),
        ("/api/alert-rules", {"name": "a\0b", "threshold": 1}, "can't be stored"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "scope": {"error_type": ["\0"]}}, "can't be stored"),
        ("/api/channels", {"name": "a\0b", "kind": "email", "to": ["a@example.com"]}, "can't be stored"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "colour": "red"}, "Extra inputs"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "channel_ids": [str(uuid4())]}, "No channel has the id"),
        ("/api/channels", {"name": "x", "kind": "slack", "webhook_url": "http://example.com/x"}, "https://"),
        ("/api/channels", {"name": "x", "kind": "email", "to": ["not an address"]}, "no mail address"),
    ],
)
def test_configuration_that_makes_no_sense_is_explained(api: Api, path: str, body: dict[str, Any], says: str) -> None:
    answer = api.send(body, "admin", path)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_changing_takes_an_admin_key(api: Api) -> None:
    assert api.send({"name": "x", "threshold": 1}, "read", "/api/alert-rules").status_code == 403
    assert api.get("/api/alert-rules", "ingest").status_code == 403


# Health ---------------------------------------------------------------------------------------


def test_it_says_how_it_is(api: Api) -> None:
    api.send({"message": "one"})
    assert api.client.get("/healthz").json() == {"status": "alive"}
    assert api.client.get("/readyz").status_code == 200
    assert "meshhook_errors_rows_committed_total 1.0" in api.client.get("/metrics").text


def test_the_openapi_document_names_every_route(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    assert {"get", "post"} == set(paths["/api/error-events"])
    assert {"/api/executions", "/api/error-metrics", "/api/alert-rules", "/api/channels", "/api/alerts"} <= set(paths)
    assert api.client.get("/docs").status_code == 200
