"""Alerting over HTTP: rules and channels, what is refused and why."""

from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from ingest.database import Connection
from ingest.keys import create_key
from ingest.settings import Settings
from jobs.api import create_app
from tests.apis import Api


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
        ("/api/alert-rules", {"name": "x", "threshold": 1, "colour": "red"}, "colour: isn't known here"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "min_executions": 10**30}, "min_executions: "),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "min_executions": 2**40}, "at most 1000000000"),
        ("/api/alert-rules", {"name": "x\0", "threshold": 1}, "name: holds the character U+0000"),
        ("/api/alert-rules", {"name": "a\nb", "threshold": 1}, "name: holds the character U+000A"),
        ("/api/alert-rules", {"name": "a\u202eb", "threshold": 1}, "name: holds the character U+202E"),
        ("/api/alert-rules", {"name": "\ud800", "threshold": 1}, "name: holds half a character"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "scope": {"error_type": ["\0"]}}, "is no error type"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "scope": {"error_type": ["\ud800"]}}, "is no error type"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "scope": {"fingerprint": ["\ud800"]}}, "half a character"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "scope": {"source": "worker"}}, "source: must be a list."),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "scope": {"fingerprint": ["f"] * 101}}, "at most 100 entr"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "channel_ids": [str(uuid4())] * 21}, "at most 20 entries"),
        ("/api/alert-rules", [], "The body must be a JSON object."),
        ("/api/alert-rules", {"threshold": 1}, "name: is missing."),
        (
            "/api/channels",
            {"name": "x\0", "kind": "email", "to": ["a@example.com"]},
            "name: holds the character U+0000",
        ),
        ("/api/channels", {"name": "x", "kind": "slack", "webhook_url": "https://a.example/\0"}, "U+0000"),
        ("/api/channels", {"name": "x", "kind": "slack", "webhook_url": "https://a.example:99999/x"}, "https://"),
        ("/api/channels", {"name": "x", "kind": "slack", "webhook_url": "https://a.example/ x"}, "https://"),
        (
            "/api/channels",
            {"name": "x", "kind": "slack", "webhook_url": "https://a.example/x", "to": ["a@b.example"]},
            "A Slack channel has no addresses",
        ),
        (
            "/api/channels",
            {"name": "x", "kind": "email", "webhook_url": "https://a.example/x", "to": ["a@b.example"]},
            "A mail channel has no webhook",
        ),
        ("/api/channels", {"name": "x", "kind": "email", "to": ["a@b.example"] * 10_000}, "at most 50 entries"),
        ("/api/alert-rules", {"name": "x", "threshold": 1, "channel_ids": [str(uuid4())]}, "No channel has the id"),
        ("/api/channels", {"name": "x", "kind": "slack", "webhook_url": "http://example.com/x"}, "https://"),
        ("/api/channels", {"name": "x", "kind": "email", "to": ["not an address"]}, "no mail address"),
    ],
)
def test_configuration_that_makes_no_sense_is_explained(api: Api, path: str, body: dict[str, Any], says: str) -> None:
    answer = api.send(body, "admin", path)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert "Value error" not in answer.text


def test_configuration_is_json_whatever_the_content_type_says(api: Api) -> None:
    for number, content_type in enumerate(("", "application/x-www-form-urlencoded", "text/plain")):
        body = {"name": f"rule {number}", "threshold": 1}
        assert api.send(body, "admin", "/api/alert-rules", Content_Type=content_type).status_code == 201
    for body in (b"{not json", b"\xff", b"[" * 100_000):
        broken = api.send(body, "admin", "/api/alert-rules", Content_Type="text/plain")
        assert (broken.status_code, "The body isn't JSON" in broken.json()["detail"]) == (422, True)
    assert api.send(b" " * 300_000, "admin", "/api/alert-rules").status_code == 413


def test_a_rule_that_was_read_can_be_changed_and_sent_back(api: Api) -> None:
    made = api.send({"name": "many", "threshold": 5}, "admin", "/api/alert-rules").json()
    path = f"/api/alert-rules/{made['id']}"
    read = api.get(path).json()
    assert {"id", "state", "value"} <= set(read)
    changed = api.client.put(
        path, json=read | {"threshold": 7}, headers={"Authorization": f"Bearer {api.keys['admin']}"}
    )
    assert (changed.status_code, changed.json()["threshold"]) == (200, 7)


def test_what_stands_twice_is_kept_once_and_types_as_they_are_stored(api: Api) -> None:
    mail = {"name": "mail", "kind": "email", "to": ["a@b.example", "a@b.example"]}
    channel = api.send(mail, "admin", "/api/channels").json()
    assert channel["settings"] == {"to": ["a@b.example"]}
    assert "MESHHOOK_ERRORS_SMTP_HOST" in channel["hint"]
    rule = {"name": "r", "threshold": 1, "channel_ids": [channel["id"]] * 2, "scope": {"error_type": ["EXECUTION"]}}
    made = api.send(rule, "admin", "/api/alert-rules").json()
    assert (made["channel_ids"], made["scope"]["error_type"]) == ([channel["id"]], ["execution"])


def test_what_nobody_foresaw_is_answered_as_a_problem(options: Settings, connection: Connection) -> None:
    key = create_key(connection, "read", "read")
    app = create_app(options)
    with TestClient(app, raise_server_exceptions=False) as client:
        connection.execute("alter table meshhook_errors.alert_rules rename column no_data to nothing")
        answer = client.get("/api/alert-rules", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "It is logged" in answer.json()["detail"]


def test_changing_takes_an_admin_key(api: Api) -> None:
    assert api.send({"name": "x", "threshold": 1}, "read", "/api/alert-rules").status_code == 403
    assert api.get("/api/alert-rules", "ingest").status_code == 403
