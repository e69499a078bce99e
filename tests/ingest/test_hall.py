"""From whatever a door takes in to an event that Postgres can store."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.exceptions import InvalidEvent
from ingest.hall import Hall
from ingest.models import MAX_EVENT_BYTES

normalise = Hall().normalise

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["error_id", "timestamp", "source", "error_type", "severity", "workflow_id", "title", "fingerprint", "message",
     "metadata", "exception", "frames", "other"]
)  # fmt: skip


def metadata_of(raw: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(normalise(raw, NOW).metadata)
    return document


def test_unknown_fields_are_kept() -> None:
    assert metadata_of({"message": "m", "colour": "blue"})["colour"] == "blue"


def test_a_malformed_workflow_id_does_not_lose_the_event() -> None:
    assert normalise({"workflow_id": "nope"}, NOW).workflow_id is None
    assert metadata_of({"workflow_id": "nope"})["workflow_id_given"] == "nope"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-24T11:59:59Z", NOW - timedelta(seconds=1)),
        ("2026-11-24T12:59:59+01:00", NOW - timedelta(seconds=1)),
        ("2026-11-24 11:59:59", NOW - timedelta(seconds=1)),
        (NOW.timestamp() - 1, NOW - timedelta(seconds=1)),
        (None, NOW),
    ],
)
def test_a_time_is_understood(given: Any, expected: datetime) -> None:
    assert normalise({"timestamp": given}, NOW).timestamp == expected


@pytest.mark.parametrize("given", ["2027-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_an_impossible_time_is_replaced_and_kept_aside(given: str) -> None:
    assert normalise({"timestamp": given}, NOW).timestamp == NOW
    assert metadata_of({"timestamp": given})["timestamp_given"] == given


@pytest.mark.parametrize(
    "raw",
    [
        {"error_id": "nope"},
        {"timestamp": "yesterday"},
        {"source": "kitchen"},
        {"severity": "awful"},
        {"error_type": "two words"},
        {"metadata": [1]},
    ],
)
def test_what_is_no_event_is_refused_by_field(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=next(iter(raw))):
        normalise(raw, NOW)


def test_an_id_is_taken_in_any_usual_form_and_kept_in_one() -> None:
    given = "9F86D081884C4D65A62FEA0C55AD015A"
    assert normalise({"error_id": given}, NOW).error_id == "9f86d081-884c-4d65-a62f-ea0c55ad015a"


def test_microseconds_are_kept() -> None:
    assert normalise({"timestamp": "2026-11-24T11:59:59.123456Z"}, NOW).timestamp.microsecond == 123456


@pytest.mark.parametrize(
    ("given", "expected"), [("fatal", "high"), ("ERROR", "medium"), ("warning", "low"), (" High ", "high")]
)
def test_usual_names_of_a_severity_are_understood(given: str, expected: str) -> None:
    assert normalise({"severity": given}, NOW).severity == expected


def test_a_missing_source_is_a_worker_or_the_webhook_that_its_node_is() -> None:
    assert normalise({"source": " Worker "}, NOW).source == "worker"
    assert normalise({}, NOW).source == "worker"
    assert normalise({"node_type": "webhook"}, NOW).source == "webhook"


def test_a_secret_is_no_error_type_and_the_refusal_does_not_repeat_it() -> None:
    with pytest.raises(InvalidEvent, match="error_type") as refused:
        normalise({"error_type": "sk_live_a1b2a1b2a1b2"}, NOW)
    assert "a1b2" not in str(refused.value)


def test_nothing_that_was_given_is_lost() -> None:
    raw = {"message": "a", "title": {"odd": 1}, "fingerprint": {"b": 2}, "metadata": {"message": "c"}}
    document = metadata_of(raw)
    assert (document["message"], document["message_given"]) == ("a", "c")
    assert (document["title_given"], document["fingerprint_given"]) == ({"odd": 1}, {"b": 2})


def test_the_rule_is_named_once_whatever_the_caller_says() -> None:
    document = normalise({"metadata": {"classified_by": "me"}}, NOW).metadata
    assert document.count(b'"classified_by":') == 1
    told = json.loads(document)
    assert (told["classified_by_given"], told["classified_by"]) == ("me", "default")


def test_the_given_event_is_left_as_it_is() -> None:
    raw = {"timestamp": "2030-01-01", "workflow_id": "x", "metadata": {"a": {"password": "p"}, "classified_by": "x"}}
    copy = json.dumps(raw)
    normalise(raw, NOW)
    assert json.dumps(raw) == copy


def test_ids_made_here_sort_by_time() -> None:
    first = normalise({}, NOW).error_id
    second = normalise({}, NOW + timedelta(milliseconds=2)).error_id
    assert (UUID(first).version, first < second) == (7, True)


def test_a_title_is_one_readable_line() -> None:
    exception = {"type": "TypeError", "value": "fetch failed\nmore"}
    raw = {"metadata": {"node": "createContact", "exception": exception}}
    assert normalise(raw, NOW).title == "createContact: TypeError: fetch failed"
    assert len(normalise({"title": "x" * 5000}, NOW).title) == 200


@pytest.mark.parametrize("title", ["a\r\nb", "\n\n a\x0bb", "a\u2028b", "\x1ba"])
def test_a_title_has_neither_lines_nor_control_characters(title: str) -> None:
    assert normalise({"title": title}, NOW).title == "a"


def test_a_title_of_nothing_visible_counts_as_none() -> None:
    assert normalise({"title": "\x1b", "message": "HTTP 502", "node": "createContact"}, NOW).title == (
        "createContact: HTTP 502"
    )


def test_an_event_that_is_too_large_is_cut_with_a_mark() -> None:
    raw = {"message": "x" * 1_000_000, "metadata": {"list": list(range(100_000)), "small": "kept"}}
    event = normalise(raw, NOW)
    assert len(event.metadata) <= MAX_EVENT_BYTES
    document = json.loads(event.metadata)
    assert "[cut" in document["message"]
    assert document["small"] == "kept"


def test_nesting_beyond_reason_is_cut() -> None:
    deep: dict[str, Any] = {}
    for _ in range(150):
        deep = {"a": deep}
    assert b"[cut]" in normalise({"metadata": deep}, NOW).metadata


def test_characters_that_postgres_refuses_are_replaced() -> None:
    assert metadata_of({"message": "a\x00b"})["message"] == "a�b"
    assert metadata_of({"message": "a\ud800b"})["message"] == "a?b"


def test_many_frames_are_no_depth() -> None:
    frames = [{"file": "/srv/app/a.py", "function": "f", "line": number} for number in range(200)]
    assert metadata_of({"frames": frames})["frames"] == frames


@pytest.mark.parametrize("levels", [39, 40, 41, 900, 50_000])
def test_nesting_is_cut_after_forty_levels_however_deep(levels: int) -> None:
    deep: Any = 1
    for _ in range(levels):
        deep = [deep]
    document = normalise({"metadata": {"deep": deep}}, NOW).metadata
    assert document.count(b"[") - document.count(b"[cut]") <= 40
    assert (b"[cut]" in document) == (levels > 39)


@pytest.mark.parametrize(
    "raw",
    [
        {"number": 10**5000},
        {"http_status": 10**5000},
        {"fingerprint": 10**5000},
        {"workflow_id": 10**5000},
        {"exception": {"type": 10**5000, "module": ["a"]}},
        {"frames": [{"file": 10**5000, "function": ["f"]}, None]},
        {"exception": {"type": "\ud800", "module": "\udfff"}, "node": "\ud800", "title": "\ud800"},
    ],
)
def test_odd_values_in_known_places_are_survived(raw: dict[str, Any]) -> None:
    assert metadata_of(raw)


def test_numbers_that_json_lacks_become_null() -> None:
    assert metadata_of({"metadata": {"a": float("nan"), "b": float("inf")}})["a"] is None


@given(st.dictionaries(FIELDS | st.text(max_size=8), JSON_VALUE, max_size=8))
def test_anything_becomes_an_event_or_is_refused(raw: dict[str, Any]) -> None:
    try:
        event = normalise(raw, NOW)
    except InvalidEvent:
        return
    assert isinstance(json.loads(event.metadata), dict)
    assert len(event.metadata) <= MAX_EVENT_BYTES
    assert b"\\u0000" not in event.metadata
    assert event.title.isprintable()
    assert 0 < len(event.title) <= 200
    assert 0 < len(event.fingerprint) <= 64
    (event.title + event.fingerprint).encode()
