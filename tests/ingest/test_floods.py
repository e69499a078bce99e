"""In a flood errors are counted without their details, and every count stays exact."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ingest.database import Connection
from ingest.hall import Hall
from ingest.keys import create_key, limit_key
from ingest.landing import land
from ingest.limits import Limits, LimitsOfTheirOwn, Toll, read_limits
from ingest.projects import create_project, limit_project
from ingest.rows import lines_of, row_of_line
from ingest.sampling import Sampler
from ingest.settings import Settings
from jobs.api import create_app
from tests.apis import Api

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
COUNTED = b'\t{"counted":true}\t'


def total(connection: Connection) -> tuple[int, int]:
    """Errors, and rows that stand for them."""
    row = connection.execute("select coalesce(sum(stands_for), 0)::bigint, count(*) from error_metrics").fetchone()
    assert row is not None
    return row[0], row[1]


def test_the_first_errors_of_a_group_and_minute_are_kept_whole() -> None:
    hall = Hall(sampler=Sampler(3))
    rows = [hall.row({"message": "boom"}, NOW) for _ in range(5)]
    assert [row.is_counted for row in rows] == [False, False, False, True, True]
    assert not hall.row({"message": "another cause"}, NOW).is_counted
    assert not hall.row({"message": "boom", "project_id": str(uuid4())}, NOW).is_counted
    assert not hall.row({"message": "boom"}, NOW + timedelta(minutes=1)).is_counted


def test_the_minute_is_that_of_the_error_so_that_late_ones_are_kept() -> None:
    hall = Hall(sampler=Sampler(1))
    late = [{"message": "boom", "timestamp": (NOW - timedelta(minutes=back)).isoformat()} for back in range(5)]
    assert not any(hall.row(raw, NOW).is_counted for raw in late)


def test_the_memory_of_floods_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sampling._MOST_REMEMBERED", 10)
    sampler = Sampler(1)
    event = Hall().normalise({"message": "boom"}, NOW)
    for number in range(100):
        assert sampler.keeps_details(event._replace(fingerprint=str(number)))
    assert not sampler.keeps_details(event._replace(fingerprint="99"))
    assert len(sampler._seen) <= 10


RAW = st.fixed_dictionaries(
    {
        "message": st.sampled_from(["boom", "pow"]),
        "source": st.sampled_from(["worker", "system"]),
        "severity": st.sampled_from(["low", "high"]),
        "project_id": st.sampled_from([None, str(UUID(int=1)), str(UUID(int=2))]),
        "timestamp": st.integers(0, 40).map(lambda back: (NOW - timedelta(seconds=back)).isoformat()),
    }
)


def dimensions(line: bytes) -> tuple[bytes, ...]:
    fields = line.rstrip(b"\n").split(b"\t")
    return (fields[1][:18], *fields[2:6], fields[7], fields[10])


@given(st.lists(RAW, max_size=60))
@settings(max_examples=50, deadline=None)
def test_merged_rows_stand_for_just_as_many_errors_of_each_series(raws: list[dict[str, Any]]) -> None:
    hall = Hall(sampler=Sampler(2))
    rows = [hall.row(raw, NOW) for raw in raws]
    wanted: dict[tuple[bytes, ...], int] = {}
    for row in rows:
        wanted[dimensions(row.line)] = wanted.get(dimensions(row.line), 0) + 1
    found: dict[tuple[bytes, ...], int] = {}
    counted = []
    for line in lines_of(rows):
        found[dimensions(line)] = found.get(dimensions(line), 0) + int(line.rsplit(b"\t", 1)[1])
        if COUNTED in line:
            counted.append(dimensions(line))
    assert found == wanted
    assert len(counted) == len(set(counted))  # what is alike stands in one row


def test_an_error_is_counted_once_however_often_it_is_sent(connection: Connection) -> None:
    hall = Hall(sampler=Sampler(1))
    raws = [{"error_id": str(uuid4()), "message": "boom"} for _ in range(20)]
    for _ in range(2):
        land(connection, [hall.row(raw, NOW) for raw in raws])
    assert total(connection) == (20, 2)


def test_spooled_rows_of_before_stand_for_one_error(connection: Connection) -> None:
    row = Hall().row({"message": "boom\tand more"}, NOW)
    old = row.line.rsplit(b"\t", 1)[0] + b"\n"
    again = row_of_line("errors", old)
    assert again == row
    assert land(connection, [again]) == 1


def test_a_counted_row_is_known_again_in_the_spool() -> None:
    hall = Hall(sampler=Sampler(1))
    rows = [hall.row({"message": "boom"}, NOW) for _ in range(3)]
    assert [row_of_line("errors", row.line) for row in rows] == rows


@pytest.mark.parametrize(
    ("whole", "damaged", "is_counted"),
    [(b"\t1\n", b"\n", True), (b"\t1\n", b"\tone\n", False), (b"worker\t", b"worker", False)],
    ids=["as spooled before", "no number", "a column less"],
)
def test_a_damaged_row_of_the_spool_stops_none_behind_it(whole: bytes, damaged: bytes, is_counted: bool) -> None:
    hall = Hall(sampler=Sampler(1))
    line = [hall.row({"message": "boom"}, NOW) for _ in range(2)][1].line
    again = row_of_line("errors", line.replace(whole, damaged))
    assert again.is_counted is is_counted
    assert len(lines_of([again])) == 1


def test_a_limit_lets_a_minute_through_and_then_its_rate() -> None:
    now = [0.0]
    limits = Limits(per_key=60, clock=lambda: now[0])
    key = uuid4()
    assert [limits.take(key, None) for _ in range(60)] == [0.0] * 60
    assert limits.take(key, None) == pytest.approx(1.0)
    assert limits.take(uuid4(), None) == 0.0  # another key has a bucket of its own
    now[0] = 2.0
    assert [limits.take(key, None) > 0 for _ in range(3)] == [False, False, True]


def test_a_key_and_a_project_may_have_a_limit_of_their_own(connection: Connection) -> None:
    key = create_key(connection, "shop", "ingest")
    project = create_project(connection, "shop")
    limited = limit_key(connection, key[:14], 2)
    limit_project(connection, project.number or 0, 1)
    limits = Limits()
    limits.replace(read_limits(connection))
    assert [limits.take(limited.id, None) > 0 for _ in range(3)] == [False, False, True]
    assert [limits.take(None, str(project.id)) > 0 for _ in range(2)] == [False, True]
    assert limits.take(uuid4(), None) == 0.0
    limit_key(connection, key[:14], None)
    assert read_limits(connection) == LimitsOfTheirOwn({}, {str(project.id): 1})


def test_naming_many_projects_refills_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.limits._MOST_BUCKETS", 5)
    limits = Limits(per_key=60, per_project=1_000_000, clock=lambda: 0.0)
    key = uuid4()
    assert sum(limits.take(key, str(uuid4())) > 0 for _ in range(100)) == 40


def test_a_toll_says_how_many_were_over_and_when_to_come_back() -> None:
    toll = Toll(Limits(per_project=6, clock=lambda: 0.0), None)
    assert [toll.admits(None) for _ in range(8)] == [True] * 6 + [False] * 2
    assert (toll.over, toll.retry_after) == (2, 10)


@pytest.fixture
def limited(options: Settings, connection: Connection) -> Iterator[Api]:
    keys = {role: create_key(connection, role, role) for role in ("ingest", "read")}  # type: ignore[arg-type]
    with TestClient(create_app(options.model_copy(update={"key_events_per_minute": 3}))) as client:
        yield Api(client, keys)


def test_above_its_limit_a_sender_gets_429_and_every_error_counts(limited: Api, connection: Connection) -> None:
    events = [{"error_id": str(uuid4()), "message": "boom"} for _ in range(5)]
    answer = limited.send(events)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["counted"], body["accepted"], body["duplicates"], body["rejected"]) == (2, 5, 0, [])
    assert "Don't send them again" in body["detail"]
    assert total(connection) == (5, 4)
    assert limited.send(events[0]).json()["counted"] == 1  # sent again after all: nothing is counted twice
    assert total(connection) == (5, 4)
    for start in (
        datetime.now(UTC) - timedelta(hours=1),
        datetime.now(UTC) - timedelta(days=2),
    ):  # live, and with the lake
        buckets = limited.get("/api/error-metrics", interval="1h", start=start.isoformat()).json()["buckets"]
        assert sum(bucket["errors"] for bucket in buckets) == 5


def test_the_metrics_say_what_was_only_counted(limited: Api) -> None:
    limited.send([{"message": "boom"}] * 5)
    lines = limited.get("/metrics").text.splitlines()
    assert 'meshhook_errors_counted_total{reason="limit"} 2.0' in lines
    assert 'meshhook_errors_counted_total{reason="flood"} 0.0' in lines


def test_a_bad_item_above_the_limit_is_still_named(limited: Api) -> None:
    body = limited.send([{"message": "boom"}] * 4 + [{"severity": "dreadful"}]).json()
    assert (body["accepted"], body["counted"], [item["index"] for item in body["rejected"]]) == (4, 1, [4])


def test_an_error_counted_without_details_is_shown_as_such(limited: Api, connection: Connection) -> None:
    limited.send([{"message": "boom"}] * 9)
    events = limited.get("/api/error-events").json()["events"]
    assert sorted(event["stands_for"] for event in events) == [1, 1, 1, 6]
    counted = next(event for event in events if event["stands_for"] == 6)
    one = limited.get(f"/api/error-events/{counted['error_id']}").json()
    assert (one["stands_for"], one["metadata"], one["title"]) == (6, {"counted": True}, "boom")


def envelope(*items: tuple[str, Any]) -> bytes:
    lines = [b"{}"]
    for kind, payload in items:
        lines += [json.dumps({"type": kind}).encode(), json.dumps(payload).encode()]
    return b"\n".join(lines)


def test_a_sentry_sdk_is_told_in_its_own_words_and_what_it_held_back_is_counted(
    limited: Api, connection: Connection
) -> None:
    def send(*items: tuple[str, Any]) -> Any:
        return limited.send(envelope(*items), path="/api/1/envelope/")

    event = {"message": "boom"}
    assert [send(("event", event)).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = send(("event", event))
    assert answer.headers["x-sentry-rate-limits"].endswith(":error;session;default:organization")
    held = {"reason": "ratelimit_backoff", "category": "error", "quantity": 40}
    sampled = {"reason": "sample_rate", "category": "error", "quantity": 7}
    assert send(("client_report", {"discarded_events": [held, sampled]})).status_code == 200
    assert total(connection)[0] == 45
    groups = connection.execute("select sum(stands_for) from error_metrics where fingerprint ~ '^sentry-'").fetchone()
    assert groups == (40,)


def test_an_otlp_exporter_is_told_to_come_back(limited: Api, connection: Connection) -> None:
    records = [{"severityNumber": 17, "body": {"stringValue": f"boom {number}"}} for number in range(5)]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    answer = limited.send(body, path="/v1/logs")
    assert (answer.status_code, answer.json()["code"]) == (429, 8)
    assert total(connection)[0] == 5
    assert limited.send(body, path="/v1/logs").status_code == 429  # its second try, as the protocol has it
    assert total(connection)[0] == 5
