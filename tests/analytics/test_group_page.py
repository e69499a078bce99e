"""The page of one group on a real database, run by Streamlit's own test runner."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from analytics.group_store import add_note, merge, resolve
from analytics.lake import Part
from ingest.database import Connection
from jobs.tally import Tally
from tests.analytics.opening import opened, text_of, user
from tests.seeding import insert_error, now

pytestmark = pytest.mark.usefixtures("configured")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STACK = """{"message": "boom", "node": "send-mail", "exception": {"type": "KeyError", "value": "id"},
    "frames": [{"file": "/srv/app/a.py", "line": 7, "function": "handle", "in_app": true},
               {"file": "/srv/app/b.py", "line": 9, "function": "reply", "in_app": true}]}"""


def seed(connection: Connection) -> None:
    """Three errors of group `1-a` today and one two days ago; one of `1-b`, of `1-c` six."""
    for ago in (MINUTE, HOUR, 2 * HOUR, 2 * DAY):
        insert_error(connection, fingerprint="1-a", title="Alpha failed", metadata=STACK, timestamp=now() - ago)
    insert_error(connection, fingerprint="1-b", title="Beta failed", severity="high", timestamp=now() - 3 * HOUR,
                 metadata='{"node": "fetch"}')  # fmt: skip
    for _ in range(6):
        insert_error(connection, fingerprint="1-c", title="Gamma failed", timestamp=now() - HOUR)
    Tally(connection).tick()


def state(connection: Connection, fingerprint: str) -> Any:
    row = connection.execute(
        "select state, head, assignee from error_groups where fingerprint = %s", (fingerprint,)
    ).fetchone()
    assert row is not None
    return row


def press(page: AppTest, key: str) -> None:
    page.button(key=key).click().run()
    assert not page.exception, page.exception


def figure(page: AppTest, label: str) -> str:
    return text_of(page).partition(f"<dt>{label}</dt><dd>")[2].partition("</dd>")[0]


def test_a_group_shows_its_figures_its_newest_error_whole_and_where_it_happens(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", group="1-a")
    assert figure(page, "Errors in range") == "3"
    assert ">30.0 %<" in figure(page, "Share of all errors")
    assert figure(page, "Total") == "4"
    assert ">1 min ago<" in figure(page, "Last seen")
    assert ">2 days ago<" in figure(page, "First seen")
    text = text_of(page)
    for expected in ("handle", "/srv/app/a.py:7", "reply", "KeyError"):
        assert expected in text
    assert '<h4>Node</h4><ul><li title="send-mail: 3">' in text
    assert '<h4>Source</h4><ul><li title="worker: 3">' in text
    assert "<h4>Workflow</h4>" not in text  # where no error has one


def test_the_range_narrows_figures_and_places(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", group="1-a", range="15m")
    assert figure(page, "Errors in range") == "1"
    page = opened("errors", group="1-a", range="7d")
    assert figure(page, "Errors in range") == "4"
    assert '<h4>Source</h4><ul><li title="worker: 4">' in text_of(page)


def test_a_group_that_is_quiet_still_shows_its_newest_error(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", group="1-b", range="15m")
    assert "didn't happen in this range" in text_of(page)
    assert "Beta failed" in text_of(page)
    assert "Newest error" in text_of(page)


def test_every_table_of_groups_and_every_error_leads_to_the_group(connection: Connection) -> None:
    error = insert_error(connection, fingerprint="1-a&b", title="Alpha failed")
    Tally(connection).tick()
    link = '<a href="/errors?group=1-a%26b" target="_self">'
    assert link in text_of(opened("overview"))
    assert link in text_of(opened("history", error_id=str(error)))
    assert opened("history").dataframe[0].value["page"].to_list() == ["/errors?group=1-a%26b"]


def test_its_latest_errors_lead_to_the_errors_whole(connection: Connection) -> None:
    moment = now() - timedelta(minutes=1)
    error = insert_error(connection, fingerprint="1-a", timestamp=moment)
    Tally(connection).tick()
    at = quote(moment.isoformat())
    assert f'<a href="/history?error_id={error}&amp;at={at}"' in text_of(opened("errors", group="1-a"))


def test_the_way_back_leads_to_the_list_as_it_was(connection: Connection) -> None:
    seed(connection)
    text = text_of(opened("errors", group="1-a", state="all", severity="high"))
    assert '<a class="mh-back" href="/errors?state=all&severity=high" target="_self">' in text.replace("&amp;", "&")


def test_a_group_that_nobody_knows_is_said_to_be_none(connection: Connection) -> None:
    for fingerprint in ("1-nothing", "\0", "x" * 5000):
        assert "No group has this fingerprint" in opened("errors", group=fingerprint).info[0].value


def test_who_is_not_signed_in_sees_everything_without_buttons(connection: Connection) -> None:
    seed(connection)
    add_note(connection, "1-a", "ann", "A note for all.")
    merge(connection, "1-a", ["1-b"], "ann")
    page = opened("errors", group="1-a")
    assert not page.button
    assert not page.text_area
    assert "A note for all." in text_of(page)
    assert "Members · 2" in text_of(page)


def test_a_group_is_resolved_and_opened_again(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", by=user(connection), group="1-a")
    press(page, "resolve")
    assert state(connection, "1-a")[0] == "resolved"
    assert "<b><bdi>ann</bdi></b> resolved it" in text_of(page)
    press(page, "reopen")
    assert state(connection, "1-a")[0] == "open"
    assert "<b><bdi>ann</bdi></b> opened it again" in text_of(page)


def test_a_group_is_ignored_and_assigned(connection: Connection) -> None:
    seed(connection)
    ann = user(connection)
    page = opened("errors", by=ann, group="1-a")
    press(page, "ignore_10")
    assert state(connection, "1-a")[0] == "ignored"
    assert "Ignored, 10 more" in text_of(page)
    press(page, "assign_me")
    assert state(connection, "1-a")[2] == ann.id
    assert "assigned to <b><bdi>ann</bdi></b>" in text_of(page)
    press(page, "assign_nobody")
    assert state(connection, "1-a")[2] is None


def test_a_group_is_merged_into_one_that_is_searched_for_and_the_page_goes_there(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", by=user(connection), group="1-a")
    page.text_input(key="merge_text").input("failed").run()
    assert {option.partition(" ")[0] for option in page.selectbox(key="merge_target").options} == {"Beta", "Gamma"}
    page.text_input(key="merge_text").input("beta").run()
    press(page, "merge_this")
    assert state(connection, "1-a")[1] == "1-b"
    assert page.query_params["group"] in ("1-b", ["1-b"])
    assert "<bdi>Alpha failed</bdi></h2>" in text_of(page)  # the title is that of its newest error
    assert "Members · 2" in text_of(page)
    assert figure(page, "Errors in range") == "4"


def test_a_member_s_link_shows_the_whole_group_and_it_is_split_off_again(connection: Connection) -> None:
    seed(connection)
    merge(connection, "1-a", ["1-b"], "bo")
    page = opened("errors", by=user(connection), group="1-b")
    assert figure(page, "Total") == "5"
    assert "<b><bdi>bo</bdi></b> merged another group into it" in text_of(page)
    assert not any(button.key == "split_1-a" for button in page.button)
    press(page, "split_1-b")
    assert state(connection, "1-b")[1] == "1-b"
    assert figure(opened("errors", group="1-a"), "Total") == "4"


def test_a_member_of_an_earlier_version_is_told_from_one_that_was_merged(connection: Connection) -> None:
    old, new = "1-0123456789abcdef", "2-0123456789abcdef"
    insert_error(connection, fingerprint=old, timestamp=now() - HOUR)
    Tally(connection).tick()
    insert_error(connection, fingerprint=new, metadata=f'{{"fingerprint_before": "{old}"}}')
    Tally(connection).tick()
    text = text_of(opened("errors", group=new))
    assert "the group's own · version 1" in text
    assert "what a later version calls it · version 2" in text


def test_a_note_is_kept_with_its_author_and_one_that_is_refused_stays_in_the_field(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", by=user(connection), group="1-a")
    page.text_area(key="note_1-a").input("Only behind the proxy.\n<b>See</b> the runbook.")
    next(button for button in page.button if button.label == "Add note").click().run()
    ((author, note),) = connection.execute("select author, note from group_notes").fetchall()
    assert (author, note) == ("ann", "Only behind the proxy.\n<b>See</b> the runbook.")
    assert "&lt;b&gt;See&lt;/b&gt; the runbook." in text_of(page)
    assert page.text_area(key="note_1-a").value == ""

    page.text_area(key="note_1-a").input("turned \u202e round")
    next(button for button in page.button if button.label == "Add note").click().run()
    assert "U+202E" in page.error[0].value
    assert page.text_area(key="note_1-a").value == "turned \u202e round"
    assert connection.execute("select count(*) from group_notes").fetchone() == (1,)


def test_a_note_with_a_secret_is_masked_before_it_is_kept(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", by=user(connection), group="1-a")
    page.text_area(key="note_1-a").input("It used Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789")
    next(button for button in page.button if button.label == "Add note").click().run()
    assert "abcdefghijklmnop" not in str(connection.execute("select note from group_notes").fetchall())


def test_what_somebody_else_did_meanwhile_is_said(connection: Connection) -> None:
    seed(connection)
    page = opened("errors", by=user(connection), group="1-a")
    merge(connection, "1-c", ["1-a"], "bo")
    press(page, "resolve")
    assert "was merged into" in page.error[0].value
    assert state(connection, "1-c")[0] == "open"


def test_the_history_names_whose_it_is_from_the_tally_and_from_people(connection: Connection) -> None:
    seed(connection)
    resolve(connection, "1-a", "<i>bo")
    insert_error(connection, fingerprint="1-a", title="Alpha failed")
    Tally(connection).tick()
    text = text_of(opened("errors", group="1-a"))
    assert "It came back" in text
    assert "&lt;i&gt;bo" in text
    assert "<i>bo" not in text
    assert text.index("It came back") < text.index("resolved it") < text.index("Seen for the first time")


def test_where_the_lake_cannot_be_read_notes_and_history_still_stand(connection: Connection, lake_dir: Path) -> None:
    seed(connection)
    add_note(connection, "1-a", "ann", "A note for all.")
    day = lake_dir / "errors" / f"day={now():%Y-%m-%d}"
    day.mkdir(parents=True)
    (day / Part.name(0, 5, 1, 1)).write_bytes(b"no parquet")
    page = opened("errors", by=user(connection), group="1-a")
    assert "The lake can't be read" in page.warning[0].value
    assert "A note for all." in text_of(page)
    assert "Seen for the first time" in text_of(page)
    press(page, "resolve")
    assert state(connection, "1-a")[0] == "resolved"


def test_hostile_texts_are_shown_as_text(connection: Connection) -> None:
    hostile = "<script>alert(1)</script> \u202e" + "x" * 3000
    insert_error(connection, fingerprint="<b>&", title=hostile, metadata='{"node": "<u>n", "message": "<s>"}',
                 source="worker", error_type="<em>")  # fmt: skip
    Tally(connection).tick()
    text = text_of(opened("errors", by=user(connection), group="<b>&"))
    for tag in ("<script>", "<u>", "<s>", "<em>", "<b>&"):
        assert tag not in text
    assert "<bdi>&lt;script&gt;" in text


def test_the_newest_error_is_the_newest_of_all_members(connection: Connection) -> None:
    seed(connection)
    newest: UUID = insert_error(connection, fingerprint="1-b", title="Beta failed", metadata='{"message": "at last"}')
    merge(connection, "1-a", ["1-b"], "ann")
    text = text_of(opened("errors", group="1-a"))
    assert str(newest) in text
