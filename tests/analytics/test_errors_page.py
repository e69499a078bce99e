"""The page Errors on a real database, run by Streamlit's own test runner: the list, its filters and its actions."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from analytics.group_store import assign, ignore, resolve
from ingest.database import Connection
from ingest.settings import settings
from jobs.tally import Tally
from tests.analytics.opening import opened, text_of, user
from tests.ports import free_port
from tests.seeding import insert_error, now

pytestmark = pytest.mark.usefixtures("configured")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def three_groups(connection: Connection) -> None:
    """`1-a` with most errors, `1-b` seen last, `1-c` seen first: no two orders agree."""
    for fingerprint, title, times in (
        ("1-a", "Alpha failed", (3 * MINUTE, 4 * MINUTE, 5 * MINUTE)),
        ("1-b", "Beta failed", (MINUTE, 3 * HOUR)),
        ("1-c", "Gamma failed", (9 * MINUTE, 10 * HOUR)),
    ):
        for ago in times:
            insert_error(connection, fingerprint=fingerprint, title=title, timestamp=now() - ago)
    Tally(connection).tick()


def titles(page: AppTest) -> list[str]:
    """The groups of the list, from the top."""
    text = text_of(page)
    found = {name: text.find(f"<bdi>{name} failed</bdi></a>") for name in ("Alpha", "Beta", "Gamma")}
    return sorted((name for name, place in found.items() if place >= 0), key=found.__getitem__)


def tab(page: AppTest, label: str) -> Any:
    return next(button for button in page.button if button.label.startswith(label))


def state(connection: Connection, fingerprint: str, column: str = "state") -> Any:
    row = connection.execute(
        "select state, ignored_until, ignored_until_errors, merged_into, (select name from users where id = assignee) "
        "as assignee from error_groups where fingerprint = %s",
        (fingerprint,),
    ).fetchone()
    assert row is not None
    return row[["state", "ignored_until", "ignored_until_errors", "merged_into", "assignee"].index(column)]


def choose(page: AppTest, *fingerprints: str) -> None:
    for fingerprint in fingerprints:
        page.checkbox(key=f"pick_{fingerprint}").check().run()


def press(page: AppTest, key: str) -> None:
    page.button(key=key).click().run()
    assert not page.exception, page.exception


def test_a_row_says_how_often_since_when_and_where(connection: Connection) -> None:
    three_groups(connection)
    text = text_of(opened("errors"))
    assert re.search(r'alt="at most \d per hour" src="data:image/svg', text)
    assert "worker" in text
    assert "execution" in text
    assert ">3 min ago</time>" in text
    assert ">10 h ago</time>" in text


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, ["Beta", "Alpha", "Gamma"]),
        ("errors in range", ["Alpha", "Beta", "Gamma"]),
        ("first seen", ["Alpha", "Beta", "Gamma"]),
    ],
)
def test_the_list_is_sorted_as_chosen(connection: Connection, sort: str | None, expected: list[str]) -> None:
    three_groups(connection)
    page = opened("errors")
    if sort:
        page.selectbox(key="sort").select(sort).run()
    assert titles(page) == expected


def test_the_range_leaves_out_what_did_not_happen_in_it_unless_quiet_ones_are_asked_for(connection: Connection) -> None:
    three_groups(connection)
    insert_error(connection, fingerprint="1-old", title="Omega failed", timestamp=now() - 2 * DAY)
    Tally(connection).tick()
    assert "Omega" not in text_of(opened("errors"))
    assert "Omega" in text_of(opened("errors", range="7d"))
    page = opened("errors")
    page.toggle(key="quiet").set_value(True).run()
    assert "Omega" in text_of(page)


def test_states_are_counted_and_each_shows_its_own(connection: Connection) -> None:
    three_groups(connection)
    resolve(connection, "1-a", "ann")
    ignore(connection, "1-b", "ann", until=datetime.now(UTC) + 3 * DAY)
    page = opened("errors")
    assert [tab(page, label).label for label in ("Open", "Came back", "Resolved", "Ignored", "All")] == [
        "Open 1",
        "Came back 0",
        "Resolved 1",
        "Ignored 1",
        "All 3",
    ]
    assert titles(page) == ["Gamma"]
    for label, expected in (("Resolved", ["Alpha"]), ("Ignored", ["Beta"]), ("All", ["Beta", "Alpha", "Gamma"])):
        tab(page, label).click().run()
        assert titles(page) == expected
    assert titles(opened("errors", state="resolved")) == ["Alpha"]  # a link shows what its sender saw


def test_a_group_that_came_back_is_open_and_says_so(connection: Connection) -> None:
    three_groups(connection)
    resolve(connection, "1-a", "ann")
    insert_error(connection, fingerprint="1-a", title="Alpha failed")
    Tally(connection).tick()
    page = opened("errors")
    assert titles(page) == ["Alpha", "Beta", "Gamma"]
    assert 'mh-badge regressed" title' in text_of(page)
    tab(page, "Came back").click().run()
    assert titles(page) == ["Alpha"]


def test_groups_are_found_by_who_has_them(connection: Connection) -> None:
    ann, bo = user(connection, "ann"), user(connection, "bo")
    three_groups(connection)
    assign(connection, "1-a", "bo", ann.name)
    assign(connection, "1-b", "bo", bo.name)
    page = opened("errors", by=ann)
    for chosen, expected in (("me", ["Alpha"]), ("nobody", ["Gamma"]), ("@bo", ["Beta"])):
        page.selectbox(key="assignee").select(chosen).run()
        assert titles(page) == expected
    assert titles(opened("errors", by=bo, assignee="me")) == ["Beta"]


@pytest.mark.parametrize(("text", "expected"), [("beta FAIL", ["Beta"]), ("1-c", ["Gamma"]), ("%", []), ("\u202e", [])])
def test_groups_are_found_by_their_title_and_fingerprint(
    connection: Connection, text: str, expected: list[str]
) -> None:
    three_groups(connection)
    page = opened("errors")
    page.text_input(key="text").input(text).run()
    if text == "\u202e":  # can't be searched for, and does no harm
        assert titles(page) == ["Beta", "Alpha", "Gamma"]
    else:
        assert titles(page) == expected


def test_the_other_filters_narrow_the_list(connection: Connection) -> None:
    workflow, project = uuid4(), uuid4()
    three_groups(connection)
    insert_error(connection, fingerprint="1-d", title="Alpha failed", source="webhook", error_type="input",
                 severity="high", workflow_id=workflow, project_id=project)  # fmt: skip
    insert_error(connection, fingerprint="1-c", title="Gamma failed", project_id=uuid4())
    for name, value in (
        ("source", "webhook"),
        ("error_type", "input"),
        ("severity", "high"),
        ("workflow_id", str(workflow)),
        ("project_id", str(project)),
    ):
        assert titles(opened("errors", **{name: value})) == ["Alpha"], name


def test_a_list_of_many_groups_has_pages(connection: Connection) -> None:
    for number in range(30):
        insert_error(connection, fingerprint=f"1-{number}", title=f"E{number:02}", timestamp=now() - number * MINUTE)
    Tally(connection).tick()
    page = opened("errors")
    assert "1–25 of 30" in text_of(page)
    assert "<bdi>E24</bdi>" in text_of(page)
    assert "<bdi>E25</bdi>" not in text_of(page)
    press(page, "turn_1")
    assert "26–30 of 30" in text_of(page)
    assert "<bdi>E25</bdi>" in text_of(page)
    assert page.button(key="turn_1").disabled
    page.text_input(key="text").input("E0").run()  # another list begins at its beginning
    assert "<bdi>E00</bdi>" in text_of(page)


def test_who_is_not_signed_in_reads_and_changes_nothing(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors")
    assert titles(page) == ["Beta", "Alpha", "Gamma"]
    assert not page.checkbox
    assert "me" not in page.selectbox(key="assignee").options


def test_who_has_signed_out_meanwhile_changes_nothing(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-a")
    page.session_state["signed_in"] = None
    press(page, "resolve")
    assert state(connection, "1-a") == "open"


def test_several_groups_are_resolved_at_once_in_the_name_of_who_is_signed_in(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-a", "1-b")
    assert "2 chosen" in text_of(page)
    press(page, "resolve")
    assert [state(connection, name) for name in ("1-a", "1-b", "1-c")] == ["resolved", "resolved", "open"]
    told = connection.execute("select fingerprint, by from group_events where kind = 'resolved' order by 1").fetchall()
    assert told == [("1-a", "ann"), ("1-b", "ann")]
    assert titles(page) == ["Gamma"]
    assert "chosen" not in text_of(page)
    assert page.toast[0].value == "2 groups are resolved."


def test_all_on_the_page_are_chosen_and_let_go_at_once(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    page.checkbox(key="pick_all").check().run()
    assert "3 chosen" in text_of(page)
    page.checkbox(key="pick_1-b").uncheck().run()
    assert "2 chosen" in text_of(page)
    assert page.checkbox(key="pick_all").value is False
    press(page, "clear_choice")
    assert not any(box.value for box in page.checkbox)


def test_chosen_groups_are_ignored_until_later_or_for_more_errors(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    for fingerprint, key in (("1-a", "ignore_a day"), ("1-b", "ignore_100"), ("1-c", "ignore_always")):
        choose(page, fingerprint)
        press(page, key)
        assert state(connection, fingerprint) == "ignored"
    until = state(connection, "1-a", "ignored_until")
    assert abs(until - datetime.now(UTC) - DAY) < timedelta(minutes=1)
    assert state(connection, "1-b", "ignored_until_errors") == 102
    assert state(connection, "1-c", "ignored_until") is state(connection, "1-c", "ignored_until_errors") is None
    tab(page, "Ignored").click().run()
    assert "Ignored, 100 more" in text_of(page)
    choose(page, "1-b")
    press(page, "reopen")
    assert state(connection, "1-b") == "open"


def test_chosen_groups_are_ignored_until_a_moment_that_lies_ahead(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-a")
    then = (datetime.now(UTC) + 2 * DAY).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    page.datetime_input(key="ignore_at").set_value(then).run()
    press(page, "ignore_until")
    assert state(connection, "1-a", "ignored_until") == then.replace(tzinfo=UTC)
    choose(page, "1-b")
    page.datetime_input(key="ignore_at").set_value(then - 9 * DAY).run()
    press(page, "ignore_until")
    assert "in the future" in page.error[0].value
    assert state(connection, "1-b") == "open"


def test_chosen_groups_are_assigned_to_me_to_somebody_and_to_nobody(connection: Connection) -> None:
    user(connection, "bo")
    three_groups(connection)
    page = opened("errors", by=user(connection, "ann"))
    choose(page, "1-a")
    press(page, "assign_me")
    assert state(connection, "1-a", "assignee") == "ann"
    choose(page, "1-a", "1-b")
    page.selectbox(key="assign_to").select("bo").run()
    press(page, "assign_other")
    assert [state(connection, name, "assignee") for name in ("1-a", "1-b")] == ["bo", "bo"]
    choose(page, "1-a")
    press(page, "assign_nobody")
    assert state(connection, "1-a", "assignee") is None


def test_chosen_groups_are_merged_into_the_one_with_most_errors_or_another(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-c", "1-a")
    press(page, "merge_chosen")
    assert state(connection, "1-c", "merged_into") == "1-a"
    choose(page, "1-a", "1-b")
    next(box for box in page.selectbox if box.label == "into").set_value("1-b").run()
    press(page, "merge_chosen")
    assert state(connection, "1-a", "merged_into") == "1-b"
    assert titles(page) == ["Beta"]
    assert "3 members" in text_of(page)


def test_what_cannot_be_done_is_said_and_none_of_it_is_done(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-a", "1-b")
    connection.execute("update error_groups set head = '1-c', merged_into = '1-c' where fingerprint = '1-b'")
    press(page, "resolve")
    assert "was merged into" in page.error[0].value
    assert state(connection, "1-a") == "open"


def test_the_list_stands_still_while_groups_are_chosen(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-a")
    insert_error(connection, fingerprint="1-z", title="Omega failed")
    page.run()
    assert "Omega" not in text_of(page)
    assert "Paused while groups are chosen" in text_of(page)
    press(page, "clear_choice")
    assert "Omega" in text_of(page)


def test_other_filters_let_go_of_what_was_chosen(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", by=user(connection))
    choose(page, "1-a")
    page.text_input(key="text").input("Beta").run()
    assert titles(page) == ["Beta"]
    assert "chosen" not in text_of(page)


def test_an_installation_without_errors_explains_how_to_send_the_first() -> None:
    assert "Nothing has gone wrong yet" in text_of(opened("errors"))


def test_nothing_in_the_range_leads_to_the_quiet_groups_with_one_click(connection: Connection) -> None:
    insert_error(connection, fingerprint="1-a", title="Alpha failed", timestamp=now() - 2 * DAY)
    Tally(connection).tick()
    page = opened("errors")
    assert "No errors in this range." in text_of(page)
    press(page, "show_quiet")
    assert titles(page) == ["Alpha"]


def test_nothing_with_these_filters_is_cleared_with_one_click(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", text="zeta", severity="high", assignee="nobody")
    assert "No group matches these filters in this range." in text_of(page)
    press(page, "clear_filters")
    assert titles(page) == ["Beta", "Alpha", "Gamma"]
    assert "text" not in page.query_params
    assert "severity" not in page.query_params


def test_nothing_in_this_state_leads_to_the_others_with_one_click(connection: Connection) -> None:
    three_groups(connection)
    page = opened("errors", state="resolved")
    assert "No group of these is resolved." in text_of(page)
    press(page, "show_all")
    assert titles(page) == ["Beta", "Alpha", "Gamma"]


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "state": "\0",
            "page": "-1",
            "sort": "x",
            "assignee": "@nobody who is known",
            "quiet": "maybe",
            "text": "a\0b",
        },
        {"page": "99999999999999999999", "fingerprint": "\0", "range": "5y"},
        {"group": ""},
    ],
)
def test_a_link_with_what_cannot_be_opens_all_the_same(connection: Connection, parameters: dict[str, str]) -> None:
    three_groups(connection)
    assert opened("errors", **parameters).title[0].value == "Errors"


@pytest.mark.parametrize("parameters", [{}, {"group": "1-a"}])
def test_while_the_database_is_away_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    settings.cache_clear()
    said = " ".join(warning.value for warning in opened("errors", **parameters).warning)
    assert "Postgres can't be reached" in said


def test_hostile_titles_are_shown_as_text(connection: Connection) -> None:
    hostile = "<img src=x onerror=alert(1)> **bold** :red[x] $x$ \u202e abc"
    insert_error(connection, title=hostile, fingerprint='"><b>')
    insert_error(connection, title="x" * 2000, fingerprint="1-long")
    Tally(connection).tick()
    page = opened("errors", by=user(connection, "<b>ann"))
    assign(connection, '"><b>', "ann", "<b>ann")
    page.run()
    text = text_of(page)
    assert "<img src=x" not in text
    assert "<b>ann" not in text
    assert "<bdi>&lt;img src=x onerror=alert(1)&gt; **bold** :red[x] $x$ \u202e abc</bdi>" in text
    assert "group=%22%3E%3Cb%3E" in text
    label = page.checkbox(key='pick_"><b>').label
    assert "\\*\\*bold" in label
    assert "\\:red\\[x\\]" in label
    choose(page, '"><b>')
    press(page, "resolve")
    assert state(connection, '"><b>') == "resolved"
