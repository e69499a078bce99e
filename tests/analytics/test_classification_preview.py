"""What a draft of a rule would have caught: the errors that it would really have decided about, and no others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.classification_preview import Change, Preview, preview
from analytics.classification_store import create_rule, rulebook
from analytics.exceptions import BadRequest
from ingest.classification import Classifier, Rule, StoredRule
from ingest.database import Connection
from ingest.hall import Hall
from ingest.landing import land
from ingest.rows import counted_row, error_row
from tests.seeding import insert_many


def rule(**fields: Any) -> Rule:
    return Rule.model_validate({"name": "draft", "when": {"message": ["boom"]}, "error_type": "mine"} | fields)


def keep(connection: Connection, *raws: dict[str, Any], hall: Hall | None = None, counted: int = 0) -> None:
    """Store errors as the hall makes them, and `counted` more of the last one without their details."""
    hall, now = hall or Hall(), datetime.now(UTC)
    events = [hall.normalise(raw, now) for raw in raws]
    with connection.transaction():
        land(connection, [error_row(event) for event in events])
    if counted:
        one = hall.normalise(raws[-1], now)._replace(stands_for=counted)
        with connection.transaction():
            land(connection, [counted_row(one)])


def tried(connection: Connection, draft: Rule, **options: Any) -> Preview:
    return preview(connection, rulebook(connection), draft, datetime.now(UTC), **options)


def test_errors_are_counted_by_what_they_are_now_and_would_be(connection: Connection) -> None:
    keep(connection, *[{"message": f"boom {n % 2}"} for n in range(5)], {"message": "quiet"}, counted=7)
    found = tried(connection, rule(severity="high"))
    assert found.changes == [Change("execution", "medium", "default", "mine", "high", 5)]
    assert (found.caught, found.looked_at, found.without_details, found.is_all) == (5, 6, 7, True)
    assert [(example.title, example.errors) for example in found.examples] == [("boom 0", 3), ("boom 1", 2)]


def test_what_an_earlier_rule_decides_is_not_caught_and_the_draft_is_tried_at_its_place(
    connection: Connection,
) -> None:
    create_rule(connection, rule(name="earlier", when={"message": ["boom a"]}), "ann")
    keep(connection, {"message": "boom a"}, {"message": "boom b"})
    assert [example.title for example in tried(connection, rule()).examples] == ["boom b"]
    assert tried(connection, rule(), position=1).caught == 2
    with pytest.raises(BadRequest, match="between 1 and 2"):
        tried(connection, rule(), position=3)


def test_a_rule_that_is_changed_is_tried_in_its_own_place(connection: Connection) -> None:
    create_rule(connection, rule(name="first", when={"message": ["boom a"]}), "ann")
    create_rule(connection, rule(name="second", when={"message": ["boom"]}, error_type="other"), "ann")
    own = rulebook(connection).own()
    keep(connection, {"message": "boom a"}, {"message": "boom b"}, hall=Hall(Classifier(own)))
    found = tried(connection, rule(name="first"))
    assert [(change.classified_by, change.errors) for change in found.changes] == [("first", 1), ("second", 1)]
    renamed = tried(connection, rule(name="third"), replaces="first")
    assert renamed.caught == 2


def test_a_shipped_rule_that_is_changed_stays_behind_one_s_own(connection: Connection) -> None:
    create_rule(connection, rule(name="own"), "ann")
    keep(connection, {"message": "boom"}, {"message": "quiet"})
    draft = rule(name="default", when={})
    assert tried(connection, draft).changes == [Change("execution", "medium", "default", "mine", "medium", 1)]


def test_a_rule_that_only_gives_a_title_or_a_severity_leaves_the_rest_to_the_next(connection: Connection) -> None:
    keep(connection, {"message": "boom", "metadata": {"node": "crm"}})
    found = tried(connection, rule(error_type=None, title="{node} is away"))
    assert found.changes == [Change("execution", "medium", "default", "execution", "medium", 1)]
    assert [example.new_title for example in found.examples] == ["crm is away"]
    create_rule(connection, rule(name="severe", error_type=None, severity="high"), "ann")
    assert tried(connection, rule()).changes[0].new_error_type == "mine"
    assert tried(connection, rule(error_type=None, severity="low")).caught == 0


def test_what_the_sender_gave_stays_as_given(connection: Connection) -> None:
    keep(
        connection,
        {"message": "boom", "error_type": "input", "severity": "low"},
        {"message": "boom", "severity": "low"},
        {"message": "boom", "error_type": "billing"},
    )
    found = tried(connection, rule(severity="high"))
    assert found.kept_as_given == 1
    assert {(c.error_type, c.severity, c.new_error_type, c.new_severity) for c in found.changes} == {
        ("execution", "low", "mine", "low"),
        ("billing", "medium", "billing", "high"),
    }


@pytest.mark.parametrize(
    "when",
    [
        {"source": ["webhook"]},
        {"exception": ["Odd*"]},
        {"message": ["upstream"]},
        {"http_status": ["5xx"]},
        {"node_type": ["http_call"]},
        {"attempt": {"from": 2}},
        {"last_try": True},
        {"handled": False},
        {"logger": ["app.*"]},
        {"tags": {"region": ["eu"]}},
    ],
    ids=lambda when: next(iter(when)),
)
def test_each_condition_is_tried_on_what_is_stored(connection: Connection, when: dict[str, Any]) -> None:
    draft = rule(when=when)
    raw = {
        "message": "upstream failed",
        "source": "webhook",
        "metadata": {
            "exception": {"type": "OddError", "value": "odd"},
            "http_status": 502,
            "node_type": "http_call",
            "attempt": 3,
            "max_attempts": 3,
            "handled": False,
            "logger": "app.crm",
            "tags": {"region": "eu"},
            "frames": [{"file": "a.py", "line": 1}],
        },
    }
    keep(connection, raw, {"message": "another"})
    assert Hall(Classifier([StoredRule(draft)])).normalise(raw, datetime.now(UTC)).error_type == "mine"
    assert tried(connection, draft).caught == 1


def test_only_the_newest_are_looked_at_and_it_says_since_when(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.classification_preview.MOST_ROWS", 50)
    insert_many(connection, 200, over=timedelta(hours=10))
    found = tried(connection, rule(when={"message": ["failure"]}))
    assert (found.looked_at, found.is_all, len(found.examples)) == (50, False, 7)
    assert timedelta(hours=2) < datetime.now(UTC) - found.since < timedelta(hours=3)


def test_what_is_older_than_seven_days_or_than_postgres_keeps_is_not_looked_at(connection: Connection) -> None:
    insert_many(connection, 100, over=timedelta(days=10))
    assert 65 <= tried(connection, rule()).looked_at <= 71
    assert 15 <= tried(connection, rule(), days=2).looked_at <= 21


def test_a_draft_that_would_cost_too_much_is_refused(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.classification.rules.LARGEST_COST", 5)
    with pytest.raises(BadRequest, match="too much to search for"):
        tried(connection, rule())
