"""The page SQL: asked, answered, drawn, linked, refused, cancelled."""

import time
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analytics.pages import sql as sql_page
from analytics.sandbox.desk import Asked, ask
from analytics.sandbox.question import Limits
from analytics.worked_queries import worked_queries
from tests.analytics.lake_files import DAYS, make_lake
from tests.analytics.opening import opened, text_of

LONG = "select sum(hash(a.i * b.i)) from range(10000000) a(i), range(1000000) b(i)"


@pytest.fixture
def lake(tmp_path: Path, configured: None) -> Path:
    return make_lake(tmp_path / "lake", datetime.now(UTC).date() - timedelta(days=DAYS - 1))


def wait(test: AppTest) -> AppTest:
    """Until the question is answered, and the page shows it."""
    asked: Asked = test.session_state["asked"]
    assert asked.wait(30)
    return test.run()


def run(test: AppTest, text: str) -> AppTest:
    test.text_area(key="sql_text").set_value(text)
    next(button for button in test.button if button.label == "Run").click()
    return wait(test.run())


def told(test: AppTest) -> str | None:
    """The message, as a reader sees it."""
    bodies = [element.proto.body for element in test.get("html")]
    found = [unescape(body) for body in bodies if "mh-refused" in body]
    return found[0].split(">", 1)[1].removesuffix("</div>") if found else None


def test_it_opens_with_an_example_that_isnt_asked_yet(lake: Path) -> None:
    page = opened("sql")
    assert page.text_area(key="sql_text").value == worked_queries()[0].sql
    assert page.selectbox(key="example").options == [query.title for query in worked_queries()]
    assert not page.dataframe
    assert "The files have what was received up to" in text_of(page)


def test_a_question_is_answered_with_its_rows_time_chart_and_link(lake: Path) -> None:
    text = "select severity, sum(stands_for) as errors from errors group by all order by all"
    page = run(opened("sql"), text)
    assert page.dataframe[0].value["errors"].to_list() == [1340, 840, 840]
    assert "3 rows in " in text_of(page)
    assert page.selectbox(key="chart_axis").value == "severity"
    assert page.selectbox(key="chart_number").value == "errors"
    assert page.query_params["q"] == text
    assert [button.label for button in page.get("download_button")] == ["CSV", "Parquet"]


def test_a_link_shows_what_its_sender_saw(lake: Path) -> None:
    page = wait(opened("sql", q="select count(*) as n from errors"))
    assert page.text_area(key="sql_text").value == "select count(*) as n from errors"
    assert page.dataframe[0].value["n"].to_list() == [2521]


def test_an_example_is_asked_when_it_is_chosen(lake: Path) -> None:
    page = opened("sql")
    page.selectbox(key="example").select("failing_workflows")
    page = wait(page.run())
    assert page.dataframe[0].value["percent_failed"].to_list() == [5, 4, 3, 2, 1]


def test_a_mistake_and_an_escape_are_told(lake: Path) -> None:
    page = run(opened("sql"), "select colour from errors")
    assert 'column "colour" not found' in (told(page) or "")
    assert not page.dataframe
    page = run(page, "select * from read_text('/etc/passwd')")
    assert told(page) == "The function read_text isn't available here (line 1, column 15)."
    page = run(page, "select 1 as one")
    assert told(page) is None


def test_what_a_message_quotes_is_no_markup(lake: Path) -> None:
    """A link could otherwise send rows to somebody's server, as the address of an image."""
    page = wait(opened("sql", q="select ('![x](http://127.0.0.1:9/?' || title || ')')::int from errors"))
    assert not page.error, "that would be Markdown"
    assert "'![x](http://127.0.0.1:9/?Failure 0)'" in (told(page) or "")
    page = run(page, "select ('<img src=x>' || title)::int from errors")
    body = next(element.proto.body for element in page.get("html") if "mh-refused" in element.proto.body)
    assert "&lt;img src=x&gt;Failure 0" in body


def test_more_rows_than_the_page_takes_are_cut_with_a_note(lake: Path) -> None:
    page = run(opened("sql"), "select * from range(20000)")
    assert len(page.dataframe[0].value) == 10_000
    assert page.warning[0].value.startswith("Cut at 10,000 rows: there are more. Narrow the question down")


def test_a_long_question_can_be_cancelled(lake: Path) -> None:
    page = opened("sql")
    page.text_area(key="sql_text").set_value(LONG)
    next(button for button in page.button if button.label == "Run").click()
    page = page.run()
    assert "Asking" in text_of(page)
    next(button for button in page.button if button.label == "Cancel").click()
    page = page.run()
    assert told(page) == "Cancelled."
    assert page.session_state["asked"].is_done


def test_a_long_question_isnt_put_into_the_address(lake: Path) -> None:
    page = run(opened("sql"), "select 1 as one --" + "x" * 3000)
    assert "q" not in page.query_params


def test_only_two_are_asked_at_once_and_one_that_waits_can_be_cancelled(lake: Path) -> None:
    several = [ask(lake, LONG, Limits(seconds=40)) for _ in range(3)]
    deadline = time.monotonic() + 10
    while sum(asked.is_waiting for asked in several) != 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sum(asked.is_waiting for asked in several) == 1
    for asked in several:
        asked.cancel()
    assert all(asked.wait(15) for asked in several)
    assert {asked.reason for asked in several} == {"Cancelled."}


def test_what_waits_longer_than_a_question_may_take_isnt_late_for_that(lake: Path) -> None:
    first = [ask(lake, LONG, Limits(seconds=3)) for _ in range(2)]
    last = ask(lake, "select 1 as one", Limits(seconds=3))
    assert last.wait(30)
    assert last.answer is not None, last.reason
    assert all(asked.wait(10) for asked in first)


def test_without_files_it_says_so(configured: None, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    page = run(opened("sql"), "select count(*) as n from errors")
    assert page.dataframe[0].value["n"].to_list() == [0]
    assert "The lake has no errors yet" in text_of(page)
    assert sql_page.LIMITS.most_rows == 10_000
