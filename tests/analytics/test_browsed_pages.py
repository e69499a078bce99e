"""What only a browser shows: the address while names are chosen, and what finds room on a screen."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ingest.database import Connection
from tests.analytics.browsing import OPEN, START_SECONDS, HeldAnswers, tab
from tests.analytics.meshhook_rows import name_project, name_workflow
from tests.seeding import insert_error


@pytest.fixture
def page(database_url: str, lake_dir: Path) -> Iterator[Page]:
    """A tab; its addresses begin at the dashboard, which runs without its sign-in."""
    with tab(OPEN, database_url, lake_dir) as page:
        yield page


def test_a_workflow_is_chosen_by_name_and_the_address_keeps_its_id(connection: Connection, page: Page) -> None:
    acme, umbrella = name_project(connection, "Acme"), name_project(connection, "Umbrella")
    intake = name_workflow(connection, "lead-intake", 3, project_id=acme)
    sync = name_workflow(connection, "sync", 1, project_id=umbrella)
    for workflow, project in ((intake, acme), (intake, acme), (sync, umbrella)):
        insert_error(connection, workflow_id=workflow, project_id=project)
    errors = page.locator('[data-testid="stMetricValue"]').first
    tags = page.locator("[data-tag]:visible")

    page.goto("/")
    expect(errors).to_have_text("3", timeout=START_SECONDS)
    page.get_by_role("combobox", name="Workflow").click()
    page.get_by_role("option", name="lead-intake v3").click()
    expect(errors).to_have_text("2", timeout=10_000)
    expect(page).to_have_url(re.compile(rf"\?workflow_id={intake}$"))

    page.keyboard.press("Escape")
    expect(tags).to_have_text(["lead-intake v3"])
    page.get_by_role("link", name="History").click()  # the filters come along
    expect(page).to_have_url(re.compile(rf"/history\?.*workflow_id={intake}"))
    expect(tags).to_have_text(["lead-intake v3"])

    page.goto(f"/?project_id={umbrella}")
    expect(errors).to_have_text("1", timeout=10_000)
    expect(tags).to_have_text(["Umbrella"])
    page.get_by_role("button", name="Remove Umbrella").click()
    expect(errors).to_have_text("3", timeout=10_000)
    assert "project_id" not in page.url


def test_a_refresh_that_crosses_a_choice_does_not_take_it_back(connection: Connection, page: Page) -> None:
    """A page that refreshes itself says what it shows, and may do so before it hears of a choice that was made."""
    intake = name_workflow(connection, "lead-intake", 3)
    insert_error(connection, workflow_id=intake)
    insert_error(connection, workflow_id=name_workflow(connection, "sync", 1))
    errors = page.locator('[data-testid="stMetricValue"]').first
    answers = HeldAnswers(page)

    page.goto("/")
    expect(errors).to_have_text("2", timeout=START_SECONDS)
    page.get_by_role("combobox", name="Workflow").click()
    answers.hold()
    page.get_by_role("option", name="lead-intake v3").click()
    page.wait_for_timeout(3_000)  # it refreshes itself every two seconds
    answers.release()
    expect(errors).to_have_text("1", timeout=10_000)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="History").click()
    expect(page).to_have_url(re.compile(rf"/history\?.*workflow_id={intake}"))


def test_the_latest_errors_name_their_workflow_where_there_is_room(connection: Connection, page: Page) -> None:
    insert_error(connection, workflow_id=name_workflow(connection, "lead-intake", 3))
    page.goto("/")
    cell = page.get_by_role("cell", name="lead-intake v3")
    expect(cell).to_be_visible(timeout=START_SECONDS)
    page.set_viewport_size({"width": 1100, "height": 900})
    expect(cell).to_be_hidden()
