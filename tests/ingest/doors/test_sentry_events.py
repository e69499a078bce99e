"""Sentry events of every age and shape: all are accepted, and what can be read of them is kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from ingest.database import Connection
from ingest.doors.sentry.events import raw_event
from ingest.hall import Hall
from jobs.tally import Tally
from tests.listening import Project

DEEP = b'{"message": "deep", "extra": ' + b"[" * 900 + b"]" * 900 + b"}"
WORKFLOW = "6f1d1c7e-0000-4000-8000-0000000000aa"
FRAME = {"filename": "a.py", "function": "work", "lineno": 7, "in_app": True}

ODD: dict[str, Any] = {
    "nothing at all": {},
    "all null": dict.fromkeys(
        "event_id timestamp level message exception tags extra user request contexts fingerprint breadcrumbs".split()
    ),
    "all numbers": dict.fromkeys("event_id level message exception tags extra user request contexts sdk".split(), 17),
    "all lists": {
        name: [[]] for name in "event_id timestamp level message tags user request contexts sdk release".split()
    },
    "all texts": dict.fromkeys("exception tags extra user request contexts breadcrumbs threads sdk".split(), "text"),
    "all true": dict.fromkeys("timestamp level message exception tags fingerprint threads platform".split(), True),
    "exceptions as a list": {"exception": [{"type": "A", "value": "a"}]},
    "an exception by itself": {"exception": {"type": "A", "value": "a"}},
    "no exceptions": {"exception": {"values": []}},
    "exceptions null": {"exception": {"values": None}},
    "gaps among exceptions": {"exception": {"values": [None, 7, {}, {"type": None, "value": None}, {"type": "A"}]}},
    "an exception of wrong types": {"exception": [{"type": 7, "value": {"a": 1}, "module": [], "mechanism": "x"}]},
    "an odd mechanism": {
        "exception": [
            {"type": "A", "mechanism": {"handled": "no", "exception_id": [], "parent_id": {}, "source": 7}},
            {"type": "B", "mechanism": {"is_exception_group": True, "exception_id": True, "parent_id": 0}},
        ]
    },
    "frames null": {"exception": [{"type": "A", "stacktrace": {"frames": None}}]},
    "a stack null": {"exception": [{"type": "A", "stacktrace": None}]},
    "a stack as a list": {"exception": [{"type": "A", "stacktrace": [FRAME]}]},
    "a frame null": {"exception": [{"type": "A", "stacktrace": {"frames": [None, FRAME, [], "x"]}}]},
    "a frame of wrong types": {
        "stacktrace": {"frames": [{"filename": [], "function": {}, "lineno": "7", "in_app": "yes", "pre_context": 7}]}
    },
    "empty frames": {"stacktrace": {"frames": [{}] * 500}},
    "a native crash": {
        "platform": "native",
        "exception": [
            {"type": "SIGSEGV", "stacktrace": {"frames": [{"instruction_addr": "0xdead", "package": "/lib/x"}]}}
        ],
        "debug_meta": {"images": [{}]},
    },
    "a line number out of this world": {"stacktrace": {"frames": [{"filename": "a", "lineno": 10**300, "colno": -1}]}},
    "tags as pairs": {"tags": [["a", "b"], ["c"], [None, "d"], [{"x": 1}, "e"], "f", ["workflow_id", WORKFLOW]]},
    "tags as keys and values": {"tags": [{"key": "a", "value": "b"}, {"key": None}, {"value": 7}, {}]},
    "tags of wrong types": {"tags": {"a": {"b": 1}, "c": None, "workflow_id": 17, "run_id": ["x"], "source": {}}},
    "a message with a list": {"message": {"message": "a %s of %d", "params": ["b", 7]}},
    "a message with an object": {"message": {"message": "a %(x)s of {y}", "params": {"x": "b", "y": None}}},
    "too few parameters": {"logentry": {"message": "%s %s %s %% %(no)s {0} %", "params": [None]}},
    "odd parameters": {"logentry": {"message": "%s %s", "params": [{"a": [1]}, float("nan")]}},
    "a log entry as text": {"logentry": "text"},
    "an old interface": {"sentry.interfaces.Message": {"message": "m"}, "sentry.interfaces.Exception": {"type": "A"}},
    "an unknown level": {"level": "catastrophic"},
    "a level of another type": {"level": {"a": 1}},
    "no id": {"event_id": None},
    "a bad id": {"event_id": "not-an-id"},
    "an id with dashes": {"event_id": str(uuid4())},
    "a user null": {"user": None},
    "a user of wrong types": {"user": {"id": {"a": 1}, "email": 7, "geo": []}},
    "headers as pairs": {"request": {"url": "http://x/", "headers": [["Host", "x"], ["Odd"], None, [1, 2]]}},
    "a request of wrong types": {"request": {"url": 7, "method": [], "headers": "x", "query_string": 7}},
    "a query as pairs": {"request": {"url": "/", "query_string": [["a", "b"], ["c"]], "cookies": [["d", "e"]]}},
    "threads without frames": {"threads": {"values": [{"id": 1, "crashed": True}, {"current": True}, None]}},
    "threads as a list": {"threads": [{"current": True, "stacktrace": {"frames": [FRAME]}}]},
    "contexts of wrong types": {"contexts": {"meshhook": 7, "response": "x", "trace": None, "os": []}},
    "our context of wrong types": {"contexts": {"meshhook": {"workflow_id": [], "attempt": "x", "source": ["worker"]}}},
    "a status in many words": {"contexts": {"response": {"status_code": "9" * 5000}}, "tags": {"http_status": "²²²"}},
    "a fingerprint of wrong types": {"fingerprint": [None, {"a": 1}, ["b"], 7]},
    "a fingerprint with the usual": {"fingerprint": ["{{ default }}", "\udc00"], "exception": [{"type": "\ud800"}]},
    "an empty fingerprint": {"fingerprint": []},
    "breadcrumbs of wrong types": {"breadcrumbs": {"values": [None, 7, {"data": []}]}},
    "lone surrogates": {"message": "\ud800", "tags": {"\udfff": "\ud800"}, "release": "\ud800", "platform": "\udc00"},
    "nul and controls": {"message": "a\x00b\x1b[31m", "tags": {"\x00": "\x00"}, "transaction": "\n\n"},
    "very long texts": {"message": "x" * 400_000, "release": "y" * 50_000, "tags": {"z" * 9_000: "z" * 9_000}},
    "time in seconds": {"timestamp": 1_790_000_000},
    "time with a fraction": {"timestamp": 1_790_000_000.123},
    "time as text of seconds": {"timestamp": "1790000000.5"},
    "time in milliseconds": {"timestamp": 1_790_000_000_000},
    "time with a zone": {"timestamp": "2026-01-01T12:00:00+02:00"},
    "time without a zone": {"timestamp": "2026-01-01T12:00:00"},
    "a day as time": {"timestamp": "2026-01-01"},
    "time before all time": {"timestamp": "0001-01-01T00:00:00+23:00"},
    "time after all time": {"timestamp": 10**400},
    "time not a number": {"timestamp": float("nan")},
    "time as nonsense": {"timestamp": "yesterday"},
    "time negative": {"timestamp": -1},
    "time as an object": {"timestamp": {"seconds": 1}},
}


@pytest.mark.parametrize("event", ODD.values(), ids=ODD)
def test_odd_events_are_accepted(project: Project, listening_connection: Connection, event: Any) -> None:
    named = {"event_id": uuid4().hex, "platform": "other"} | event
    as_item = b'{}\n{"type": "event"}\n' + json.dumps(named).encode()
    stored = json.dumps({**named, "event_id": uuid4().hex}).encode()
    assert [project.post(as_item).status, project.post(stored, "store/").status] == [200, 200]
    kept = listening_connection.execute(
        "select count(*) from error_metrics where project_id = %s", [project.project_id]
    ).fetchone()
    assert kept == (2,)


@pytest.mark.parametrize(
    "body", [DEEP, b'{"message": ' + b"9" * 5_000 + b"}", b'{"release": 1e999, "tags": {"a": -1e999}}']
)
def test_odd_numbers_and_depths_are_accepted(project: Project, body: bytes) -> None:
    assert project.post(body, "store/").status == 200
    names_too_deep = b'{"tags": [[' + b"[" * 900 + b"]" * 900 + b', 1]], "level": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert project.post(names_too_deep, "store/").status == 200
    assert len(project.events()) == 2


@pytest.mark.parametrize("kind", ["session", "sessions"])
def test_odd_sessions_are_accepted_or_refused_in_words(project: Project, kind: str) -> None:
    now = datetime.now(UTC).isoformat()
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    values = [None, 7, -1, 2**70, 1.5, True, "x", "\ud800", [], {}, deep, now]
    names = "sid status started errors attrs aggregates exited crashed errored init".split()
    bodies: list[Any] = [{"sid": "a", "aggregates": [{"exited": 1}], name: value} for name in names for value in values]
    bodies += [{"sid": "b", "aggregates": [{"exited": 1, name: value}]} for name in names for value in values]
    bodies += [{"sid": "c", "aggregates": [{"exited": 1}], "attrs": {"release": value}} for value in values]
    bodies += values
    for body in bodies:
        reply = project.post(b'{"sent_at": "x"}\n{"type": "%s"}\n' % kind.encode() + json.dumps(body).encode())
        assert reply.status in (200, 400), body
        assert reply.status == 200 or reply.headers["X-Sentry-Error"]


def test_a_template_that_names_one_long_parameter_often_stays_small(project: Project) -> None:
    for template, params in (
        ("%(a)s" * 100_000, {"a": ["x" * 1_000] * 100}),
        ("%s" * 100_000, ["y" * 10_000] * 10_000),
    ):
        raw = raw_event({"logentry": {"message": template, "params": params}})
        assert len(raw["message"]) < len(template) + 150_000


def test_messages_are_filled_as_their_languages_do(project: Project) -> None:
    def message(template: str, params: Any) -> str:
        return str(raw_event({"logentry": {"message": template, "params": params}})["message"])

    assert message("order %s of %5.2f%%", ["A", 7]) == "order A of 7%"
    assert message("order %(id)s by {who}", {"id": "A", "who": None}) == "order A by null"
    assert message("order {} of {}", ["A"]) == "order A of {}"
    assert message("order %s", None) == "order %s"


def test_sentrys_placeholder_refines_the_usual_group(project: Project) -> None:
    def group(**fields: Any) -> str:
        return Hall().normalise(raw_event(fields), datetime.now(UTC)).fingerprint

    usual = group(message="order 17 failed")
    assert group(message="order 18 failed", fingerprint=["{{ default }}"]) == usual
    one, two = (group(message="order 17 failed", fingerprint=["{{ default }}", shop]) for shop in ("one", "two"))
    assert len({one, two, usual}) == 3
    assert group(message="order 99 failed", fingerprint=["{{ default }}", "one"]) == one
    assert group(message="a refund failed", fingerprint=["{{ default }}", "one"]) != one
    assert group(message="a refund failed", fingerprint=["one"]) == "one"


def test_a_time_that_cannot_be_is_kept_aside(project: Project) -> None:
    now = datetime.now(UTC)
    for odd in (1_790_000_000_000, "yesterday", 10**400, {"seconds": 1}, True):
        event = Hall().normalise(raw_event({"timestamp": odd}), now)
        assert event.timestamp == now
        assert b'"timestamp_given"' in event.metadata
    ago = now - timedelta(hours=3)
    for good in (ago.timestamp(), str(ago.timestamp()), ago.isoformat(), ago.isoformat().removesuffix("+00:00")):
        event = Hall().normalise(raw_event({"timestamp": good}), now)
        assert abs(event.timestamp - ago) < timedelta(milliseconds=1)


SECRETS = (
    "planted-bearer-value",
    "planted-cookie-value",
    "planted-query-value",
    "planted-extra-value",
    "planted-body-value",
    "planted-variable-value",
    "planted-header-value",
    "planted-crumb-value",
    "planted-pairs-value",
    "planted-tag-value",
    "planted.person@shop.example",
)


def test_no_secret_of_an_event_reaches_the_database(project: Project, listening_connection: Connection) -> None:
    bearer, cookie, query, extra, body, variable, header, crumb, pairs, tag, email = SECRETS
    frame = {**FRAME, "vars": {"anything": variable}, "context_line": f'    password = "{variable}"'}
    event = {
        "event_id": uuid4().hex,
        "message": f"login of {email} with password={extra} failed",
        "logentry": {"message": "login with token=%s", "params": [extra]},
        "exception": {"values": [{"type": "E", "value": f"api_key={extra}", "stacktrace": {"frames": [frame]}}]},
        "request": {
            "url": f"https://shop.example/login?token={query}&page=2",
            "query_string": f"token={query}&page=2",
            "headers": [["Authorization", f"Bearer {bearer}"], ["Cookie", f"sid={cookie}"], ["X-Api-Key", header]],
            "cookies": {"sid": cookie},
            "data": {"password": body, "comment": body},
            "env": {"HTTP_AUTHORIZATION": bearer},
        },
        "extra": {"password": extra, "nested": [{"secret": extra}], "sys.argv": [f"http://{extra}@api.example/1"]},
        "user": {"id": "17", "email": email, "username": email},
        "tags": {"api_token": tag},
        "contexts": {"login": {"password": extra}, "meshhook": {"node": f"token={extra}"}},
        "breadcrumbs": {"values": [{"message": f"token={crumb}", "data": {"url": f"/?access_token={crumb}"}}]},
        "transaction": f"/login?token={query}",
    }
    as_pairs = {
        **event,
        "event_id": uuid4().hex,
        "request": {"url": "/", "query_string": [["token", pairs]], "headers": {"cookie": pairs}},
        "tags": [["password", pairs]],
        "fingerprint": ["{{ default }}", f"token={pairs}"],
    }
    for sent in (event, as_pairs):
        assert project.post(b'{}\n{"type": "event"}\n' + json.dumps(sent).encode()).status == 200
    assert project.post(json.dumps({**event, "event_id": uuid4().hex}).encode(), "store/").status == 200
    rows = listening_connection.execute(
        "select e::text from error_metrics e where project_id = %s", [project.project_id]
    ).fetchall()
    assert len(rows) == 3
    kept = " ".join(row[0] for row in rows)
    assert [secret for secret in SECRETS if secret in kept] == []
    assert "page=2" in kept
    Tally(listening_connection).tick()  # it keeps a line of each group
    groups = listening_connection.execute("select string_agg(g::text, ' ') from error_groups g").fetchone()
    assert groups is not None
    assert [secret for secret in SECRETS if secret in str(groups[0])] == []
