"""Rules of classification over HTTP: read, tried, changed, and taken over by whatever runs."""

import json
import urllib.request
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ingest.classification import shipped_rules
from ingest.database import Connection
from ingest.keys import create_key
from tests.apis import Api
from tests.end_to_end.running import until
from tests.jobs.test_meshhook import jobs
from tests.listening import Project
from tests.meshhook import Stored, Worker

PATH = "/api/classification-rules"
RULE = {"name": "crm-is-away", "when": {"message": ["crm"]}, "error_type": "system", "severity": "low"}


def put(api: Api, name: str, body: Any, role: str = "admin") -> Any:
    return api.client.put(f"{PATH}/{name}", json=body, headers={"Authorization": f"Bearer {api.keys[role]}"})


def delete(api: Api, name: str, role: str = "admin", **parameters: str) -> Any:
    headers = {"Authorization": f"Bearer {api.keys[role]}"}
    return api.client.delete(f"{PATH}/{name}", params=parameters, headers=headers)


def test_rules_are_added_read_changed_sent_back_ordered_and_deleted(api: Api) -> None:
    made = api.send(RULE, "admin", PATH)
    assert made.status_code == 201
    assert (made.json()["origin"], made.json()["changed_by"]) == ("own", "key admin")
    assert api.send(RULE, "admin", PATH).status_code == 409
    assert api.send(RULE | {"name": "second", "position": 1}, "admin", PATH).status_code == 201

    listed = api.get(PATH).json()
    assert [rule["name"] for rule in listed["rules"][:2]] == ["second", "crm-is-away"] == listed["order"]
    assert {rule["origin"] for rule in listed["rules"][2:]} == {"shipped"}
    read = api.get(f"{PATH}/crm-is-away").json()
    changed = put(api, "crm-is-away", read | {"severity": "high", "when": {"attempt": {"from": 2}}})
    assert (changed.status_code, changed.json()["severity"]) == (200, "high")
    assert changed.json()["when"]["attempt"] == {"from": 2, "to": None}
    stale = put(api, "crm-is-away", read | {"severity": "low"})
    assert (stale.status_code, "Read it again" in stale.json()["detail"]) == (409, True)

    order = {"names": ["crm-is-away", "second"], "version": listed["version"]}
    assert api.send(order, "admin", f"{PATH}/order").json()["order"] == ["crm-is-away", "second"]
    assert api.send(order, "admin", f"{PATH}/order").status_code == 409
    assert delete(api, "crm-is-away", updated_at=read["updated_at"]).status_code == 409
    assert delete(api, "crm-is-away", updated_at=changed.json()["updated_at"]).status_code == 204
    assert delete(api, "crm-is-away").status_code == 404
    assert api.get(f"{PATH}/crm-is-away").status_code == 404


def test_a_shipped_rule_is_switched_off_as_it_was_read_and_given_back(api: Api) -> None:
    name = shipped_rules()[0].rule.name
    read = api.get(f"{PATH}/{name}").json()
    off = put(api, name, read | {"is_enabled": False})
    assert (off.status_code, off.json()["origin"], off.json()["is_enabled"]) == (200, "changed", False)
    assert off.json()["reason"]
    assert put(api, name, read | {"is_enabled": False}).status_code == 409
    assert delete(api, name).status_code == 204
    assert delete(api, name).status_code == 409
    assert api.get(f"{PATH}/{name}").json() == read


