"""The Sentry door over HTTP: every way to name a key, to compress, to be refused, and to send again."""

import gzip
import json
import zlib
from base64 import b64encode
from typing import Any
from uuid import uuid4

import brotli
import pytest
import zstandard
from starlette.testclient import TestClient

from ingest.database import Connection
from ingest.keys import create_key
from ingest.settings import Settings
from jobs.api import create_app
from tests.listening import Project


def envelope(*items: tuple[str, Any], **headers: Any) -> bytes:
    lines = [json.dumps(headers)]
    for kind, payload in items:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        lines += [json.dumps({"type": kind, "length": len(text.encode())}), text]
    return "\n".join(lines).encode()


def event(message: str = "one", **fields: Any) -> dict[str, Any]:
    return {"event_id": uuid4().hex, "message": message, **fields}


def titles(project: Project) -> list[str]:
    return [found["title"] for found in project.events()]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
    ],
)
def test_bodies_may_be_compressed(project: Project, encoding: str, compress: Any) -> None:
    headers = {"X-Sentry-Auth": f"Sentry sentry_key={project.key}", "Content-Encoding": encoding}
    assert project.post(compress(envelope(("event", event()))), headers=headers).status == 200
    assert titles(project) == ["one"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Sentry-Auth": "Sentry sentry_version=7, sentry_client=x/1, sentry_key=KEY"}, id="auth"),
        pytest.param({"X-Sentry-Auth": "Sentry sentry_key=KEY,sentry_version=7"}, id="no-spaces"),
        pytest.param({"X-Sentry-Auth": 'Sentry sentry_key="KEY", sentry_secret=old'}, id="quotes"),
        pytest.param({"Authorization": "Sentry sentry_version=7, sentry_key=KEY"}, id="authorization"),
        pytest.param({"Authorization": "Bearer KEY"}, id="bearer"),
        pytest.param({}, id="query"),
    ],
)
@pytest.mark.parametrize("door", ["envelope/", "envelope", "store/", "store"])
def test_the_key_may_stand_in_many_places(project: Project, headers: dict[str, str], door: str) -> None:
    body = envelope(("event", event())) if "envelope" in door else json.dumps(event()).encode()
    given = {name: value.replace("KEY", project.key) for name, value in headers.items()}
    query = "" if headers else f"?sentry_version=7&sentry_key={project.key}"
    assert project.post(body, door + query, given).status == 200
    assert titles(project) == ["one"]


def test_the_key_may_stand_in_the_envelope_alone(project: Project) -> None:
    assert project.post(envelope(("event", event()), dsn=project.dsn), headers={}).status == 200
    with_secret = project.dsn.replace("@", ":old-secret@")
    assert project.post(envelope(("event", event()), dsn=with_secret), headers={}).status == 200
    assert titles(project) == ["one", "one"]
    assert project.post(envelope(("event", event())), headers={}).status == 401
    assert project.post(envelope(("event", event()), dsn=[17]), headers={}).status == 401


@pytest.mark.parametrize("door", ["envelope/", "store/"])
def test_a_wrong_key_is_refused_so_that_sdks_say_why(project: Project, door: str) -> None:
    body = envelope(("event", event())) if door == "envelope/" else json.dumps(event()).encode()
    for headers in ({"X-Sentry-Auth": "Sentry sentry_key=nonsense"}, {}):
        reply = project.post(body, door, headers)
        assert reply.status == 401
        assert "key" in reply.headers["X-Sentry-Error"]
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert "X-Sentry-Error" in reply.headers["Access-Control-Expose-Headers"]
    reading = project.post(body, door, {"X-Sentry-Auth": f"Sentry sentry_key={project.read_key}"})
    assert (reading.status, "read" in reading.headers["X-Sentry-Error"]) == (403, True)
    assert titles(project) == []


def test_a_key_opens_its_own_project_alone(project: Project) -> None:
    other = project._replace(number=project.number - 1 or 10**6)
    assert other.post(envelope(("event", event()))).status in (403, 404)
    assert project._replace(number=2_000_000_000).post(envelope(("event", event()))).status == 404
    assert titles(project) == []


def test_the_old_way_of_storing_takes_json_plain_deflated_and_in_base64(project: Project) -> None:
    plain = json.dumps(event("plain")).encode()
    old = b64encode(zlib.compress(json.dumps(event("old")).encode()))
    spaced = b" \n" + json.dumps(event("spaced")).encode()
    wrapped = b64encode(zlib.compress(json.dumps(event("wrapped")).encode())) + b"\n"
    for body in (plain, old, spaced, wrapped):
        assert project.post(body, "store/").status == 200
    assert titles(project) == ["plain", "old", "spaced", "wrapped"]
    for broken in (b"", b"not json", b64encode(b"not deflated"), b"[1]", b"\xff\xfe", old[:-9]):
        assert project.post(broken, "store/").status == 400
    assert project.post(json.dumps(event(type="transaction", transaction="/")).encode(), "store/").status == 200
    assert len(titles(project)) == 4


