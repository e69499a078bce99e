"""A better version re-groups nothing silently: an event says once which group its own continues."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.fingerprint import Predecessors, version_1
from ingest.hall import Hall
from ingest.limits import Toll
from ingest.rows import Row

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def sent(hall: Hall, message: str = "user 17 not found", **fields: Any) -> dict[str, Any]:
    event = hall.normalise({"message": message, **fields}, NOW)
    return {**json.loads(event.metadata), "group": event.fingerprint}


def test_the_first_event_of_a_group_says_what_version_1_called_it() -> None:
    hall = Hall()
    first = sent(hall)
    assert first["fingerprint_before"] == version_1.fingerprint("worker", {"message": "user 17 not found"}, "")
    assert first["group"].startswith("2-")


def test_all_of_the_first_minutes_say_it_since_the_first_may_be_overtaken_or_known_already() -> None:
    hall = Hall()
    first = sent(hall)
    assert sent(hall, "user 99 not found")["fingerprint_before"] == first["fingerprint_before"]


def test_later_events_of_the_group_do_not_say_it_again() -> None:
    hall = Hall()
    sent(hall)
    later = hall.normalise({"message": "user 99 not found"}, NOW + timedelta(minutes=10))
    assert b"fingerprint_before" not in later.metadata
    assert "fingerprint_before" in sent(hall, "order 99 not found")


def test_each_project_is_told_and_each_process() -> None:
    hall = Hall()
    sent(hall)
    project = "9f86d081-884c-4d65-a62f-ea0c55ad015a"
    assert "fingerprint_before" in sent(hall, project_id=project)
    assert "fingerprint_before" in sent(Hall())


def test_a_caller_s_own_group_has_no_predecessor() -> None:
    assert "fingerprint_before" not in sent(Hall(), fingerprint="billing")


def test_a_caller_s_own_that_refers_to_ours_has_one() -> None:
    event = sent(Hall(), fingerprint=["{{ default }}", "tenant-7"])
    older = version_1.fingerprint("worker", {"message": "user 17 not found"}, "")
    assert (event["group"][:2], event["fingerprint_before"]) == ("2-", f"{older}|tenant-7")


def test_what_a_sender_calls_so_is_kept_aside() -> None:
    event = sent(Hall(), fingerprint="billing", fingerprint_before="1-x", metadata={"classified_by": "y"})
    assert event["fingerprint_before_given"] == "1-x"
    assert "fingerprint_before" not in event
    assert event["classified_by_given"] == "y"


def test_a_mask_s_hash_does_not_hide_the_predecessor() -> None:
    hall, bare = Hall(), Hall()
    one = sent(hall, "no mailbox for [masked:email:1f3a9c04]")
    assert one["fingerprint_before"] == sent(bare, "no mailbox for [masked:email]")["fingerprint_before"]


def test_what_is_only_counted_says_nothing_so_the_next_kept_one_does() -> None:
    class Closed(Toll):
        def __init__(self) -> None:
            pass

        def admits(self, _project_id: str | None) -> bool:
            return False

    hall = Hall()
    counted: Row = hall.row({"message": "user 17 not found"}, NOW, Closed())
    assert b"fingerprint_before" not in counted.line
    assert "fingerprint_before" in sent(hall)


def test_memory_is_bounded() -> None:
    known = Predecessors()
    for number in range(120_000):
        assert known.first(None, str(number), lambda: "1-x", NOW) == "1-x"
    assert len(known) <= 50_000
    assert known.first(None, "119999", lambda: "1-x", NOW + timedelta(minutes=10)) is None
