"""What OTLP's door answers: to whom, in which encoding, and what is worth another try."""

from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from ingest.database import Connection
from ingest.keys import create_key
from ingest.projects import create_project
from ingest.settings import Settings
from jobs.api import create_app
from tests.apis import Api, stored
from tests.ingest.doors.otlp_requests import (
    JSON,
    PATH,
    PROTOBUF,
    both_encodings,
    events,
    export,
    log_record,
    partial_success,
    request_of,
    status_of,
)


def test_the_same_records_of_two_projects_are_not_duplicates(api: Api, connection: Connection) -> None:
    shop = create_project(connection, "shop")
    for path in (PATH, f"{PATH}?project={shop.number}"):
        export(api, request_of(log_record()), path=path)
    assert stored(connection) == 2


PROJECT = "7f1d1c7e-0000-4000-8000-00000000000a"


@both_encodings
def test_records_of_another_project_are_refused_and_their_neighbours_are_not(
    api: Api, connection: Connection, encoding: str
) -> None:
    shop = create_project(connection, "shop")
    api.keys["shop"] = create_key(connection, "shop", "ingest", project_number=shop.number)
    request = request_of(
        log_record("mine"), log_record("another's", attributes={"meshhook.project_id": PROJECT}), log_record("info", 9)
    )
    refused = partial_success(export(api, request, encoding, role="shop"))
    assert refused is not None
    assert (refused[0], "Record 1" in refused[1], "meshhook.project_id" in refused[1]) == (1, True, True)
    assert [event["message"] for event in events(connection)] == ["mine"]
    assert 'otlp_records_total{outcome="refused"} 1.0' in api.client.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "headers", "path", "expected", "code", "says"),
    [
        pytest.param(b"{not json", {}, PATH, 400, 3, "can't be read", id="undecodable"),
        pytest.param(b"x", {"Content_Encoding": "gzip"}, PATH, 400, 3, "valid gzip", id="not-gzip"),
        pytest.param(b"x", {"Content_Encoding": "lzma"}, PATH, 415, 3, "isn't understood", id="unknown-compression"),
        pytest.param(b"x" * 100_001, {}, PATH, 413, 8, "larger than 100000", id="too-large"),
        pytest.param(request_of(*[log_record("a", 9)] * 501), {}, PATH, 413, 8, "More than 500", id="too-many"),
        pytest.param(b"", {"Authorization": "Bearer nonsense"}, PATH, 401, 16, "isn't known", id="unknown-key"),
        pytest.param(b"", {"Authorization": "Basic abc"}, PATH, 401, 16, "Send a key", id="no-key"),
        pytest.param(b"", {}, f"{PATH}?project=99", 404, 5, "No project", id="unknown-project"),
    ],
)
def test_what_fails_is_answered_with_a_status(
    api: Api,
    connection: Connection,
    body: Any,
    headers: dict[str, str],
    path: str,
    expected: int,
    code: int,
    says: str,
) -> None:
    for encoding in (PROTOBUF, JSON):
        answer = export(api, body, encoding, path, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (expected, encoding)
        found = status_of(answer)
        assert (found[0], says in found[1]) == (code, True), found
        assert ("www-authenticate" in answer.headers) == (expected == 401)
    assert stored(connection) == 0


@both_encodings
def test_a_key_of_another_role_is_refused(api: Api, encoding: str) -> None:
    answer = export(api, request_of(log_record()), encoding, role="read")
    assert (answer.status_code, status_of(answer)[0]) == (403, 7)


def test_another_content_type_is_refused(api: Api) -> None:
    for media_type in ("text/plain", "application/json-seq", "", "multipart/form-data; boundary=x"):
        answer = api.send(b"{}", path=PATH, Content_Type=media_type)
        assert (answer.status_code, answer.headers["content-type"], status_of(answer)[0]) == (415, JSON, 3)


@both_encodings
def test_above_its_room_and_without_postgres_it_asks_to_come_back(
    options: Settings, connection: Connection, encoding: str
) -> None:
    keys = {"ingest": create_key(connection, "worker", "ingest")}
    with TestClient(create_app(options.model_copy(update={"max_inflight_bytes": 2_000}))) as client:
        full = export(Api(client, keys), request_of(log_record("x" * 3_000)), encoding)
    nowhere = SecretStr("postgresql://127.0.0.1:1/nowhere")
    client = TestClient(create_app(options.model_copy(update={"database_url": nowhere})))
    away = export(Api(client, keys), request_of(log_record()), encoding)
    assert [(answer.status_code, status_of(answer)[0]) for answer in (full, away)] == [(429, 8), (503, 14)]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in (full, away))


def test_another_method_is_refused_and_a_slash_at_the_end_is_not(api: Api) -> None:
    assert export(api, request_of(log_record()), path=f"{PATH}/").status_code == 200
    assert api.client.get(PATH).status_code == 405


def test_the_openapi_document_names_the_door(api: Api) -> None:
    operation = api.client.get("/openapi.json").json()["paths"][PATH]["post"]
    assert set(operation["requestBody"]["content"]) == {PROTOBUF, JSON}
    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(operation["responses"])
