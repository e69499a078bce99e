"""The live evaluator on a real database: alerts, and one outbox row for each channel, exactly once."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from analytics.alert_store import create_channel, create_rule, delete_rule, list_rules, update_rule
from analytics.lake import Part
from analytics.queries import top_groups
from analytics.rules import ChannelDraft, RuleDraft
from analytics.store import Store
from ingest.database import Connection, connect
from ingest.vault import Vault
from jobs.alert_message import Composer
from jobs.alerting import Evaluator
from jobs.tally import Tally
from tests.seeding import insert_error, insert_report, now


class Watch:
    """Tally and evaluator as the pulse runs them, with a clock of the test's own."""

    def __init__(self, connection: Connection, composer: Composer) -> None:
        self.tally = Tally(connection)
        self.evaluator = Evaluator(connection, composer)
        self.evaluator.load(now())

    def tick(self, at: datetime | None = None, complete_to: datetime | None = None) -> int:
        folded = self.tally.tick()
        moment = at or now()
        self.evaluator.apply(folded.rows())
        self.evaluator.pending(folded.pending_rows())
        return self.evaluator.tick(moment, complete_to or moment)


@pytest.fixture
def composer(database_url: str, lake_dir: Path) -> Iterator[Composer]:
    store = Store(database_url, lake_dir)
    yield Composer(store, "http://app.example")
    store.close()


@pytest.fixture
def channels(connection: Connection) -> list[Any]:
    vault = Vault("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    drafts = [
        ChannelDraft(name="team", kind="slack", webhook_url="https://hooks.example/services/x"),
        ChannelDraft(name="boss", kind="email", to=("boss@example.com",)),
    ]
    return [create_channel(connection, draft, vault).id for draft in drafts]


def rule(connection: Connection, channels: list[Any], **options: Any) -> Any:
    defaults = {"name": "too many", "threshold": 3, "window_seconds": 60, "keep_firing_seconds": 0}
    return create_rule(connection, RuleDraft(**(defaults | {"channel_ids": tuple(channels)} | options)))


