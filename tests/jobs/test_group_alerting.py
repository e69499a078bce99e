"""Alert rules on groups: new ones and those that came back, live and against history."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from analytics.alert_store import create_rule
from analytics.backtest import backtest, signal_series
from analytics.evaluation import Transition
from analytics.group_store import merge, resolve
from analytics.rule_history import rule_counts
from analytics.rules import AlertRule, RuleDraft
from analytics.store import Store
from ingest.database import Connection, connect
from jobs.alert_message import Composer
from jobs.delivery.email import html_text, plain_text
from jobs.delivery.message import Message
from jobs.delivery.slack import attachment
from jobs.window_counts import GroupEventRow, RuleWindows
from tests.jobs.test_alerting import Watch
from tests.seeding import insert_error, now


@pytest.fixture
def composer(store: Store) -> Composer:
    return Composer(store, "http://app.example")


def rule(connection: Connection, signal: str = "new_groups", **options: Any) -> Any:
    connection.execute(
        """insert into channels (name, kind, settings) values ('boss', 'email', '{"to": ["boss@example.com"]}')
        on conflict do nothing"""
    )
    channel = connection.execute("select id from channels").fetchone()
    assert channel is not None
    defaults = {"name": signal, "signal": signal, "window_seconds": 60, "keep_firing_seconds": 0}
    return create_rule(connection, RuleDraft(**(defaults | {"channel_ids": channel} | options)))


def told(connection: Connection) -> list[dict[str, Any]]:
    return [row[0] for row in connection.execute("select message from notifications order by created_at, kind")]


def later(milliseconds: int = 1) -> Any:
    """After what was resolved just now."""
    return now() + timedelta(milliseconds=milliseconds)


def test_a_new_group_is_told_once_with_its_title_and_its_link(connection: Connection, composer: Composer) -> None:
    insert_error(connection, fingerprint="known")
    watch = Watch(connection, composer)
    watch.tick()
    connection.execute("update group_events set at = at - interval '1 hour'")
    rule(connection)
    watch.evaluator.load(now())
    insert_error(connection, fingerprint="known")
    assert watch.tick() == 0
    for _ in range(3):
        insert_error(connection, fingerprint="own/a|b", title="never seen before")
    assert watch.tick() == 1
    assert watch.tick() == 0
    message = told(connection)[0]
    assert (message["value"], message["threshold"], message["signal"]) == (1.0, 1.0, "new_groups")
    link = "http://app.example/errors?group=own%2Fa%7Cb"
    assert message["top_groups"] == [
        {"fingerprint": "own/a|b", "title": "never seen before", "errors": 3, "link": link}
    ]
    assert sum(point[1] for point in message["series"]) == 3  # of this group alone
    assert watch.tick(now() + timedelta(seconds=90)) == 1
    assert [message["kind"] for message in told(connection)] == ["firing", "resolved"]
    assert told(connection)[1]["top_groups"][0]["fingerprint"] == "own/a|b"


def test_a_group_that_comes_back_is_told(connection: Connection, composer: Composer) -> None:
    rule(connection, "regressed_groups")
    for fingerprint in ("head", "member"):
        insert_error(connection, fingerprint=fingerprint, title=f"{fingerprint} failed")
    watch = Watch(connection, composer)
    assert watch.tick() == 0  # new is not back
    merge(connection, "head", ["member"], "anna")
    resolve(connection, "head", "anna")
    insert_error(connection, fingerprint="member", title="member failed", timestamp=later())
    assert watch.tick() == 1
    assert [group["fingerprint"] for group in told(connection)[0]["top_groups"]] == ["head"]


def test_a_new_group_whose_errors_come_late_is_told_and_named(connection: Connection, composer: Composer) -> None:
    rule(connection)
    watch = Watch(connection, composer)
    insert_error(connection, fingerprint="spooled", title="spooled failed", timestamp=now() - timedelta(hours=3))
    assert watch.tick() == 1
    (group,) = told(connection)[0]["top_groups"]
    assert (group["title"], group["errors"]) == ("spooled failed", 0)  # in the window; a message shows no number


def test_threshold_and_scope_are_respected(connection: Connection, composer: Composer) -> None:
    rule(connection, name="three", threshold=3)
    rule(connection, name="high", scope={"severity": ["high"], "source": ["worker"]})
    watch = Watch(connection, composer)
    for number in range(2):
        insert_error(connection, fingerprint=str(number), severity="low")
    assert watch.tick() == 0
    insert_error(connection, fingerprint="2", severity="high", source="webhook")
    assert watch.tick() == 1
    insert_error(connection, fingerprint="3", severity="high")
    assert watch.tick() == 1
    names = [row[0] for row in connection.execute("select rule_name from alerts order by fired_at")]
    assert names == ["three", "high"]


def test_above_the_horizon_a_group_is_told_at_once_and_never_twice(
    connection: Connection, database_url: str, composer: Composer
) -> None:
    rule(connection)
    rule(connection, name="two", threshold=2)
    watch = Watch(connection, composer)
    with connect(database_url, "long", autocommit=False) as long:
        insert_error(long, fingerprint="never")
        insert_error(connection, fingerprint="fresh", title="fresh failed")
        assert watch.tick() == 1
        assert watch.tick() == 0
        long.rollback()
    assert watch.tick() == 0  # now it is folded: still one group
    assert [group["title"] for group in told(connection)[0]["top_groups"]] == ["fresh failed"]
    assert connection.execute("select count(*) from alerts").fetchone() == (1,)


def test_a_restart_knows_what_was_new(connection: Connection, composer: Composer) -> None:
    watch = Watch(connection, composer)
    insert_error(connection, fingerprint="a")
    watch.tick()
    rule(connection, name="two", threshold=2)
    again = Watch(connection, composer)
    insert_error(connection, fingerprint="b")
    assert again.tick() == 1
    assert again.evaluator._windows.groups(again.evaluator._rules[0]) == ["b", "a"]


def test_errors_themselves_are_not_counted_by_a_rule_on_groups_nor_groups_by_one_on_errors(
    connection: Connection, composer: Composer
) -> None:
    rule(connection, threshold=2)
    rule(connection, "count", name="errors", threshold=50)
    watch = Watch(connection, composer)
    for _ in range(49):
        insert_error(connection, fingerprint="one")
    assert watch.tick() == 0
    insert_error(connection, fingerprint="one")
    assert watch.tick() == 1


def test_what_was_pending_and_is_no_longer_is_forgotten() -> None:
    watched = AlertRule(id=uuid4(), name="r", signal="new_groups", threshold=1, window_seconds=60)
    moment = now()
    windows = RuleWindows([watched], moment)
    row = GroupEventRow(0, moment, None, None, "worker", "execution", "low", "a", "new")
    windows.replace_pending([row])
    assert (windows.counts(watched, moment, moment).events, windows.groups(watched)) == (1, ["a"])
    windows.replace_pending([])
    assert (windows.counts(watched, moment, moment).events, windows.groups(watched)) == (0, [])


def test_events_of_one_group_in_one_bucket_are_told_apart_and_each_counts_once() -> None:
    watched = AlertRule(id=uuid4(), name="r", signal="regressed_groups", threshold=1, window_seconds=60)
    moment = now()
    windows = RuleWindows([watched], moment)
    rows = [GroupEventRow(n, moment, None, None, "worker", "execution", "low", "a", "regressed") for n in (1, 2)]
    windows.apply(rows)
    windows.apply(rows)  # as after a change of the rules, which reads what the tick has answered, too
    assert windows.counts(watched, moment, moment).events == 2


def test_the_backtest_tells_what_the_live_evaluator_told(
    connection: Connection, composer: Composer, store: Store
) -> None:
    made = rule(connection, threshold=2)
    watch = Watch(connection, composer)
    for fingerprint in ("a", "b"):
        insert_error(connection, fingerprint=fingerprint)
    assert watch.tick() == 1
    moment = now()
    counts = rule_counts(store, made, moment - timedelta(minutes=30), moment + timedelta(minutes=2))
    assert counts["events"].sum() == 2
    assert [(event.transition, event.value) for event in backtest(made, counts)] == [
        (Transition.FIRED, 2.0),
        (Transition.RESOLVED, 0.0),
    ]
    assert signal_series(made, counts)["value"].max() == 2.0
    narrow = made.model_copy(update={"scope": made.scope.model_copy(update={"source": ("webhook",)})})
    assert rule_counts(store, narrow, moment - timedelta(minutes=30), moment)["events"].sum() == 0


def test_a_rule_on_groups_needs_no_threshold_and_others_do() -> None:
    assert RuleDraft.model_validate({"name": "r", "signal": "new_groups"}).threshold == 1
    for signal in ("count", ["new_groups"], {}, None):
        with pytest.raises(ValueError, match="threshold"):
            RuleDraft.model_validate({"name": "r", "signal": signal})


@pytest.mark.parametrize(
    ("signal", "value", "says"),
    [
        ("new_groups", 1, "1 new group in 5 min"),
        ("new_groups", 3, "3 new groups in 5 min"),
        ("regressed_groups", 1, "1 group came back in 5 min"),
        ("regressed_groups", 2, "2 groups came back in 5 min"),
    ],
)
def test_every_channel_names_the_groups_with_their_links(signal: str, value: int, says: str) -> None:
    link = "http://app.example/errors?group=a%7Cb"
    groups = [
        {"fingerprint": "a", "title": "<b>|x> failed", "errors": 4, "link": link + ">|<!channel>"},
        {"fingerprint": "b", "title": "late", "errors": 0, "link": "javascript:alert(1)"},
    ]
    message = Message.model_validate(
        {"kind": "firing", "rule_name": "r", "signal": signal, "value": value, "window_seconds": 300}
        | {"top_groups": groups}
    )
    assert message.headline() == f"r: {says}"
    slack = attachment(message)["blocks"][2]["text"]["text"]
    assert slack.split("\n") == [f"• 4 × <{link}%3E%7C%3C!channel%3E|&lt;b&gt;|x&gt; failed>", "• late"]
    page = html_text(message)
    assert f'href="{link}&gt;|&lt;!channel&gt;"' in page
    assert "&lt;b&gt;|x&gt; failed" in page
    assert "javascript:" not in page + plain_text(message)
    assert f"  4 x <b>|x> failed\n    {link}" in plain_text(message)


def test_no_link_is_cut_in_the_middle() -> None:
    groups = [{"title": "t" * 500, "errors": 1, "link": "http://app.example/" + "x" * 700}] * 9
    message = Message.model_validate({"kind": "firing", "rule_name": "r", "value": 1, "top_groups": groups})
    text = attachment(message)["blocks"][2]["text"]["text"]
    assert 1 <= text.count("<http") == text.count("…>") < 9
    assert len(text) < 2900
