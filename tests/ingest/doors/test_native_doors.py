"""The native doors on a real database: what they take, what they refuse, and what they answer."""

import gzip
import json
import zlib
from typing import Any
from uuid import UUID, uuid4

import brotli
import pytest
import zstandard
from starlette.testclient import TestClient

from ingest.database import Connection
from ingest.keys import create_key
from ingest.projects import create_project
from ingest.settings import Settings
from jobs.api import create_app
from tests.apis import Api, stored


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
        ("br", brotli.compress),
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
        pytest.param(b"{not json", {}, 422, "can't be read as JSON", id="not-json"),
        pytest.param(b"[" * 100_000, {}, 422, "can't be read as JSON", id="too-deep"),
        pytest.param(b"x" * 100_001, {}, 413, "larger than 100000", id="too-large"),
        pytest.param(json.dumps([{}] * 501).encode(), {}, 413, "501 items", id="too-many"),
        pytest.param(b"{}", {"Content_Encoding": "lzma"}, 415, "isn't understood", id="unknown-encoding"),
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


LINES = b"".join(b'{"message": "line %d of many"}\n' % number for number in range(300))
NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress), ("br", brotli.compress)],
)
def test_a_compressed_body_is_taken_whole_or_not_at_all(
    api: Api, connection: Connection, encoding: str, compress: Any
) -> None:
    whole = compress(LINES)
    for cut in (1, 4, len(whole) // 2):
        answer = api.send(whole[:-cut], Content_Encoding=encoding, Content_Type=NDJSON)
        assert (answer.status_code, "isn't complete" in answer.json()["detail"]) == (422, True)
    assert stored(connection) == 0
    assert api.send(whole, Content_Encoding=encoding, Content_Type=NDJSON).json()["accepted"] == 300


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)]
)
def test_a_body_of_several_compressed_members_is_taken_whole(
    api: Api, connection: Connection, encoding: str, compress: Any
) -> None:
    body = compress(b'{"message": "one"}\n') + compress(b'{"message": "two"}\n')
    assert api.send(body, Content_Encoding=encoding, Content_Type=NDJSON).json()["accepted"] == 2
    assert api.send(body + b"JUNK", Content_Encoding=encoding, Content_Type=NDJSON).status_code == 422
    many = compress(b" ") * 200 + compress(b"{}")
    assert api.send(many, Content_Encoding=encoding, Content_Type=NDJSON).status_code == 422


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b'{"x": ' + b"9" * 5_000 + b"}", id="number"),
        pytest.param(b'{"a":' * 3_000 + b"1" + b"}" * 3_000, id="deep"),
        pytest.param(b"{broken}", id="broken"),
    ],
)
def test_an_item_that_cannot_be_read_sinks_no_neighbour_of_its_array(
    api: Api, connection: Connection, odd: bytes
) -> None:
    answer = api.send(rb'[{"message": "a, [b] {c}"}, ' + odd + rb', {"message": "\"\\" ,"y": [{}]}]').json()
    assert answer["accepted"] + len(answer["rejected"]) == 3
    assert stored(connection) == answer["accepted"] >= 2


def test_a_bad_first_line_sinks_no_other(api: Api) -> None:
    answer = api.send(b'oops\n{"message": "two"}', Content_Type="application/json").json()
    assert (answer["accepted"], answer["rejected"][0]["index"]) == (1, 0)


def test_lines_that_lost_their_ends_get_a_hint(api: Api) -> None:
    assert "--data-binary" in api.send(b'{"message": "one"}{"message": "two"}').json()["detail"]


def test_a_slash_at_the_end_and_a_wrong_method_lose_nothing_silently(api: Api, connection: Connection) -> None:
    assert api.send({}, path="/api/error-events/").status_code == 202
    assert stored(connection) == 1
    refused = api.client.put("/api/executions", content=b"{}")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_above_its_room_it_asks_to_come_back(options: Settings, connection: Connection) -> None:
    keys = {"ingest": create_key(connection, "worker", "ingest")}
    with TestClient(create_app(options.model_copy(update={"max_inflight_bytes": 2_000}))) as client:
        api = Api(client, keys)
        answer = api.send({"message": "x" * 3_000})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert api.send({"message": "small"}).status_code == 202
        metrics = client.get("/metrics").text
    assert "meshhook_errors_turned_away_total 1.0" in metrics
    assert "meshhook_errors_body_bytes 0.0" in metrics
    assert stored(connection) == 1


def test_a_small_body_may_not_become_millions_of_values(options: Settings, connection: Connection) -> None:
    keys = {"ingest": create_key(connection, "worker", "ingest")}
    with TestClient(create_app(options.model_copy(update={"max_body_bytes": 10_000_000}))) as client:
        bomb = gzip.compress(b"[" + b"[]," * 2_000_000 + b"[]]")
        answer = Api(client, keys).send(bomb, Content_Encoding="gzip")
    assert (answer.status_code, "values" in answer.json()["detail"]) == (413, True)


PROJECT = "7f1d1c7e-0000-4000-8000-00000000000a"


def test_a_project_is_named_by_number_by_uuid_or_by_the_key(
    api: Api, options: Settings, connection: Connection
) -> None:
    shop = create_project(connection, "shop", UUID(PROJECT))
    api.keys["shop"] = create_key(connection, "shop", "ingest", project_number=shop.number)
    for reference in (shop.number, PROJECT):
        assert api.send({}, path=f"/api/error-events?project={reference}").status_code == 202
        assert api.send({"finished": 3}, path=f"/api/executions?project={reference}").status_code == 202
    assert api.send({}, "shop").status_code == 202
    assert api.send({}).status_code == 202
    named = connection.execute("select project_id::text, count(*) from error_metrics group by 1 order by 1").fetchall()
    assert named == [(PROJECT, 3), (None, 1)]
    assert connection.execute("select distinct project_id::text from execution_metrics").fetchall() == [(PROJECT,)]


def test_a_key_of_a_project_takes_nothing_for_another(api: Api, connection: Connection) -> None:
    shop = create_project(connection, "shop")
    api.keys["shop"] = create_key(connection, "shop", "ingest", project_number=shop.number)
    assert api.send({}, "shop", "/api/error-events?project=1").status_code == 403
    mixed = api.send([{"project_id": PROJECT}, {"project_id": str(shop.id).upper()}], "shop").json()
    assert (mixed["accepted"], [item["index"] for item in mixed["rejected"]]) == (1, [0])
    assert api.send({}, path="/api/error-events?project=99").status_code == 404
    assert api.send({}, path="/api/error-events?project=nonsense").status_code == 404


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


def test_a_database_that_was_never_prepared_is_told_apart_from_one_that_is_away(
    api: Api, connection: Connection
) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    refused = api.send({"message": "x"})
    assert (refused.status_code, "run `meshhook-errors migrate`" in refused.json()["detail"]) == (503, True)
