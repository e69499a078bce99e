"""The reading half of the API on a real database."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from ingest.database import Connection, connect
from ingest.settings import Settings
from jobs.mirror import Mirror
from jobs.tally import Tally
from tests.apis import Api
from tests.seeding import insert_many, insert_report

CURSOR_OF_YEAR_ZERO = urlsafe_b64encode(b"0001-01-01T00:00:00+14:00|00000000-0000-0000-0000-000000000000").decode()

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


def test_a_lake_that_cant_be_read_is_no_crash(api: Api, options: Settings, connection: Connection) -> None:
    insert_many(connection, 10)
    publish(options)
    for part in options.lake_dir.glob("errors/*/*.parquet"):
        part.write_bytes(b"torn")
    for path in ("/api/error-metrics", "/api/error-events"):
        answer = api.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert "lake can't be read" in answer.json()["detail"]


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
        ("/api/error-metrics", {"end": "0001-01-01T00:00:00Z"}, "outside the years"),
        ("/api/error-metrics", {"interval": "1000d", "start": "0001-01-01T00:00:00Z"}, "leaves the years"),
        ("/api/error-metrics", {"source": "\0"}, "NUL"),
        ("/api/error-events", {"fingerprint": "a\0"}, "NUL"),
        ("/api/error-events", {"cursor": "nonsense"}, "isn't one of ours"),
        ("/api/error-events", {"cursor": CURSOR_OF_YEAR_ZERO}, "isn't one of ours"),
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
