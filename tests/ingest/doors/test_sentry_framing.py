"""The envelope under damage: never a 5xx, and what stands before the damage is kept."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.doors.documents import parsed
from ingest.doors.sentry.events import raw_event
from ingest.doors.sentry.framing import MOST_ITEMS, Item, read_envelope
from ingest.doors.sentry.sessions import session_reports, sums_reports
from ingest.exceptions import InvalidEvent
from ingest.hall import Hall
from ingest.rows import error_row, execution_row
from tests.fuzzing import examples
from tests.listening import Project

NOW = datetime.now(UTC)
FRAMES = [{"filename": "a.py", "function": "work", "lineno": 7, "in_app": True, "vars": {"a": "b"}}]
EVENT = {
    "event_id": "0123456789abcdef0123456789abcdef",
    "timestamp": "2026-11-24T10:00:00.123Z",
    "level": "error",
    "platform": "python",
    "logentry": {"message": "a %s of %(b)s", "params": ["c"], "formatted": None},
    "exception": {
        "values": [{"type": "E", "value": "v", "mechanism": {"handled": True}, "stacktrace": {"frames": FRAMES}}]
    },
    "request": {"url": "https://shop.example/", "headers": [["Host", "shop.example"]], "query_string": "a=b"},
    "tags": {"workflow_id": "6f1d1c7e-0000-4000-8000-0000000000aa", "http_status": "404"},
    "contexts": {"meshhook": {"node": "n", "attempt": 1}, "trace": {"trace_id": "a" * 32}},
    "fingerprint": ["{{ default }}", "x"],
}
SESSION = {"sid": "s", "init": True, "status": "crashed", "errors": 1, "started": "2026-11-24T10:00:00Z"}
SUMS = {"aggregates": [{"started": "2026-11-24T10:00:00Z", "exited": 4, "crashed": 1}], "attrs": {"release": "1"}}
REAL = b"\n".join(
    json.dumps(part).encode()
    for part in (
        {"event_id": EVENT["event_id"], "sent_at": "2026-11-24T10:00:01Z", "dsn": "https://key@errors.example/1"},
        {"type": "event", "length": len(json.dumps(EVENT).encode())},
        EVENT,
        {"type": "session"},
        SESSION,
        {"type": "sessions", "length": len(json.dumps(SUMS).encode())},
        SUMS,
        {"type": "attachment", "length": 3},
        17,
    )
)
ODD_BYTES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"\n", b"\r\n", b"{}", b'{"type":"event"}', b'"length":-1', b"1e999", b"[" * 500, b"\xff", b"\\ud800"]
    ),
)
MANY = settings(max_examples=examples(600), deadline=None)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real envelope with some of its bytes removed, replaced, repeated, or with others between them."""
    body = REAL
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = start + draw(st.integers(0, 60))
        body = body[:start] + draw(st.one_of(ODD_BYTES, st.just(body[start:end] * 2))) + body[end:]
    return body


# With lone surrogates, and with the names that we look for.
TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["%s", "{{ default }}", "worker", "%(a)s{b}", "2026-11-24"]
)
NAMES = st.sampled_from(
    """event_id timestamp level message exception values type value stacktrace frames filename function lineno mechanism
    handled parent_id exception_id source tags contexts meshhook workflow_id request headers query_string url user
    fingerprint logentry params formatted breadcrumbs threads current sid status started errors aggregates exited
    crashed attrs extra http_status key response status_code release""".split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXT, inner, max_size=6),
    max_leaves=15,
)


def read_item(item: Item) -> None:
    """As the door does. Only InvalidEvent may be raised."""
    if item.kind == "event":
        error_row(Hall().normalise(raw_event(_document(item)), NOW))
    elif item.kind == "session":
        for report in session_reports(_document(item), None, NOW):
            execution_row(report)
    elif item.kind == "sessions":
        for report in sums_reports(_document(item), "now", None, NOW):
            execution_row(report)


def _document(item: Item) -> Any:
    try:
        return parsed(item.payload)
    except ValueError as error:
        raise InvalidEvent(str(error)) from None


