"""Groups as the tally keeps them: counts, what is new, what has come back, and what is ignored no longer."""

import json
from datetime import datetime, timedelta
from typing import Any

from ingest.database import Connection, connect, migrate
from jobs.tally import Tally
from tests.seeding import insert_error, insert_many, now

HOUR = timedelta(hours=1)


def group(connection: Connection, fingerprint: str = "1-fetch") -> dict[str, Any]:
    cursor = connection.execute("select * from error_groups where fingerprint = %s", (fingerprint,))
    row = cursor.fetchone()
    assert row is not None
    return dict(zip([column.name for column in cursor.description or ()], row, strict=True))


def events(connection: Connection) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute("select kind, fingerprint from group_events order by id")]


def decide(connection: Connection, fingerprint: str, state: str, **more: Any) -> None:
    values = {"resolved_at": None, "ignored_until": None, "ignored_until_errors": None} | more
    connection.execute(
        """update error_groups set state = %(state)s, resolved_at = %(resolved_at)s, ignored_until = %(ignored_until)s,
            ignored_until_errors = %(ignored_until_errors)s where fingerprint = %(fingerprint)s""",
        {"state": state, "fingerprint": fingerprint} | values,
    )


def test_a_group_counts_for_ever_and_knows_its_newest_errors_dimensions(connection: Connection) -> None:
    tally = Tally(connection)
    moment = now()
    insert_error(connection, timestamp=moment, severity="high", error_type="input")
    connection.execute("update error_metrics set stands_for = 40")
    tally.tick()
    insert_error(connection, timestamp=moment - HOUR, severity="low", error_type="system", title="an old one")
    insert_error(connection, timestamp=moment + timedelta(seconds=1), severity="low", title="the newest")
    tally.tick()
    found = group(connection)
    assert (found["errors"], found["severity"], found["error_type"]) == (42, "high", "execution")
    assert (found["title"], found["first_seen"], found["last_seen"]) == (
        "the newest",
        moment - HOUR,
        moment + timedelta(seconds=1),
    )
    assert found["state"] == "open"


def test_a_group_is_new_once(connection: Connection, database_url: str) -> None:
    insert_many(connection, 70)
    with connect(database_url, "dying", autocommit=False) as dying:
        Tally(dying).tick()
        dying.rollback()
    first, second = Tally(connection), Tally(connection)
    told = first.tick().groups
    insert_many(connection, 70)
    assert second.tick().groups == first.tick().groups == []
    assert sorted(row.fingerprint for row in told) == sorted(f"1-{n}" for n in range(7))
    assert len(events(connection)) == 7
    assert connection.execute("select sum(errors) from error_groups").fetchone() == (140,)


def test_an_event_has_the_dimensions_of_its_error_and_the_time_of_its_receipt(connection: Connection) -> None:
    insert_error(connection, source="webhook", error_type="input", severity="high", timestamp=now() - HOUR)
    row = Tally(connection).tick().groups[0]
    assert (row.kind, row.source, row.error_type, row.severity) == ("new", "webhook", "input", "high")
    at, received = (
        connection.execute("select (select at from group_events), received_at from error_metrics").fetchone() or ()
    )
    assert at == received


def test_history_that_is_filled_in_is_new_as_of_its_own_time(connection: Connection) -> None:
    long_ago = now() - timedelta(days=3)
    insert_error(connection, timestamp=long_ago)
    Tally(connection).tick()
    assert connection.execute("select at from group_events").fetchone() == (long_ago,)


def test_a_resolved_group_regresses_with_an_error_from_afterwards_and_only_then(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection, timestamp=now() - HOUR)
    tally.tick()
    decide(connection, "1-fetch", "resolved", resolved_at=now())
    insert_error(connection, timestamp=now() - timedelta(minutes=1))
    assert tally.tick().groups == []
    assert group(connection)["state"] == "resolved"
    insert_error(connection, severity="high", timestamp=now() + timedelta(milliseconds=1))
    assert [(row.kind, row.severity) for row in tally.tick().groups] == [("regressed", "high")]
    insert_error(connection)
    assert tally.tick().groups == []
    assert group(connection)["state"] == "regressed"
    assert events(connection) == [("new", "1-fetch"), ("regressed", "1-fetch")]


def test_errors_of_a_merged_fingerprint_regress_the_group_that_it_was_merged_into(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection, fingerprint="1-head", timestamp=now() - HOUR)
    insert_error(connection, fingerprint="1-member", timestamp=now() - HOUR)
    tally.tick()
    connection.execute("update error_groups set merged_into = '1-head', head = '1-head' where fingerprint = '1-member'")
    decide(connection, "1-head", "resolved", resolved_at=now())
    insert_error(connection, fingerprint="1-member", timestamp=now() + timedelta(milliseconds=1))
    assert [(row.kind, row.fingerprint) for row in tally.tick().groups] == [("regressed", "1-head")]
    assert (group(connection, "1-head")["state"], group(connection, "1-member")["state"]) == ("regressed", "open")


def test_a_group_of_a_later_version_carries_the_earlier_one_on(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection, fingerprint="1-old", timestamp=now() - HOUR)
    tally.tick()
    decide(connection, "1-old", "resolved", resolved_at=now() - timedelta(minutes=30))
    before = json.dumps({"fingerprint_before": "1-old"})
    insert_error(connection, fingerprint="2-new", metadata=before, timestamp=now() - timedelta(minutes=40))
    assert tally.tick().groups == []  # neither new nor, so far, back
    found = group(connection, "2-new")
    assert (found["continues"], found["head"]) == ("1-old", "1-old")
    insert_error(connection, fingerprint="2-new", metadata=before)
    assert [(row.kind, row.fingerprint) for row in tally.tick().groups] == [("regressed", "1-old")]


