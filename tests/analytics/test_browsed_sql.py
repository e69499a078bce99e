"""The page SQL in a browser, behind the sign-in: typed, run with Ctrl+Enter, cancelled, drawn, taken away, linked."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect

from ingest.database import Connection
from tests.analytics.browsing import signed_in_tab
from tests.analytics.lake_files import DAYS, make_lake

PATIENCE = 30_000


@pytest.fixture
def page(connection: Connection, database_url: str, tmp_path: Path) -> Iterator[Page]:
    """A tab at the page, as the dashboard really runs, with Ann signed in."""
    lake_dir = make_lake(tmp_path / "lake", datetime.now(UTC).date() - timedelta(days=DAYS - 1))
    with signed_in_tab(connection, database_url, lake_dir, "/sql") as tab:
        tab.set_viewport_size({"width": 1440, "height": 1400})
        yield tab


def test_a_question_is_typed_run_cancelled_drawn_taken_away_and_linked(page: Page, tmp_path: Path) -> None:
    editor = page.get_by_role("textbox", name="Question")
    expect(editor).to_be_visible(timeout=PATIENCE)
    editor.fill("select sum(hash(a.i * b.i)) from range(10000000) a(i), range(1000000) b(i)")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("s of at most 60")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=PATIENCE)

    editor.fill("select severity, sum(stands_for) as errors from errors group by all order by all")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("3 rows in")).to_be_visible(timeout=PATIENCE)
    expect(page.locator('[data-testid="stVegaLiteChart"]')).to_be_visible(timeout=PATIENCE)
    for label, read in (("CSV", pl.read_csv), ("Parquet", pl.read_parquet)):
        with page.expect_download(timeout=PATIENCE) as download:
            page.get_by_role("button", name=label, exact=True).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        assert read(file).rows() == [("high", 1340), ("low", 840), ("medium", 840)]
    address = page.url
    assert "/sql?q=select" in address

    page.goto("/history")
    page.goto(address)
    expect(editor).to_have_value("select severity, sum(stands_for) as errors from errors group by all order by all")
    expect(page.get_by_text("3 rows in")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="SQL").click()  # and back: what was asked is still there
    expect(page.get_by_text("3 rows in")).to_be_visible(timeout=PATIENCE)

    page.set_viewport_size({"width": 800, "height": 1400})
    expect(page.get_by_role("button", name="Parquet", exact=True)).to_be_in_viewport()
    bar, link = page.locator(".st-key-bar").bounding_box(), page.get_by_role("link", name="Sign out").bounding_box()
    assert bar and link
    assert bar["height"] < 60, "the bar is one line"
