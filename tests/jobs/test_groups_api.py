"""Groups over HTTP: who may read and change them, what is refused and why."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from analytics.accounts import add_user
from ingest.database import Connection
from jobs.tally import Tally
from tests.apis import Api
from tests.seeding import insert_error, now

PATH = "/api/error-groups"


def at(fingerprint: str, more: str = "") -> str:
    return f"{PATH}/{quote(fingerprint, safe='')}{more}"


def patch(api: Api, fingerprint: str, body: Any, role: str = "admin") -> Any:
    return api.client.patch(at(fingerprint), json=body, headers={"Authorization": f"Bearer {api.keys[role]}"})


@pytest.fixture
def tally(connection: Connection) -> Tally:
    for fingerprint, count in (("1-a", 3), ("1-b", 2), ("of/my own|x", 1)):
        for _ in range(count):
            insert_error(connection, fingerprint=fingerprint, title=f"{fingerprint} failed")
    insert_error(connection, fingerprint="1-web", source="webhook", timestamp=now() - timedelta(hours=2))
    tally = Tally(connection)
    tally.tick()
    return tally


def test_groups_are_listed_filtered_and_sorted(api: Api, tally: Tally) -> None:
    answer = api.get(PATH, sort="errors").json()
    assert [(group["fingerprint"], group["errors"]) for group in answer["groups"]] == [
        ("1-a", 3),
        ("1-b", 2),
        ("1-web", 1),
        ("of/my own|x", 1),
    ]
    assert (answer["matching"], answer["page"]) == (4, 1)
    first = answer["groups"][0]
    assert (first["state"], first["title"], first["total"], sum(first["series"])) == ("open", "1-a failed", 3, 3)
    assert len(first["series"]) == len(answer["buckets"])

    def found(**asked: Any) -> list[str]:
        return [group["fingerprint"] for group in api.get(PATH, sort="errors", **asked).json()["groups"]]

    assert found(source="webhook") == ["1-web"]
    assert found(text="1-B") == ["1-b"]
    assert found(limit=1, page=2) == ["1-b"]
    assert found(start=(now() - timedelta(hours=1)).isoformat()) == ["1-a", "1-b", "of/my own|x"]
    assert "1-web" in found(start=(now() - timedelta(hours=1)).isoformat(), idle=True)
    patch(api, "1-a", {"state": "resolved"})
    assert found(state=["resolved", "ignored"]) == ["1-a"]
    assert found(unassigned=True, state="resolved") == ["1-a"]


def test_one_group_is_answered_whole(api: Api, tally: Tally) -> None:
    group = api.get(at("of/my own|x")).json()
    assert (group["fingerprint"], group["total"], group["notes"]) == ("of/my own|x", 1, [])
    assert [(part["joined"], part["version"]) for part in group["parts"]] == [("head", None)]
    assert [line["kind"] for line in group["history"]] == ["new"]
    assert api.get(at("nobody")).status_code == 404


def test_a_group_is_changed_by_a_key_that_may_and_the_history_names_it(
    api: Api, connection: Connection, tally: Tally
) -> None:
    add_user(connection, "anna", "a long password")
    changed = patch(api, "1-a", {"state": "resolved", "assignee": "anna"}).json()
    assert (changed["state"], changed["assignee"], changed["changed_by"]) == ("resolved", "anna", "key admin")
    until = (now() + timedelta(hours=1)).isoformat()
    changed = patch(api, "1-a", {"state": "ignored", "ignored_until": until, "ignored_for_errors": 5}).json()
    assert (changed["state"], changed["ignored_until_errors"], changed["assignee"]) == ("ignored", 8, "anna")
    changed = patch(api, "1-a", {"state": "open"}).json()
    assert (changed["state"], changed["ignored_until"]) == ("open", None)
    assert patch(api, "1-a", {"assignee": None}).json()["assignee"] is None
    assert [line["kind"] for line in reversed(changed["history"])] == [
        "new",
        "assigned",
        "resolved",
        "ignored",
        "reopened",
    ]
    assert {line["by"] for line in changed["history"]} == {None, "key admin"}


def test_a_change_is_whole_or_none(api: Api, connection: Connection, tally: Tally) -> None:
    add_user(connection, "anna", "a long password")
    past = (now() - timedelta(hours=1)).isoformat()
    refused = patch(api, "1-a", {"assignee": "anna", "state": "ignored", "ignored_until": past})
    assert (refused.status_code, "in the future" in refused.json()["detail"]) == (422, True)
    group = api.get(at("1-a")).json()
    assert (group["assignee"], group["state"]) == (None, "open")


def test_notes_are_written_and_read(api: Api, tally: Tally) -> None:
    made = api.send({"note": "It's the CRM again."}, "admin", at("of/my own|x", "/notes"))
    assert (made.status_code, made.json()["author"]) == (201, "key admin")
    assert [note["note"] for note in api.get(at("of/my own|x")).json()["notes"]] == ["It's the CRM again."]


def test_groups_are_merged_and_split(api: Api, connection: Connection, tally: Tally) -> None:
    merged = api.send({"fingerprints": ["1-b", "of/my own|x"]}, "admin", at("1-a", "/merge")).json()
    assert (merged["fingerprint"], merged["total"]) == ("1-a", 6)
    assert merged["members"] == ["1-a", "1-b", "of/my own|x"]
    assert api.get(at("1-b")).json()["fingerprint"] == "1-a"
    refused = patch(api, "1-b", {"state": "resolved"})
    assert (refused.status_code, "was merged into '1-a'" in refused.json()["detail"]) == (409, True)
    apart = api.send({"fingerprint": "of/my own|x"}, "admin", at("1-a", "/split")).json()
    assert (apart["fingerprint"], apart["total"]) == ("of/my own|x", 1)
    assert api.send({"fingerprint": "of/my own|x"}, "admin", at("1-a", "/split")).status_code == 409
    # A filter by fingerprint means the one.
    counted = api.get("/api/error-metrics", fingerprint="1-a", interval="1d").json()["buckets"]
    assert sum(bucket["errors"] for bucket in counted) == 3


@pytest.mark.parametrize("role", ["read", "ingest"])
def test_only_an_admin_changes_groups(api: Api, tally: Tally, role: str) -> None:
    assert patch(api, "1-a", {"state": "resolved"}, role).status_code == 403
    for more, body in (
        ("/notes", {"note": "x"}),
        ("/merge", {"fingerprints": ["1-b"]}),
        ("/split", {"fingerprint": "x"}),
    ):
        assert api.send(body, role, at("1-a", more)).status_code == 403
    assert (api.get(PATH, role).status_code == 200) == (role == "read")
    group = api.get(at("1-a")).json()
    assert (group["state"], group["members"], group["notes"]) == ("open", ["1-a"], [])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Name what is to change"),
        ({"state": "regressed"}, "state: must be"),
        ({"state": None}, "state: must be"),
        ({"ignored_for_errors": 3}, "needs the state 'ignored'"),
        ({"state": "ignored", "ignored_for_errors": 0}, "ignored_for_errors: must be at least 1"),
        ({"state": "ignored", "ignored_until": "soon"}, "ignored_until: isn't a time"),
        ({"assignee": "nobody we know"}, "no user 'nobody we know'"),
        ({"colour": "red"}, "colour: isn't known here"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(api: Api, tally: Tally, body: Any, says: str) -> None:
    refused = patch(api, "1-a", body)
    assert refused.status_code == 422
    assert says in refused.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"sort": "colour"}, "sort: must be"),
        ({"limit": 201}, "limit: may be at most 200"),
        ({"state": "gone"}, "state: must be"),
        ({"colour": "red"}, "There is no parameter 'colour'"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "must be after its start"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(api: Api, asked: Any, says: str) -> None:
    refused = api.get(PATH, **asked)
    assert refused.status_code == 422
    assert says in refused.json()["detail"]


def test_no_byte_of_a_fingerprint_fails_inside(api: Api) -> None:
    assert api.get(PATH + "/%00").status_code == 422
    assert api.get(PATH + "/" + "x" * 201).status_code == 422
    assert api.send({"note": "x"}, "admin", at("nobody", "/notes")).status_code == 404
    assert api.client.delete(at("1-a"), headers={"Authorization": f"Bearer {api.keys['admin']}"}).status_code == 405