def read_all(body: bytes) -> list[Item]:
    """The items, each read or refused in words."""
    try:
        items = read_envelope(body).items
    except InvalidEvent as error:
        assert str(error)
        return []
    for item in items:
        try:
            read_item(item)
        except InvalidEvent as error:
            assert str(error)
    return items


@settings(MANY, max_examples=examples(1_000))
@given(st.binary(max_size=400) | st.lists(ODD_BYTES, max_size=12).map(b"\n".join))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read_all(body)


@MANY
@given(mutated())
def test_a_mutated_envelope_is_read_or_refused(body: bytes) -> None:
    read_all(body)


@MANY
@given(st.sampled_from(["event", "session", "sessions"]), VALUES)
def test_any_document_is_read_or_refused(kind: str, document: Any) -> None:
    read_all(b"{}\n" + json.dumps({"type": kind}).encode() + b"\n" + json.dumps(document).encode())


@MANY
@given(st.dictionaries(st.sampled_from(sorted(EVENT)), VALUES, min_size=1, max_size=4))
def test_an_event_with_any_fields_is_taken(fields: dict[str, Any]) -> None:
    item = read_envelope(b'{}\n{"type":"event"}\n' + json.dumps(EVENT | fields).encode()).items[0]
    read_item(item)  # without InvalidEvent: an event is an object, whatever its fields hold


@settings(MANY, max_examples=examples(500))
@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_payloads_with_a_length_may_hold_anything(payloads: list[bytes], spaced: bool) -> None:
    body = b'{"event_id":"a"}'
    for payload in payloads:
        body += b'\n{"type":"attachment","length":%d}\n%s' % (len(payload), payload) + (b"\n" if spaced else b"")
    envelope = read_envelope(body)
    assert (envelope.damage, [item.payload for item in envelope.items]) == (None, payloads)


@settings(MANY, max_examples=examples(500))
@given(
    st.integers(0, 3), st.sampled_from([b"{", b"[]", b'{"type":7}', b'{"type":"event","length":99}\nx', b"\xff\xfe"])
)
@example(2, b'{"type":"event","length":"12"}\n{}')
@example(2, b'{"type":"event","length":true}\n{}')
@example(2, b'{"type":"event","length":1.5}\n{}')
@example(2, b'{"type":"event","length":-1}\n{}')
@example(1, b'{"type":"event","x":"' + b"x" * 70_000 + b'"}\n{}')
def test_what_stands_before_the_damage_is_kept(count: int, damage: bytes) -> None:
    good = [json.dumps({"message": f"number {number}"}).encode() for number in range(count)]
    body = b"{}\n" + b"".join(b'{"type":"event","length":%d}\n%s\n' % (len(text), text) for text in good) + damage
    envelope = read_envelope(body)
    assert [item.payload for item in envelope.items] == good
    assert envelope.damage


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n", b"[]", b"null", b"{", b"\x1f\x8b", b'{"x":"' + b"x" * 70_000 + b'"}\n', b'{"a":' * 5_000],
)
def test_without_headers_there_is_no_envelope(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        read_envelope(body)


def test_thousands_of_items_are_bounded(project: Project) -> None:
    item = b'{"type":"event"}\n{"message":"one of many"}\n'
    envelope = read_envelope(b"{}\n" + item * 5_000)
    assert (len(envelope.items), str(MOST_ITEMS) in (envelope.damage or "")) == (MOST_ITEMS, True)
    assert project.post(b"{}\n" + item * 5_000).status == 200
    assert project.counts()["errors"] == MOST_ITEMS


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated() | st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_the_door_answers_whatever_comes(project: Project, body: bytes, as_envelope: bool) -> None:
    reply = project.post(body, "envelope/" if as_envelope else "store/")
    assert reply.status in (200, 400), body
    assert reply.status == 200 or reply.headers["X-Sentry-Error"]


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated())
def test_a_good_item_before_damage_is_stored(project: Project, damage: bytes) -> None:
    event_id = uuid4().hex
    head = b'{}\n{"type":"event"}\n{"event_id":"%s","message":"kept"}\n' % event_id.encode()
    assert project.post(head + damage).status == 200
    found = project.event(event_id)
    assert found["title"] == "kept"
