"""The page Classification on a real database, run by Streamlit's own test runner."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from analytics.classification_store import Rulebook, change_rule, create_rule, rulebook
from analytics.classification_words import as_text, from_text, tags_as_lines, tags_of_lines
from ingest.classification import Rule, shipped_rules
from ingest.database import Connection
from tests.analytics.opening import opened, text_of
from tests.seeding import insert_error

SHIPPED = shipped_rules()[0].rule
OWN = Rule.model_validate(
    {
        "name": "crm-is-away",
        "when": {
            "source": ["worker"],
            "exception": ["Timeout*", "a,b"],
            "message": ["crm (is|was) away", " a b "],
            "http_status": ["5xx"],
            "node_type": ["http_call"],
            "attempt": {"from": 2, "to": 3},
            "last_try": False,
            "handled": True,
            "logger": ["app.*"],
            "tags": {"region": ["eu", "us"]},
        },
        "error_type": "crm",
        "severity": "high",
        "title": "The CRM: {node}",
    }
)

pytestmark = pytest.mark.usefixtures("configured")


def own(book: Rulebook) -> list[str]:
    return [view.rule.name for view in book.rules if view.origin == "own"]


def click(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_a_draft_shows_what_it_would_have_caught_before_it_is_saved(connection: Connection) -> None:
    for _ in range(3):
        insert_error(connection, title="The CRM is gone", metadata='{"message": "crm is away"}')
    insert_error(connection, metadata='{"message": "fine"}')
    page = click(opened("classification"), "New rule")
    assert page.button(key="save_new").disabled
    page.text_input(key="name_new").input("crm-is-away").run()
    assert page.button(key="save_new").disabled
    page.text_area(key="message_has_new").input("crm (is|was) away").run()
    page.selectbox(key="severity_new").select("low").run()
    shown = text_of(page)
    assert "<b>3</b> of the 4 errors of the last 7 days would have been caught" in shown
    assert "The CRM is gone" in shown
    assert rulebook(connection).movable == []
    page.button(key="save_new").click().run()
    view = rulebook(connection).rules[0]
    assert (view.rule.name, view.rule.when.message, view.rule.severity) == (
        "crm-is-away",
        ("crm (is|was) away",),
        "low",
    )
    assert (view.origin, view.changed_by) == ("own", "the dashboard")
    assert "crm-is-away" in text_of(page)
    assert not page.exception


def test_a_rule_that_is_opened_and_saved_stays_what_it_is(connection: Connection) -> None:
    create_rule(connection, OWN, "ann")
    page = opened("classification", rule=OWN.name)
    page.button(key=f"save_{OWN.name}").click().run()
    assert not page.exception
    assert not page.error
    view = rulebook(connection).rules[0]
    assert (view.rule, view.changed_by) == (OWN, "the dashboard")


def test_each_shipped_rule_can_be_edited_as_text_and_stays_what_it_is() -> None:
    for when in (entry.rule.when for entry in shipped_rules()):
        for values in (when.exception, when.message, when.http_status, when.node_type, when.logger):
            assert tuple(from_text(as_text(values))) == values
        assert tags_of_lines(tags_as_lines(when.tags)) == {name: list(values) for name, values in when.tags.items()}


def test_own_rules_are_moved_switched_off_renamed_and_deleted(connection: Connection) -> None:
    for name in ("a", "b"):
        create_rule(connection, OWN.model_copy(update={"name": name}), "ann")
    page = opened("classification")
    page.button(key="downward_a").click().run()
    assert own(rulebook(connection)) == ["b", "a"]
    assert page.button(key="upward_b").disabled
    view = rulebook(connection).view("a")
    assert view is not None
    page.toggle(key=f"on_a_{view.updated_at}").set_value(False).run()
    assert not rulebook(connection).view("a").is_enabled  # type: ignore[union-attr]
    page.button(key="edit_b").click().run()
    page.text_input(key="name_b").input("z").run()
    page.button(key="save_b").click().run()
    assert own(rulebook(connection)) == ["z", "a"]
    page.button(key="edit_z").click().run()
    page.button(key="delete_z").click().run()
    assert own(rulebook(connection)) == ["a"]
    assert not page.exception


def test_a_shipped_rule_is_changed_switched_off_and_reset(connection: Connection) -> None:
    page = opened("classification", rule=SHIPPED.name)
    assert page.text_input(key=f"name_{SHIPPED.name}").disabled
    page.selectbox(key=f"severity_{SHIPPED.name}").select("high").run()
    page.toggle(key=f"on_{SHIPPED.name}").set_value(False).run()
    page.button(key=f"save_{SHIPPED.name}").click().run()
    view = rulebook(connection).view(SHIPPED.name)
    assert view is not None
    assert (view.origin, view.rule.severity, view.is_enabled) == ("changed", "high", False)
    assert 'class="mh-chip">off' in text_of(page)
    page = opened("classification", rule=SHIPPED.name)
    page.button(key=f"delete_{SHIPPED.name}").click().run()
    assert rulebook(connection).view(SHIPPED.name).origin == "shipped"  # type: ignore[union-attr]


def test_who_was_slower_is_told_and_overwrites_nothing(connection: Connection) -> None:
    create_rule(connection, OWN, "ann")
    page, other = opened("classification", rule=OWN.name), opened("classification")
    view = rulebook(connection).rules[0]
    changed = OWN.model_copy(update={"severity": "low"})
    change_rule(connection, OWN.name, changed, "bob", is_enabled=True, seen=view.updated_at)
    page.text_input(key=f"title_{OWN.name}").input("Mine").run()
    page.button(key=f"save_{OWN.name}").click().run()
    assert "bob has changed" in page.error[0].value
    assert rulebook(connection).rules[0].rule == changed
    create_rule(connection, OWN.model_copy(update={"name": "b"}), "bob")
    other.toggle(key=f"on_{OWN.name}_{view.updated_at}").set_value(False).run()
    assert "bob has changed" in other.error[0].value
    assert rulebook(connection).rules[0].is_enabled


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("message_has", "(", "Message has: '(' is no RE2 expression"),
        ("http_status", "99", "HTTP status: '99' is no HTTP status"),
        ("tags", "region", "Tags: The tag 'region' needs a value"),
    ],
)
def test_what_makes_no_sense_is_said_in_the_form(connection: Connection, field: str, value: str, says: str) -> None:
    page = click(opened("classification"), "New rule")
    assert not page.error
    page.text_input(key="name_new").input("x")
    page.text_area(key=f"{field}_new").input(value).run()
    assert page.error[0].value.startswith(says)
    assert page.button(key="save_new").disabled


def test_a_damaged_rule_is_said_and_deleted(connection: Connection) -> None:
    create_rule(connection, OWN, "ann")
    connection.execute("update classification_rules set definition = %s", (json.dumps({"moon_phase": "full"}),))
    page = opened("classification")
    assert "crm-is-away" in page.warning[0].value
    assert "moon_phase" in page.warning[0].value
    page.button(key="delete_damaged_crm-is-away").click().run()
    assert rulebook(connection).damaged == []
    assert not page.exception


def test_rules_are_found_by_what_stands_in_them(connection: Connection) -> None:
    create_rule(connection, OWN, "ann")
    page = opened("classification")
    assert SHIPPED.name in text_of(page)
    page.text_input(key="find_rule").input("crm (is").run()
    assert "crm-is-away" in text_of(page)
    assert f">{SHIPPED.name}<" not in text_of(page)


def test_hostile_rules_and_errors_are_shown_as_text(connection: Connection) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    insert_error(connection, title=hostile, metadata=json.dumps({"message": hostile, "classified_by": hostile}))
    rule = Rule.model_validate({"name": "x", "when": {"message": ["<img"]}, "title": hostile, "severity": "low"})
    create_rule(connection, rule, hostile)
    assert "<img" not in text_of(opened("classification"))
    page = opened("classification", rule="x")
    assert "would have been caught" in text_of(page)
    assert "<img" not in text_of(page)


def test_a_link_to_a_rule_that_there_is_not_shows_the_list() -> None:
    assert "Shipped rules" in text_of(opened("classification", rule="nobody"))