def outbox(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute("select kind, channel_name from notifications order by kind, channel_name").fetchall()  # type: ignore[return-value]


def breach(connection: Connection, count: int = 3, **options: Any) -> None:
    for _ in range(count):
        insert_error(connection, **options)


def test_a_breach_is_written_with_one_message_for_each_channel(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels)
    watch = Watch(connection, composer)
    breach(connection, 2)
    assert watch.tick() == 0
    breach(connection, 1)
    assert watch.tick() == 1
    assert watch.tick() == 0
    assert outbox(connection) == [("firing", "boss"), ("firing", "team")]
    message = connection.execute("select message from notifications limit 1").fetchone()
    assert message is not None
    told = message[0]
    assert (told["value"], told["threshold"], told["rule_name"]) == (3.0, 3.0, "too many")
    link = "http://app.example/errors?group=1-fetch"
    group = {"fingerprint": "1-fetch", "title": "TypeError: fetch failed", "errors": 3, "link": link}
    assert told["top_groups"] == [group]
    assert sum(point[1] for point in told["series"]) == 3
    assert told["links"]["overview"].startswith("http://app.example/?range=1h")


def test_a_resolve_follows(connection: Connection, composer: Composer, channels: list[Any]) -> None:
    rule(connection, channels[:1])
    watch = Watch(connection, composer)
    breach(connection, 5)
    watch.tick()
    later = now() + timedelta(seconds=90)
    assert watch.tick(later) == 1
    assert outbox(connection) == [("firing", "team"), ("resolved", "team")]
    alert = connection.execute("select resolved_at, resolve_reason, peak_value from alerts").fetchone()
    assert alert == (later, "below_threshold", 5.0)


def test_an_open_transaction_elsewhere_delays_no_alert(
    connection: Connection, database_url: str, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels)
    watch = Watch(connection, composer)
    with connect(database_url, "long", autocommit=False) as long:
        insert_error(long)
        breach(connection, 3)
        assert watch.tick() == 1
        long.rollback()


def test_two_evaluators_make_one_transition(
    connection: Connection, database_url: str, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels)
    first = Watch(connection, composer)
    with connect(database_url, "other") as other:
        second = Evaluator(other, composer)
        second.load(now())
        breach(connection, 4)
        assert first.tick() == 1
        second.load(now())
        second._standings[next(iter(second._standings))].version = 0  # as if it had not seen the first one's move
        second._standings[next(iter(second._standings))].state = (
            first.evaluator._read_standings(now()).popitem()[1].state
        )
        assert second.tick(now(), now()) == 0
    assert len(outbox(connection)) == 2


def test_a_restart_in_the_middle_tells_nothing_twice(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels[:1])
    first = Watch(connection, composer)
    breach(connection)
    first.tick()
    again = Watch(connection, composer)
    assert again.tick() == 0
    assert again.tick(now() + timedelta(seconds=90)) == 1
    assert outbox(connection) == [("firing", "team"), ("resolved", "team")]


def test_scope_and_signal_are_respected(connection: Connection, composer: Composer, channels: list[Any]) -> None:
    workflow = uuid4()
    rule(connection, channels, name="high", scope={"severity": ["high"]})
    rule(connection, channels, name="workflow", scope={"workflow_id": [workflow]})
    rule(connection, channels, name="rate", signal="error_rate_percent", threshold=50, min_executions=10)
    watch = Watch(connection, composer)
    breach(connection, 10, severity="low")
    assert watch.tick() == 0
    breach(connection, 3, workflow_id=workflow)
    assert watch.tick() == 1
    insert_report(connection, 9, 9)
    assert watch.tick() == 0  # nine executions tell no rate
    insert_report(connection, 9, 0)
    assert watch.tick() == 1
    fired = connection.execute("select rule_name, fired_value from alerts order by fired_at").fetchall()
    assert fired == [("workflow", 3.0), ("rate", 50.0)]


def test_stale_counts_freeze_an_alert(connection: Connection, composer: Composer, channels: list[Any]) -> None:
    rule(connection, channels)
    watch = Watch(connection, composer)
    breach(connection)
    watch.tick()
    later = now() + timedelta(minutes=10)
    assert watch.tick(later, complete_to=later - timedelta(minutes=5)) == 0
    assert [view.state for view in list_rules(connection)] == ["firing"]


@pytest.mark.parametrize("how", ["delete", "disable"])
def test_an_alert_whose_rule_goes_away_is_resolved(
    connection: Connection, composer: Composer, channels: list[Any], how: str
) -> None:
    made = rule(connection, channels[:1])
    watch = Watch(connection, composer)
    breach(connection)
    watch.tick()
    if how == "delete":
        delete_rule(connection, made.id)
    else:
        update_rule(connection, made.id, RuleDraft(**made.model_dump(exclude={"id"}) | {"enabled": False}))
    watch.evaluator.load(now())
    assert outbox(connection) == [("firing", "team"), ("resolved", "team")]
    assert connection.execute("select resolve_reason from alerts").fetchone() == (f"rule_{how}d",)


def test_a_late_row_does_not_distort_the_window(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels)
    watch = Watch(connection, composer)
    breach(connection, 50, timestamp=now() - timedelta(minutes=10))
    assert watch.tick() == 0


def test_the_message_is_json_that_names_its_scope(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels[:1], scope={"source": ["worker"], "error_type": ["execution"]})
    watch = Watch(connection, composer)
    breach(connection)
    watch.tick()
    row = connection.execute("select message::text from notifications").fetchone()
    assert row is not None
    told = json.loads(row[0])
    assert told["scope"] == {"source": ["worker"], "error_type": ["execution"]}
    assert "source=worker&error_type=execution" in told["links"]["history"]


def test_a_damaged_lake_stops_no_alert(
    connection: Connection, lake_dir: Path, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels[:1], window_seconds=86_400)
    watch = Watch(connection, composer)
    breach(connection)
    day = lake_dir / "errors" / f"day={now():%Y-%m-%d}"
    day.mkdir(parents=True)
    (day / Part.name(0, 1, 1, 1)).write_bytes(b"no parquet")
    assert watch.tick() == 1
    assert outbox(connection) == [("firing", "team")]


def test_who_was_told_of_the_breach_is_told_of_its_end(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    team, boss = channels
    made = rule(connection, [team])
    watch = Watch(connection, composer)
    breach(connection)
    watch.tick()
    update_rule(connection, made.id, RuleDraft(**made.model_dump(exclude={"id"}) | {"channel_ids": (boss,)}))
    watch.evaluator.load(now())
    assert watch.tick(now() + timedelta(seconds=90)) == 1
    assert outbox(connection) == [("firing", "team"), ("resolved", "team")]


def test_a_rule_that_is_deleted_in_between_disturbs_no_other(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    made = rule(connection, channels, name="a")
    rule(connection, channels[:1], name="b")
    watch = Watch(connection, composer)
    delete_rule(connection, made.id)
    breach(connection)
    assert watch.tick() == 1
    assert outbox(connection) == [("firing", "team")]


def test_a_rule_that_is_switched_on_again_waits_its_whole_time(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    made = rule(connection, channels, for_seconds=300)
    watch = Watch(connection, composer)
    breach(connection)
    watch.tick()
    assert [view.state for view in list_rules(connection)] == ["pending"]
    terms = made.model_dump(exclude={"id"})
    update_rule(connection, made.id, RuleDraft(**terms | {"enabled": False}))
    watch.evaluator.load(now())
    update_rule(connection, made.id, RuleDraft(**terms))
    later = now() + timedelta(seconds=600)
    watch.evaluator.load(later)
    breach(connection, timestamp=later)
    assert watch.tick(later) == 0


def test_a_clock_that_was_ahead_for_a_moment_costs_no_alert(
    connection: Connection, composer: Composer, channels: list[Any]
) -> None:
    rule(connection, channels[:1], window_seconds=300)
    watch = Watch(connection, composer)
    breach(connection, 2)
    watch.tick()
    watch.tick(now() + timedelta(hours=1))
    watch.tick()
    breach(connection, 1)
    assert watch.tick() == 1
    assert outbox(connection) == [("firing", "team")]


def test_slow_details_hold_back_few_alerts(
    connection: Connection, composer: Composer, channels: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_groups(*options: Any) -> Any:
        time.sleep(0.3)
        return top_groups(*options)

    monkeypatch.setattr("jobs.alert_message.top_groups", slow_groups)
    monkeypatch.setattr("jobs.alert_message._MOST_SPENT_SECONDS", 0.5)
    for number in range(12):
        rule(connection, channels[:1], name=str(number))
    watch = Watch(connection, composer)
    breach(connection)
    assert watch.tick() == 12
    told = [row[0] for row in connection.execute("select message -> 'top_groups' from notifications")]
    assert len(told) == 12
    assert 1 <= sum(map(bool, told)) < 6
