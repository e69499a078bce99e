"""What only a browser shows: the address while names are chosen, and what finds room on a screen."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ingest.database import Connection
from tests import browser as system_browser
from tests.analytics.meshhook_rows import name_project, name_workflow
from tests.ports import free_port
from tests.seeding import insert_error

ROOT = Path(__file__).parents[2]
START_SECONDS = 60_000


@pytest.fixture
def page(database_url: str, tmp_path: Path) -> Iterator[Page]:
    """A tab; its addresses begin at the dashboard, which runs without its sign-in."""
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database_url, "LAKE_URL": str(tmp_path / "lake")}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.address=127.0.0.1",
        f"--server.port={port}",
    ]
    path = system_browser.find()
    assert path, "no browser: `make test` finds or installs one"
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert any(str(port) in line for line in server.stdout), "the dashboard didn't start"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=system_browser.FLAGS)
            context = browser.new_context(base_url=f"http://127.0.0.1:{port}", viewport={"width": 1440, "height": 900})
            yield context.new_page()
            browser.close()
    finally:
        server.terminate()
        server.wait()


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
    page.get_by_role("link", name="History").click()  # the filters come along
    expect(page).to_have_url(re.compile(rf"/history\?.*workflow_id={intake}"))
    expect(tags).to_have_text(["lead-intake v3"])

    page.goto(f"/?project_id={umbrella}")
    expect(errors).to_have_text("1", timeout=10_000)
    expect(tags).to_have_text(["Umbrella"])
    page.get_by_role("button", name="Remove Umbrella").click()
    expect(errors).to_have_text("3", timeout=10_000)
    assert "project_id" not in page.url


def test_the_latest_errors_name_their_workflow_where_there_is_room(connection: Connection, page: Page) -> None:
    insert_error(connection, workflow_id=name_workflow(connection, "lead-intake", 3))
    page.goto("/")
    cell = page.get_by_role("cell", name="lead-intake v3")
    expect(cell).to_be_visible(timeout=START_SECONDS)
    page.set_viewport_size({"width": 1100, "height": 900})
    expect(cell).to_be_hidden()
