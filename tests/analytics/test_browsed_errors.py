"""The page Errors in a browser, signed in: the keyboard alone, what a refresh leaves alone, hostile titles."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ingest.database import Connection
from jobs.tally import Tally
from tests.analytics.browsing import START_SECONDS, signed_in_tab
from tests.seeding import insert_error, now

MINUTE = timedelta(minutes=1)
SOON = 15_000


@pytest.fixture
def page(connection: Connection, database_url: str, lake_dir: Path) -> Iterator[Page]:
    with signed_in_tab(connection, database_url, lake_dir, "/errors") as page:
        yield page


def seed(connection: Connection) -> None:
    for fingerprint, title, ago in (("1-a", "Alpha failed", 1), ("1-b", "Beta failed", 2), ("1-c", "Gamma failed", 3)):
        insert_error(connection, fingerprint=fingerprint, title=title, timestamp=now() - ago * MINUTE)
    Tally(connection).tick()


def states(connection: Connection) -> list[str]:
    return [state for (state,) in connection.execute("select state from error_groups order by fingerprint")]


def test_groups_are_chosen_and_resolved_with_the_keyboard_alone(connection: Connection, page: Page) -> None:
    seed(connection)
    box = page.get_by_role("checkbox", name="Choose Beta failed")
    expect(box).to_be_attached(timeout=START_SECONDS)
    box.focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("1 chosen")).to_be_visible(timeout=SOON)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # the next row's
    expect(page.get_by_text("2 chosen")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Resolve").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 groups are resolved.")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="Beta failed")).to_be_hidden(timeout=SOON)
    assert states(connection) == ["open", "resolved", "resolved"]

    page.get_by_role("button", name="Resolved 2").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("state=resolved"), timeout=SOON)
    link = page.get_by_role("link", name="Gamma failed")
    expect(link).to_be_visible(timeout=SOON)
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gamma failed").first).to_be_visible(timeout=START_SECONDS)
    expect(page).to_have_url(re.compile(r"/errors\?(?=.*group=1-c)(?=.*state=resolved)"))
    page.get_by_role("link", name="All groups").click()
    expect(page.get_by_role("link", name="Beta failed")).to_be_visible(timeout=START_SECONDS)


def test_the_list_refreshes_itself_and_leaves_a_choice_alone(connection: Connection, page: Page) -> None:
    seed(connection)
    expect(page.get_by_role("link", name="Alpha failed")).to_be_visible(timeout=START_SECONDS)
    insert_error(connection, fingerprint="1-d", title="Delta failed")
    expect(page.get_by_role("link", name="Delta failed")).to_be_visible(timeout=SOON)

    page.locator(".st-key-picks label").nth(2).click()  # of Alpha, which Delta moved down
    expect(page.get_by_text("1 chosen")).to_be_visible(timeout=SOON)
    insert_error(connection, fingerprint="1-e", title="Epsilon failed")
    page.wait_for_timeout(7_000)
    expect(page.get_by_role("link", name="Epsilon failed")).to_be_hidden()
    expect(page.get_by_role("checkbox", name="Choose Alpha failed")).to_be_checked()
    page.get_by_role("link", name="Overview").click()  # and back: nothing is chosen any more
    expect(page.get_by_role("heading", name="Top groups")).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Errors", exact=True).click()
    expect(page.locator(".mh-groups").get_by_role("link", name="Epsilon failed")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("1 chosen")).to_be_hidden()
    expect(page.get_by_role("checkbox", name="Choose Alpha failed")).not_to_be_checked()


def test_a_note_that_is_half_written_outlives_the_refresh(connection: Connection, page: Page) -> None:
    seed(connection)
    page.goto("/errors?group=1-a")
    note = page.get_by_label("Note", exact=True)
    expect(note).to_be_visible(timeout=START_SECONDS)
    note.click()
    page.keyboard.type("Only behind the pro")
    insert_error(connection, fingerprint="1-a", title="Alpha failed")
    expect(page.locator(".mh-figures dd").first).to_have_text("2", timeout=SOON)
    page.keyboard.type("xy")
    expect(note).to_have_value("Only behind the proxy")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".mh-note p")).to_have_text("Only behind the proxy", timeout=SOON)
    assert connection.execute("select author, note from group_notes").fetchall() == [("ann", "Only behind the proxy")]


def test_hostile_titles_are_harmless(connection: Connection, page: Page) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    for number, title in enumerate((hostile, "\u202e" + "שגיאה " * 60, "x" * 3000, '"><b>**bold** $x$')):
        insert_error(connection, fingerprint=f"1-{number}", title=title, timestamp=now() - number * MINUTE)
    Tally(connection).tick()
    rows = page.locator(".mh-groups tbody tr")
    expect(rows).to_have_count(4, timeout=SOON if rows.count() else START_SECONDS)
    expect(rows.nth(0)).to_contain_text("<img src=x")
    assert {row.bounding_box()["height"] for row in rows.all()} == {rows.nth(0).bounding_box()["height"]}  # type: ignore[index]
    for number in range(4):
        expect(rows.nth(number)).to_contain_text("worker · execution")
        page.locator(".st-key-picks label").nth(number + 1).click()
    page.get_by_text("4 chosen").wait_for(timeout=SOON)
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    for number in range(4):
        page.goto(f"/errors?group=1-{number}")
        expect(page.locator(".mh-group h2")).to_be_visible(timeout=START_SECONDS)
        width = max(width, page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
    assert width == 0
    assert page.title() != "owned"
    assert page.locator("img[src=x]").count() == 0


def test_filters_stand_in_the_address_and_come_back_from_it(connection: Connection, page: Page) -> None:
    seed(connection)
    expect(page.get_by_role("link", name="Alpha failed")).to_be_visible(timeout=START_SECONDS)
    search = page.get_by_label("Search")
    search.fill("beta")
    search.press("Enter")
    expect(page.get_by_role("link", name="Alpha failed")).to_be_hidden(timeout=SOON)
    page.get_by_role("button", name="All 1").click()
    expect(page).to_have_url(re.compile(r"(?=.*text=beta)(?=.*state=all)"), timeout=SOON)
    page.reload()
    expect(page.get_by_role("link", name="Beta failed")).to_be_visible(timeout=START_SECONDS)
    expect(page.get_by_role("link", name="Alpha failed")).to_be_hidden()
    expect(page.get_by_label("Search")).to_have_value("beta")