def test_what_we_have_no_use_for_is_accepted_all_the_same(project: Project) -> None:
    kinds = "transaction span profile replay_event attachment check_in feedback log client_report statsd".split()
    body = envelope(
        *((kind, "no JSON at all" if kind != "client_report" else "{}") for kind in [*kinds, "of tomorrow"])
    )
    assert project.post(body).status == 200
    assert project.post(envelope(("attachment", "\x00\n\x00"), ("event", event()), ("of tomorrow", "{}"))).status == 200
    assert titles(project) == ["one"]


def test_client_reports_of_any_shape_are_accepted(project: Project) -> None:
    entry = {"reason": "sample_rate", "category": "error", "quantity": 3}
    odd = [entry, {"reason": [], "category": {}, "quantity": "x"}, None, {"quantity": 2**70}, {"quantity": True}]
    for report in ({"discarded_events": odd}, {"discarded_events": {}}, {}, [], None, 17, '"text"'):
        assert project.post(envelope(("client_report", report))).status == 200


def test_a_resend_is_a_duplicate(project: Project) -> None:
    once = event()
    replies = [project.post(envelope(("event", once))) for _ in range(3)]
    replies.append(project.post(json.dumps(once).encode(), "store/"))
    assert [(reply.status, json.loads(reply.body)) for reply in replies] == [(200, {"id": once["event_id"]})] * 4
    nameless = envelope(("event", {"message": "named by the envelope"}), event_id=uuid4().hex)
    assert [project.post(nameless).status for _ in range(2)] == [200] * 2
    assert titles(project) == ["one", "named by the envelope"]


def test_a_bad_item_sinks_no_neighbour(project: Project) -> None:
    body = envelope(("event", event("first")), ("event", "{broken"), ("event", "[1]"), ("session", "{}"))
    body += b"\n\r\n" + envelope(("event", event("last"))).split(b"\n", 1)[1]
    assert project.post(body + b"\nno header\n{}").status == 200
    assert sorted(titles(project)) == ["first", "last"]  # both are of the moment of receipt


def test_browsers_may_ask_first(project: Project) -> None:
    for door in ("envelope/", "envelope", "store/"):
        reply = project.post(
            b"", door, {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}, "OPTIONS"
        )
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert "X-Sentry-Auth" in reply.headers["Access-Control-Allow-Headers"]
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]
        refused = project.post(b"", door, {}, "PUT")
        assert (refused.status, refused.headers["Allow"]) == (405, "POST, OPTIONS")


def test_without_room_sdks_are_told_how_long_to_wait(options: Settings, connection: Connection) -> None:
    key = create_key(connection, "sdk", "ingest")
    with TestClient(create_app(options.model_copy(update={"max_inflight_bytes": 2_000}))) as client:
        headers = {"X-Sentry-Auth": f"Sentry sentry_key={key}"}
        full = client.post("/api/1/envelope/", content=envelope(("event", event("x" * 3_000))), headers=headers)
        assert client.post("/api/1/envelope/", content=envelope(("event", event())), headers=headers).status_code == 200
    assert (full.status_code, full.headers["retry-after"]) == (429, "2")
    assert full.headers["x-sentry-rate-limits"] == "2:error;session;default:organization"
    assert full.headers["x-sentry-error"]


def test_a_body_that_is_too_large_is_refused_in_words(options: Settings, connection: Connection) -> None:
    key = create_key(connection, "sdk", "ingest")
    with TestClient(create_app(options)) as client:
        headers = {"X-Sentry-Auth": f"Sentry sentry_key={key}"}
        large = client.post("/api/1/envelope/", content=b"x" * 100_001, headers=headers)
        bomb = client.post(
            "/api/1/envelope/", content=gzip.compress(b" " * 10**7), headers=headers | {"Content-Encoding": "gzip"}
        )
    for reply in (large, bomb):
        assert (reply.status_code, "larger than 100000" in reply.headers["x-sentry-error"]) == (413, True)


def test_a_small_item_of_a_million_values_sinks_no_neighbour(project: Project) -> None:
    body = envelope(("event", '{"extra": [' + "[]," * 1_000_001 + "0]}"), ("event", event()))
    assert project.post(body).status == 200
    assert titles(project) == ["one"]