def test_a_first_error_that_carries_a_resolved_group_on_regresses_it(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection, fingerprint="1-old", timestamp=now() - HOUR)
    tally.tick()
    decide(connection, "1-old", "resolved", resolved_at=now() - timedelta(minutes=30))
    insert_error(connection, fingerprint="2-new", metadata='{"fingerprint_before": "1-old"}')
    assert [(row.kind, row.fingerprint) for row in tally.tick().groups] == [("regressed", "1-old")]


def test_it_is_enough_that_one_of_the_first_errors_names_the_earlier_group(connection: Connection) -> None:
    """Each process names it once, with the first that it takes in, and that may have happened after others."""
    tally = Tally(connection)
    insert_error(connection, fingerprint="1-old")
    tally.tick()
    insert_error(connection, fingerprint="2-new", timestamp=now() - HOUR)
    with connection.transaction():
        insert_error(connection, fingerprint="2-new", metadata='{"fingerprint_before": "1-old"}')
        insert_error(connection, fingerprint="2-new", timestamp=now() - HOUR)
    assert tally.tick().groups == []
    assert group(connection, "2-new")["continues"] == "1-old"


def test_a_group_whose_earlier_name_nobody_knows_is_new(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection, fingerprint="2-a", metadata='{"fingerprint_before": "2-b"}')
    insert_error(connection, fingerprint="2-b", metadata='{"fingerprint_before": "2-a"}')
    insert_error(connection, fingerprint="2-c", metadata='{"fingerprint_before": "2-c"}')
    assert sorted(row.fingerprint for row in tally.tick().groups) == ["2-a", "2-b", "2-c"]
    assert connection.execute("select count(*) from error_groups where continues is not null").fetchone() == (0,)


def test_an_ignored_group_opens_again_when_its_time_is_over(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection)
    tally.tick()
    decide(connection, "1-fetch", "ignored", ignored_until=now() + HOUR)
    tally.tick()
    assert group(connection)["state"] == "ignored"
    over = now() - timedelta(seconds=1)
    decide(connection, "1-fetch", "ignored", ignored_until=over)
    tally.tick()
    assert (group(connection)["state"], group(connection)["ignored_until"]) == ("open", None)
    assert connection.execute("select kind, at, by from group_events order by id desc").fetchone() == (
        "reopened",
        over,
        None,
    )


def test_an_ignored_group_opens_again_when_it_has_had_so_many_errors(connection: Connection) -> None:
    tally = Tally(connection)
    insert_error(connection, fingerprint="1-head")
    insert_error(connection, fingerprint="1-member")
    tally.tick()
    connection.execute("update error_groups set merged_into = '1-head', head = '1-head' where fingerprint = '1-member'")
    decide(connection, "1-head", "ignored", ignored_until_errors=4)
    insert_error(connection, fingerprint="1-member")
    tally.tick()
    assert group(connection, "1-head")["state"] == "ignored"
    insert_error(connection, fingerprint="1-member")
    assert tally.tick().groups == []  # it is known: neither new nor back
    assert group(connection, "1-head")["state"] == "open"


def pending(tally: Tally) -> list[tuple[str, str, datetime]]:
    return [(row.kind, row.fingerprint, row.bucket) for row in tally.tick().pending_groups]


def test_above_the_horizon_events_are_told_and_not_written(connection: Connection, database_url: str) -> None:
    tally = Tally(connection)
    insert_error(connection, fingerprint="1-known")
    tally.tick()
    decide(connection, "1-known", "resolved", resolved_at=now())
    with connect(database_url, "open", autocommit=False) as horizon:
        insert_error(horizon, fingerprint="1-never")
        insert_error(connection, fingerprint="1-known", timestamp=now() + timedelta(milliseconds=1))
        insert_error(connection, fingerprint="1-fresh")
        insert_error(connection, fingerprint="2-known", metadata='{"fingerprint_before": "1-known"}')
        told = pending(tally)
        assert [row[:2] for row in told] == [("new", "1-fresh"), ("regressed", "1-known")]
        assert pending(tally) == told  # with the time of their receipt, so that they grow old
        assert len(events(connection)) == 1
        horizon.rollback()
    folded = tally.tick()
    assert [(row.kind, row.fingerprint, row.bucket) for row in folded.groups] == told
    assert folded.pending_groups == []


def test_groups_from_before_are_open_with_what_the_rollup_holds(connection: Connection, database_url: str) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    migrate(connection, up_to=4)
    connection.execute(
        """insert into error_groups (fingerprint, title, first_seen, last_seen) values ('1-a', 'a', now(), now());
        insert into error_counts (bucket, source, error_type, severity, fingerprint, errors) values
            (now() - interval '1 hour', 'worker', 'input', 'high', '1-a', 5),
            (now(), 'worker', 'system', 'low', '1-a', 2)"""
    )
    migrate(connection)
    found = group(connection, "1-a")
    assert [found[name] for name in ("head", "state", "errors", "severity", "error_type")] == [
        "1-a",
        "open",
        7,
        "high",
        "system",
    ]
    assert events(connection) == []
