"""The live evaluator on a real database: alerts, and one outbox row for each channel, exactly once."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from analytics.alert_store import create_channel, create_rule, delete_rule, list_rules, update_rule
from analytics.lake import Part, day_dir
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
        self.evaluator.apply([*folded.errors, *folded.executions])
        self.evaluator.pending([*folded.pending_errors, *folded.pending_executions])
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
    assert told["top_groups"] == [{"fingerprint": "1-fetch", "title": "TypeError: fetch failed", "errors": 3}]
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


def test_a_breach_is_told_also_where_the_lake_can_t_be_read(
    connection: Connection, composer: Composer, channels: list[Any], lake_dir: Path
) -> None:
    """A long window's details come from the lake."""
    torn = day_dir(lake_dir, "errors", now().date()) / Part.name(0, 1, 1, 1)
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    rule(connection, channels, window_seconds=86_400)
    watch = Watch(connection, composer)
    breach(connection)
    assert watch.tick() == 1
    assert len(outbox(connection)) == 2
