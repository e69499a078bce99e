"""A rule as somebody makes it in a browser: signed in, tried, saved under their name, moved, and found by a link."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from analytics.classification_store import create_rule, rulebook
from ingest.classification import Rule, shipped_rules
from ingest.database import Connection
from tests.analytics.browsing import START_SECONDS, signed_in_tab
from tests.listening import until
from tests.seeding import insert_error


@pytest.fixture
def page(connection: Connection, database_url: str, tmp_path: Path) -> Iterator[Page]:
    """A tab at the dashboard as it really runs, with Ann signed in."""
    with signed_in_tab(connection, database_url, tmp_path / "lake", "/classification") as tab:
        yield tab


def test_a_rule_is_tried_and_saved_under_the_name_of_whoever_is_signed_in(connection: Connection, page: Page) -> None:
    create_rule(connection, Rule.model_validate({"name": "a", "when": {"message": ["x"]}, "severity": "low"}), "bob")
    insert_error(connection, title="The CRM is gone", metadata='{"message": "crm is away"}')
    expect(page.get_by_text("Shipped rules")).to_be_visible(timeout=START_SECONDS)
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name").fill("crm-is-away")
    page.get_by_role("textbox", name="Message has").fill("crm is away")
    page.keyboard.press("Tab")
    expect(page.get_by_text("of 1 error of the last 7 days would have been caught")).to_be_visible()
    expect(page.get_by_role("link", name="The CRM is gone")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="crm-is-away")).to_be_visible()
    assert [(view.rule.name, view.changed_by) for view in rulebook(connection).rules[:2]] == [
        ("a", "bob"),
        ("crm-is-away", "ann"),
    ]
    page.locator(".st-key-upward_crm-is-away button:visible").click()
    until(lambda: rulebook(connection).movable == ["crm-is-away", "a"], 10)

    expect(page.locator('[data-stale="true"]')).to_have_count(0, timeout=10_000)
    page.set_viewport_size({"width": 800, "height": 1000})  # the controls of a rule stay in one line
    controls = [page.locator(f'.st-key-{key}_crm-is-away:not([data-stale="true"])') for key in ("downward", "edit")]
    boxes = [control.bounding_box() for control in controls]
    assert boxes[0] and boxes[1]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 10

    name = shipped_rules()[0].rule.name
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("textbox", name="Name")).to_have_value(name)
    expect(page).to_have_url(re.compile(rf"/classification\?rule={name}$"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Shipped rules")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/classification$"))
