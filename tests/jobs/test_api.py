"""The reading half of the API on a real database."""

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from analytics.store import Store
from ingest.database import Connection, connect
from ingest.settings import Settings
from jobs.api import create_app
from jobs.mirror import Mirror
from jobs.tally import Tally
from tests.apis import Api
from tests.ports import free_port
from tests.seeding import insert_many, insert_report

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
    for path in options.lake_dir.glob("**/day=*/*.parquet"):  # while a rollup is whole, it answers
        path.write_bytes(b"torn")
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


def cursor(moment: str) -> str:
    return base64.urlsafe_b64encode(f"{moment}|{uuid4()}".encode()).decode()


@pytest.mark.parametrize(
    "end",
    ["2026-11-24T12:00:00", "2026-11-24 12:00:00Z", "2026-11-24T14:00:00 02:00", "2026-11-24T14:00:00.000 0200"],
)
def test_a_time_without_a_zone_is_utc_and_an_unescaped_plus_is_understood(api: Api, end: str) -> None:
    buckets = api.get("/api/error-metrics", interval="1h", end=end).json()["buckets"]
    assert buckets[-1]["bucket"] == "2026-11-24T11:00:00Z"


def test_an_error_type_is_found_however_it_is_written(api: Api) -> None:
    api.send({"message": "one", "error_type": "Quota"})
    assert len(api.get("/api/error-events", error_type="QUOTA").json()["events"]) == 1