def test_damaged_rules_are_listed_with_what_is_wrong(api: Api, connection: Connection) -> None:
    api.send(RULE, "admin", PATH)
    connection.execute("""update classification_rules set definition = '{"moon_phase": "full"}'""")
    listed = api.get(PATH).json()
    assert [(rule["name"], "moon_phase" in rule["problem"]) for rule in listed["damaged"]] == [("crm-is-away", True)]
    assert listed["order"] == ["crm-is-away"]
    body = RULE | {"updated_at": listed["damaged"][0]["updated_at"]}
    assert put(api, "crm-is-away", body).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name: is missing."),
        ([], "The body must be a JSON object."),
        (RULE | {"name": "Two Words"}, "is no rule's name"),
        (RULE | {"colour": "red"}, "colour: isn't known here"),
        (RULE | {"when": {"moon": "full"}}, "when.moon: isn't known here"),
        (RULE | {"when": {}}, "would hold for every error"),
        (RULE | {"severity": "terrible"}, "severity: must be 'low', 'medium' or 'high'"),
        ({"name": "x", "when": {"message": ["a"]}}, "says nothing yet"),
        (RULE | {"when": {"message": ["("]}}, "is no RE2 expression"),
        (RULE | {"when": {"message": ["a\0b"]}}, ""),
        (RULE | {"when": {"message": ["\ud800"]}}, "half a character"),
        (RULE | {"when": {"http_status": [99]}}, "is no HTTP status"),
        (RULE | {"position": 0}, "position: must be at least 1"),
        (RULE | {"position": 7}, "position: must be between 1 and 1"),
        (RULE | {"title": "{secret}"}, "stands for nothing"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_sentence(api: Api, body: Any, says: str) -> None:
    answer = api.send(body, "admin", PATH)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "Value error" not in answer.text
    if isinstance(body, dict) and "position" not in body:
        assert api.send(body, "read", f"{PATH}/preview").status_code in (200, 422)


def test_reading_takes_a_read_key_and_changing_an_admin_key(api: Api) -> None:
    api.send(RULE, "admin", PATH)
    assert api.get(PATH, "read").status_code == 200
    assert api.get(PATH, "ingest").status_code == 403
    assert api.send(RULE, "read", f"{PATH}/preview").status_code == 200
    assert api.send(RULE, "ingest", f"{PATH}/preview").status_code == 403
    assert api.send(RULE, "read", PATH).status_code == 403
    assert api.send({"names": [], "version": ""}, "read", f"{PATH}/order").status_code == 403
    assert put(api, "crm-is-away", RULE, "read").status_code == 403
    assert delete(api, "crm-is-away", "read").status_code == 403


def test_a_draft_says_what_it_would_have_caught_and_saves_nothing(api: Api) -> None:
    api.send([{"message": "crm is away"}, {"message": "crm is away"}, {"message": "quiet"}])
    found = api.send(RULE, "read", f"{PATH}/preview").json()
    assert (found["caught"], found["looked_at"], found["is_all"]) == (2, 3, True)
    (change,) = found["changes"]
    assert (change["error_type"], change["new_error_type"], change["new_severity"]) == ("execution", "system", "low")
    assert [(example["title"], example["errors"]) for example in found["examples"]] == [("crm is away", 2)]
    assert api.get(PATH).json()["order"] == []


def test_the_api_s_document_describes_the_rules(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    for path in (PATH, f"{PATH}/order", f"{PATH}/preview", f"{PATH}/{{name}}"):
        for operation in document["paths"][path].values():
            assert operation["description"]
            assert {"401", "403", "422", "503"} <= set(operation["responses"])


def ask(project: Project, key: str, method: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(project.url + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read() or "null")


def test_a_running_api_takes_a_changed_rule_over_within_seconds(
    project: Project, listening_connection: Connection
) -> None:
    admin = create_key(listening_connection, "operator", "admin")
    word = uuid4().hex
    rule = RULE | {"name": f"r-{word}", "when": {"message": [word]}, "error_type": "crm"}

    def decided() -> tuple[str, str]:
        error_id = str(uuid4())
        ask(project, project.key, "POST", "/api/error-events", {"error_id": error_id, "message": f"{word} is away"})
        event = project.event(error_id)
        return event["error_type"], event["metadata"]["classified_by"]

    assert decided() == ("execution", "default")
    ask(project, admin, "POST", PATH, rule)
    until(lambda: decided() == ("crm", f"r-{word}"), 12)
    ask(project, admin, "DELETE", f"{PATH}/r-{word}", None)
    until(lambda: decided() == ("execution", "default"), 12)


def test_the_jobs_take_changed_rules_over_for_what_meshhook_tells(
    worker: Worker, connection: Connection, database_url: str, lake_dir: Path, stored: Stored
) -> None:
    definition = json.dumps({"when": {"source": ["worker"]}, "error_type": "ours"})
    with jobs(database_url, lake_dir):
        worker.fail(worker.run(), 1)
        until(lambda: stored.one("select count(*) from meshhook_errors.error_metrics"))
        connection.execute(
            "insert into classification_rules (position, name, definition, changed_by) values (1, 'ours', %s, 'ann')",
            (definition,),
        )

        def fails_as_ours() -> bool:
            worker.fail(worker.run(), 1)
            return stored.one("select count(*) from meshhook_errors.error_metrics where error_type = 'ours'") > 0

        until(fails_as_ours, 12)
