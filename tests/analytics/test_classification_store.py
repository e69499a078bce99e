"""Rules of classification in Postgres: in their order, changed by one person at a time, and never a reason to stop."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from analytics.classification_store import (
    Rulebook,
    change_rule,
    create_rule,
    delete_rule,
    order_rules,
    rulebook,
)
from analytics.exceptions import BadRequest, Conflict, NotFound
from ingest.classification import Classifier, Facts, Rule, shipped_rules
from ingest.classification.stored import RulesWatch, read_rules
from ingest.database import Connection, connect

SHIPPED = shipped_rules()[0].rule


def rule(name: str, **more: Any) -> Rule:
    return Rule.model_validate({"name": name, "when": {"exception": [name]}, "error_type": "mine"} | more)


def names(book: Rulebook) -> list[str]:
    return [view.rule.name for view in book.rules if view.origin == "own"]


def test_without_rules_of_one_s_own_the_shipped_ones_are_in_force(connection: Connection) -> None:
    book = rulebook(connection)
    assert [view.rule for view in book.rules] == [entry.rule for entry in shipped_rules()]
    assert {(view.origin, view.is_enabled, view.changed_by) for view in book.rules} == {("shipped", True, None)}
    assert book.rules[0].reason


def test_own_rules_stand_before_the_shipped_ones_where_they_were_put(connection: Connection) -> None:
    create_rule(connection, rule("b"), "ann")
    create_rule(connection, rule("c"), "ann")
    book = create_rule(connection, rule("a"), "bob", position=1)
    assert names(book) == ["a", "b", "c"] == [view.rule.name for view in book.rules[:3]]
    assert book.rules[0].changed_by == "bob"
    book = order_rules(connection, ["c", "a", "b"], version=book.version)
    assert names(book) == ["c", "a", "b"]
    assert [stored.rule.name for stored in read_rules(connection).rules] == ["c", "a", "b"]


@pytest.mark.parametrize("position", [0, 3])
def test_a_place_that_there_is_not_is_refused(connection: Connection, position: int) -> None:
    create_rule(connection, rule("a"), "ann")
    with pytest.raises(BadRequest, match="between 1 and 2"):
        create_rule(connection, rule("b"), "ann", position=position)
    assert names(rulebook(connection)) == ["a"]


def test_two_people_at_once_do_not_overwrite_each_other(connection: Connection) -> None:
    seen = create_rule(connection, rule("a"), "ann").rules[0].updated_at
    change_rule(connection, "a", rule("a", severity="high"), "bob", is_enabled=True, seen=seen)
    with pytest.raises(Conflict, match="bob has changed 'a' meanwhile"):
        change_rule(connection, "a", rule("a", severity="low"), "ann", is_enabled=True, seen=seen)
    with pytest.raises(Conflict, match="bob has changed 'a' meanwhile"):
        delete_rule(connection, "a", seen=seen)
    with pytest.raises(BadRequest, match="updated_at: is missing"):
        change_rule(connection, "a", rule("a"), "ann", is_enabled=True, seen=None)
    view = rulebook(connection).rules[0]
    assert (view.rule.severity, view.changed_by) == ("high", "bob")
    delete_rule(connection, "a", seen=view.updated_at)
    with pytest.raises(Conflict, match="Somebody else has deleted"):
        change_rule(connection, "a", rule("a"), "ann", is_enabled=True, seen=seen)
    with pytest.raises(Conflict, match="Somebody else has deleted"):
        change_rule(connection, SHIPPED.name, SHIPPED, "ann", is_enabled=False, seen=seen)
    with pytest.raises(NotFound):
        change_rule(connection, "a", rule("a"), "ann", is_enabled=True, seen=None)


@pytest.mark.parametrize("order", [["a"], ["a", "a"], ["a", "b", "c"], ["a", SHIPPED.name]])
def test_an_order_names_each_own_rule_once(connection: Connection, order: Sequence[str]) -> None:
    create_rule(connection, rule("a"), "ann")
    book = create_rule(connection, rule("b"), "ann")
    with pytest.raises(BadRequest, match="of your own, each once: a, b"):
        order_rules(connection, order, version=book.version)


def test_an_order_that_was_seen_before_another_change_is_refused(connection: Connection) -> None:
    create_rule(connection, rule("a"), "ann")
    seen = create_rule(connection, rule("b"), "ann").version
    order_rules(connection, ["b", "a"], version=seen)
    with pytest.raises(Conflict, match="Read the rules again"):
        order_rules(connection, ["a", "b"], version=seen)


def test_a_shipped_rule_is_switched_off_changed_and_given_back(connection: Connection) -> None:
    before = [view.rule.name for view in rulebook(connection).rules]
    book = change_rule(connection, SHIPPED.name, SHIPPED, "ann", is_enabled=False, seen=None)
    view = book.view(SHIPPED.name)
    assert view is not None
    assert (view.origin, view.is_enabled, view.rule) == ("changed", False, SHIPPED)
    assert [view.rule.name for view in book.rules] == before
    assert book.movable == []

    other = SHIPPED.model_copy(update={"error_type": "other"})
    change_rule(connection, SHIPPED.name, other, "ann", is_enabled=True, seen=view.updated_at)
    assert rulebook(connection).view(SHIPPED.name).rule.error_type == "other"  # type: ignore[union-attr]
    view = delete_rule(connection, SHIPPED.name).view(SHIPPED.name)
    assert view is not None
    assert (view.origin, view.rule) == ("shipped", SHIPPED)
    with pytest.raises(Conflict, match="can't be deleted"):
        delete_rule(connection, SHIPPED.name)


def test_a_shipped_rule_that_is_as_it_was_shipped_again_is_a_shipped_one(connection: Connection) -> None:
    book = change_rule(connection, SHIPPED.name, SHIPPED, "ann", is_enabled=False, seen=None)
    seen = book.rules[0].updated_at
    book = change_rule(connection, SHIPPED.name, SHIPPED, "ann", is_enabled=True, seen=seen)
    assert book.rules[0].origin == "shipped"
    with pytest.raises(BadRequest, match="keeps its name"):
        change_rule(connection, SHIPPED.name, rule("mine"), "ann", is_enabled=True, seen=None)


def test_a_rule_is_renamed_and_keeps_its_place_but_takes_nobody_else_s_name(connection: Connection) -> None:
    seen = create_rule(connection, rule("a"), "ann").rules[0].updated_at
    create_rule(connection, rule("b"), "ann")
    with pytest.raises(Conflict, match="There is a rule 'b' already"):
        create_rule(connection, rule("b"), "ann")
    with pytest.raises(Conflict, match="There is a rule 'b' already"):
        change_rule(connection, "a", rule("b"), "ann", is_enabled=True, seen=seen)
    assert names(change_rule(connection, "a", rule("z"), "ann", is_enabled=True, seen=seen)) == ["z", "b"]


def test_rules_that_are_too_many_are_refused(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.classification.rules.MOST_RULES", 2)
    create_rule(connection, rule("a"), "ann")
    create_rule(connection, rule("b"), "ann")
    with pytest.raises(BadRequest, match="2 rules of your own"):
        create_rule(connection, rule("c"), "ann")


DAMAGED = [
    ('{"colour": "red", "error_type": "x", "when": {"exception": ["A"]}}', "colour"),
    ('{"error_type": "x", "when": {"moon_phase": ["full"]}}', "moon_phase"),
    ('{"error_type": "x", "when": {"message": ["("]}}', "no RE2 expression"),
    ("[]", "no object"),
    ("{}", "says nothing"),
    ("[" * 5000 + "]" * 5000, "recursion"),
]


@pytest.mark.parametrize(("definition", "says"), DAMAGED, ids=[says for _, says in DAMAGED])
def test_a_stored_rule_that_is_damaged_or_newer_is_left_aside_and_said(
    connection: Connection, definition: str, says: str
) -> None:
    create_rule(connection, rule("first"), "ann")
    create_rule(connection, rule("broken"), "ann")
    create_rule(connection, rule("last"), "ann")
    connection.execute("update classification_rules set definition = %s::jsonb where name = 'broken'", (definition,))
    classifier = Classifier()
    watch = RulesWatch(classifier)
    with capture_logs() as lines:
        watch.look(connection)
        connection.execute("update classification_rules set is_enabled = false where name = 'first'")
        watch.look(connection)
    assert classifier.classify(Facts("worker", exception="last"), None, None).rule == "last"
    (said,) = [line for line in lines if line["log_level"] == "warning"]
    assert said["rule"] == "broken"
    assert says in said["reason"]
    book = rulebook(connection)
    assert names(book) == ["first", "last"]
    assert [(view.name, view.changed_by) for view in book.damaged] == [("broken", "ann")]
    assert says in book.damaged[0].problem
    book = order_rules(connection, ["last", "broken", "first"], version=book.version)
    assert names(book) == ["last", "first"]
    seen = book.damaged[0].updated_at
    assert names(change_rule(connection, "broken", rule("broken"), "bob", is_enabled=True, seen=seen))[1] == "broken"
    delete_rule(connection, "broken")


def test_a_damaged_rule_with_a_shipped_name_leaves_the_shipped_one_in_force(connection: Connection) -> None:
    change_rule(connection, SHIPPED.name, SHIPPED, "ann", is_enabled=False, seen=None)
    connection.execute("update classification_rules set definition = '[]'")
    book = rulebook(connection)
    assert (book.rules[0].origin, book.rules[0].is_enabled) == ("shipped", True)
    assert [view.name for view in book.damaged] == [SHIPPED.name]


def test_rules_are_taken_over_once_for_each_change(connection: Connection) -> None:
    classifier = Classifier()
    watch = RulesWatch(classifier)
    facts = Facts("worker", exception="a")
    watch.look(connection)
    decide = classifier._decide
    create_rule(connection, rule("a"), "ann")
    watch.look(connection)
    assert classifier.classify(facts, None, None).rule == "a"
    taken_over = classifier._decide
    watch.look(connection)
    assert classifier._decide is taken_over is not decide
    delete_rule(connection, "a")
    watch.look(connection)
    assert classifier.classify(facts, None, None).rule == "default"


def test_of_several_changes_at_the_same_moment_one_is_kept_and_the_others_are_told(
    connection: Connection, database_url: str
) -> None:
    seen = create_rule(connection, rule("a"), "ann").rules[0].updated_at

    def change(number: int) -> bool:
        with connect(database_url, "writer") as own:
            try:
                change_rule(own, "a", rule("a", error_type=f"t{number}"), f"w{number}", is_enabled=True, seen=seen)
            except Conflict:
                return False
        return True

    with ThreadPoolExecutor(8) as writers:
        outcomes = list(writers.map(change, range(8)))
    assert outcomes.count(True) == 1
    view = rulebook(connection).rules[0]
    assert (view.rule.error_type, view.changed_by) == (f"t{outcomes.index(True)}", f"w{outcomes.index(True)}")
