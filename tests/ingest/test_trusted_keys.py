"""Whose word on type and severity counts: that of a trusted key is kept, for any other the rules decide."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from ingest.access import Access
from ingest.classification import Classifier, Rule, StoredRule
from ingest.database import Connection
from ingest.hall import Hall
from ingest.keys import create_key, list_keys, trust_key
from tests.listening import Project

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GIVEN = {"message": "the third kind of boom", "error_type": "billing", "severity": "low"}


def normalised(raw: dict[str, Any], *, is_trusted: bool) -> tuple[str, str, dict[str, Any]]:
    event = Hall().normalise(raw, NOW, is_trusted=is_trusted)
    return event.error_type, event.severity, json.loads(event.metadata)


def test_what_a_trusted_key_gives_is_kept() -> None:
    error_type, severity, metadata = normalised(GIVEN, is_trusted=True)
    assert (error_type, severity) == ("billing", "low")
    assert "error_type_given" not in metadata


def test_without_trust_the_rules_decide_and_what_was_given_stands_in_the_metadata() -> None:
    error_type, severity, metadata = normalised(GIVEN, is_trusted=False)
    assert (error_type, severity) == ("execution", "medium")
    assert (metadata["error_type_given"], metadata["severity_given"]) == ("billing", "low")
    assert "given" not in metadata["classified_by"]


def test_without_trust_nothing_is_refused_for_a_value_that_nobody_uses() -> None:
    _, severity, metadata = normalised({"message": "x", "severity": ["odd"], "error_type": "\0"}, is_trusted=False)
    assert severity in ("low", "medium", "high")
    assert metadata["severity_given"] == ["odd"]


def test_a_secret_in_a_value_that_is_set_aside_is_masked() -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    event = Hall().normalise({"message": "x", "error_type": token}, NOW, is_trusted=False)
    assert token.encode() not in event.metadata


def sent(url: str, key: str, path: str, body: Any, content_type: str = "application/json") -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    with urlopen(Request(url + path, content, headers), timeout=30) as response:
        assert response.status in (200, 202)


def native(error_id: str) -> tuple[str, Any, str]:
    return "/api/error-events", GIVEN | {"error_id": error_id}, "application/json"


def sentry(error_id: str) -> tuple[str, Any, str]:
    event = {"event_id": error_id.replace("-", ""), "level": "debug", "message": GIVEN["message"]}
    lines = [{"event_id": event["event_id"]}, {"type": "event"}, event]
    return "/api/{number}/envelope/", "\n".join(map(json.dumps, lines)).encode(), "application/x-sentry-envelope"


def otlp(error_id: str) -> tuple[str, Any, str]:
    record = {
        "severityNumber": 13,
        "body": {"stringValue": GIVEN["message"]},
        "attributes": [
            {"key": "log.record.uid", "value": {"stringValue": error_id}},
            {"key": "exception.message", "value": {"stringValue": GIVEN["message"]}},
        ],
    }
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    return "/v1/logs", logs, "application/json"


@pytest.mark.parametrize("door", [native, sentry, otlp])
@pytest.mark.parametrize("has_project", [False, True], ids=["any-project", "own-project"])
def test_a_key_that_is_not_trusted_is_not_believed_at_any_door(
    project: Project, listening_connection: Connection, door: Any, has_project: bool
) -> None:
    number = project.number if has_project else None
    keys = {
        is_trusted: create_key(listening_connection, "sdk", "ingest", project_number=number, is_trusted=is_trusted)
        for is_trusted in (True, False)
    }
    severities = {}
    for is_trusted, key in keys.items():
        error_id = str(uuid4())
        path, body, content_type = door(error_id)
        sent(project.url, key, path.format(number=project.number), body, content_type)
        event = project.event(error_id)
        severities[is_trusted] = event["severity"]
        assert ("severity_given" in event["metadata"]) is not is_trusted
    assert severities == {True: "low", False: "medium"}


def test_running_servers_notice_that_a_key_lost_its_trust(connection: Connection, database_url: str) -> None:
    now = 1.0
    access = Access(database_url, lambda: now)
    key = create_key(connection, "sdk", "ingest")
    assert access.require_now(key, "ingest").is_trusted
    trust_key(connection, key[:14], is_trusted=False)
    assert not list_keys(connection)[0].is_trusted
    now = 12.0
    assert not access.require_now(key, "ingest").is_trusted


def test_without_trust_a_rule_s_title_goes_before_the_given_one_which_is_kept() -> None:
    rule = Rule.model_validate({"name": "db", "when": {"message": "third kind"}, "title": "A boom"})
    hall = Hall(Classifier([StoredRule(rule)]))
    titles = {
        is_trusted: hall.normalise(GIVEN | {"title": "Mine"}, NOW, is_trusted=is_trusted)
        for is_trusted in (True, False)
    }
    assert {is_trusted: event.title for is_trusted, event in titles.items()} == {
        True: "Mine",
        False: "A boom",
    }
    assert json.loads(titles[False].metadata)["title_given"] == "Mine"
    assert titles[True].fingerprint == titles[False].fingerprint