@pytest.mark.parametrize(
    ("path", "parameters", "says"),
    [
        ("/api/error-metrics", {"interval": "7 apples"}, "isn't understood"),
        ("/api/error-metrics", {"interval": "15s"}, "multiple of 10"),
        ("/api/error-metrics", {"interval": "10s", "start": "2020-01-01T00:00:00Z"}, "Choose a longer interval"),
        ("/api/error-metrics", {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "after its start"),
        ("/api/error-metrics", {"group_by": "title"}, "group_by must be one of"),
        ("/api/error-metrics", {"start": "yesterday"}, "start: isn't a time"),
        ("/api/error-metrics", {"interval": "999999d"}, "longer than 366d"),
        ("/api/error-metrics", {"interval": "5m\n"}, "isn't understood"),
        ("/api/error-metrics", {"interval": "٣m"}, "isn't understood"),
        ("/api/error-metrics", {"sourse": "worker"}, "There is no parameter 'sourse' here: it takes source, "),
        ("/api/error-metrics", {"severity": "HIGH"}, "severity: must be 'low', 'medium' or 'high'."),
        ("/api/error-metrics", {"source": "nope"}, "source: must be 'worker', 'webhook' or 'system'."),
        ("/api/error-metrics", {"source": ""}, "source: must be 'worker'"),
        ("/api/error-metrics", {"source": "\0"}, "source: must be 'worker'"),
        ("/api/error-metrics", {"error_type": "\0"}, "error_type: holds the character U+0000"),
        ("/api/error-metrics", {"fingerprint": "\0"}, "fingerprint: holds the character U+0000"),
        ("/api/error-metrics", {"fingerprint": ""}, "fingerprint: must have at least 1 character."),
        ("/api/error-metrics", {"interval": ["1m", "5m"]}, "interval stands here 2 times"),
        ("/api/error-metrics", {"group_by": ["source", "severity"]}, "group_by stands here 2 times"),
        ("/api/error-metrics", {"end": "0001-01-01T00:00:00Z"}, "end: A moment lies between 2000 and 2100"),
        ("/api/error-metrics", {"end": "9999-12-31T23:59:59+00:00", "interval": "1d"}, "between 2000 and 2100"),
        ("/api/error-metrics", {"start": "0001-01-01T00:00:00+14:00"}, "between 2000 and 2100"),
        ("/api/error-metrics", {"end": "9999-12-31T23:59:59-14:00"}, "between 2000 and 2100"),
        ("/api/error-events", {"start": "0001-01-01T00:00:00+14:00"}, "between 2000 and 2100"),
        ("/api/error-events", {"cursor": cursor("0001-01-01T00:00:00+14:00")}, "isn't one of ours"),
        ("/api/error-events", {"cursor": cursor("9999-12-31T23:59:59-14:00")}, "isn't one of ours"),
        ("/api/error-events", {"limit": ["1", "2"]}, "limit stands here 2 times"),
        ("/api/error-events", {"interval": "5m"}, "There is no parameter 'interval' here"),
        ("/api/alerts", {"rule": "x"}, "There is no parameter 'rule' here: it takes open, rule_id, limit."),
        ("/api/alert-rules", {"rule": "x"}, "it takes none"),
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


# Health ---------------------------------------------------------------------------------------


def test_it_says_how_it_is(api: Api) -> None:
    api.send({"message": "one"})
    assert api.client.get("/healthz").json() == {"status": "alive"}
    assert api.client.get("/readyz").status_code == 200
    assert "meshhook_errors_rows_committed_total 1.0" in api.client.get("/metrics").text


def test_load_balancers_may_ask_by_head(api: Api) -> None:
    assert api.client.head("/healthz").status_code == 200
    assert api.client.head("/readyz").status_code == 200


def test_an_unprepared_database_is_said(api: Api, connection: Connection) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    for answer in (api.client.get("/readyz"), api.get("/api/alert-rules"), api.get("/api/error-metrics")):
        assert answer.status_code == 503
        assert "run `meshhook-errors migrate`" in answer.text


def test_without_postgres_reading_fails_soon_and_the_rest_at_once(options: Settings) -> None:
    away = options.model_copy(update={"database_url": SecretStr(f"postgresql://x@127.0.0.1:{free_port()}/x")})
    with TestClient(create_app(away)) as client, ThreadPoolExecutor(64) as many:
        waiting = [many.submit(client.get, "/readyz") for _ in range(60)]
        time.sleep(0.3)
        began = time.monotonic()
        assert client.get("/metrics").status_code == client.get("/healthz").status_code == 200
        assert time.monotonic() - began < 1.5
        assert waiting[0].result().status_code == 503
        assert time.monotonic() - began < 4
    assert "meshhook_errors_postgres_up 0.0" in client.get("/metrics").text


def test_a_reader_waits_for_the_connections_that_others_hold(database_url: str, tmp_path: Path) -> None:
    store = Store(database_url, tmp_path, max_connections=1)
    with ThreadPoolExecutor(1) as other:
        with store.connection():
            waiting = other.submit(lambda: store.connection().__enter__().execute("select 1").fetchone())
            time.sleep(2.5)
        assert waiting.result() == (1,)
    store.close()


def test_the_openapi_document_names_every_route(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    assert {"get", "post"} == set(paths["/api/error-events"])
    assert {"/api/executions", "/api/error-metrics", "/api/alert-rules", "/api/channels", "/api/alerts"} <= set(paths)
    for path, method in (
        ("/api/error-metrics", "get"),
        ("/api/alert-rules", "post"),
        ("/api/channels/{channel_id}", "delete"),
    ):
        answers = paths[path][method]["responses"]
        assert {"401", "403", "422", "503"} <= set(answers), path
        assert set(answers["422"]["content"]) == {"application/problem+json"}
    assert {"404", "409"} <= set(paths["/api/alert-rules/{rule_id}"]["put"]["responses"])


def test_the_page_of_the_api_names_everything_and_loads_nothing(api: Api) -> None:
    assert api.client.get("/", follow_redirects=False).headers["location"] == "/docs"
    answer = api.client.get("/docs")
    assert answer.status_code == 200
    for expected in (*api.client.get("/openapi.json").json()["paths"], "keep_firing_seconds", "scope.error_type"):
        assert expected in answer.text
    assert not re.search(r"<script|<link|src=|url\(|@import", answer.text)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_is_not_there_is_answered_with_what_is(api: Api) -> None:
    nothing = api.get("/api/error-event")
    assert (nothing.status_code, "/docs describes" in nothing.json()["detail"]) == (404, True)
    wrong = api.client.patch("/api/alert-rules")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")
    assert wrong.json()["detail"] == "/api/alert-rules takes GET or POST, not PATCH. See /docs."
