"""The pages on a real database, run by Streamlit's own test runner."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.alert_store import list_channels, list_rules
from ingest.database import Connection
from ingest.keys import list_keys
from ingest.settings import settings
from jobs.mirror import Mirror
from jobs.tally import Tally
from tests.analytics.opening import figures, opened, text_of
from tests.seeding import insert_error, insert_many, insert_report, now

PAGES = ("overview", "errors", "history", "thresholds", "classification", "connect")


pytestmark = pytest.mark.usefixtures("configured")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("data", [False, True], ids=["empty", "with-data"])
def test_every_page_opens(connection: Connection, page: str, data: bool) -> None:
    if data:
        insert_many(connection, 200)
        insert_report(connection, 100, 7)
        Tally(connection).tick()
    assert opened(page).title[0].value == page.capitalize()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_that_the_database_is_not_prepared(connection: Connection, page: str) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    assert "meshhook-errors migrate" in opened(page).warning[0].value


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_while_the_newest_tables_are_missing(connection: Connection, page: str) -> None:
    insert_error(connection)
    connection.execute(
        "drop table project_names, workflow_names, stuck_runs, meshhook_connection, classification_rules"
    )
    said = " ".join(warning.value for warning in opened(page).warning)
    assert "meshhook-errors migrate" in said or page == "history"  # which has all that it shows


def test_an_empty_dashboard_explains_how_to_send_the_first_error() -> None:
    page = opened("overview")
    assert "Nothing has gone wrong yet" in text_of(page)
    assert any("curl http://127.0.0.1:8080/api/error-events" in block.value for block in page.code)


def test_the_overview_shows_counts_rate_groups_and_latest_errors(connection: Connection) -> None:
    insert_many(connection, 140, over=timedelta(minutes=50))
    insert_report(connection, 400, 10)
    Tally(connection).tick()
    page = opened("overview")
    shown = figures(page)
    assert shown["Errors in range"] == "140"
    assert shown["Error rate"] == "2.50 %"
    assert shown["Open alerts"] == "0"
    assert "failure 3" in text_of(page)


def test_an_unknown_rate_is_called_unknown(connection: Connection) -> None:
    insert_error(connection)
    assert figures(opened("overview"))["Error rate"] == "unknown"


def test_the_address_carries_the_filters(connection: Connection) -> None:
    insert_many(connection, 90, over=timedelta(minutes=10))
    assert figures(opened("overview", severity="high", range="15m"))["Errors in range"] == "30"


def test_hostile_titles_are_shown_as_text(connection: Connection) -> None:
    insert_error(connection, title="<img src=x onerror=alert(1)>", fingerprint="<b>")
    page = opened("overview")
    assert "<img" not in text_of(page)
    assert "&lt;img" in text_of(page)


def test_a_link_with_what_cannot_occur_opens_all_the_same(connection: Connection) -> None:
    insert_many(connection, 9, over=timedelta(minutes=10))
    page = opened("overview", fingerprint="\0", error_type="a\0b", range="15m")
    assert figures(page)["Errors in range"] == "9"


def test_a_link_opens_one_error_whole(connection: Connection) -> None:
    error_id = insert_error(
        connection,
        metadata="""{"message": "boom", "tags": {"region": "eu"}, "exception": {"type": "KeyError", "value": "x"},
        "frames": [{"file": "/srv/app/a.py", "line": 7, "function": "handle", "in_app": true, "context_line": "d['x']"},
                   {"file": "/lib/b.py", "line": 1, "function": "call", "in_app": false}]}""",
    )
    page = opened("history", error_id=str(error_id))
    for expected in ("handle", "/srv/app/a.py:7", "d[&#x27;x&#x27;]", "region", "KeyError"):
        assert expected in text_of(page)
    assert "No error has this id" in opened("history", error_id="nonsense").info[0].value


@pytest.mark.parametrize("at", ["", "yesterday", "0001-01-01T00:00:00+14:00", "2019-02-03T04:05:06Z", "2026-11-24"])
def test_a_link_with_another_time_opens_the_error_all_the_same(connection: Connection, at: str) -> None:
    error_id = insert_error(connection, title="It broke")
    Mirror(connection, settings().lake_dir, max_rows=1000, max_lag_seconds=300).tick(everything=True)
    connection.execute("truncate error_metrics")
    page = opened("history", error_id=str(error_id), at=at)
    assert "It broke" in text_of(page)
    next(button for button in page.button if button.label == "Show the whole history").click().run()
    assert {"error_id", "at"}.isdisjoint(page.query_params)
    assert not page.exception


def test_an_error_is_looked_for_when_its_link_says_that_it_happened(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("analytics.pages.history.error_by_id", lambda _store, *of: asked.append(of))
    error_id = insert_error(connection)
    opened("history", error_id=str(error_id), at="2026-11-24T01:00:00+02:00")
    assert asked == [(error_id, datetime(2026, 11, 23, 23, tzinfo=UTC))]


def test_history_shows_the_linked_range_and_group(connection: Connection) -> None:
    insert_many(connection, 70)
    page = opened("history", fingerprint="1-3")
    assert len(page.dataframe[0].value) == 1
    assert len(page.dataframe[1].value) == 10


def test_history_says_what_it_was_read_from(connection: Connection) -> None:
    insert_many(connection, 70, over=timedelta(days=3))
    Mirror(connection, settings().lake_dir, max_rows=1000, max_lag_seconds=300).tick(everything=True)
    start, end = (now() - timedelta(days=30)).isoformat(), now().isoformat()
    said = opened("history", start=start, end=end).caption
    assert [caption.value for caption in said if "From hour rollups, complete to 20" in caption.value]


def test_a_rule_is_created_edited_switched_off_and_deleted(connection: Connection) -> None:
    insert_many(connection, 50)
    page = opened("thresholds")
    page.button[0].click().run()
    page.text_input(key="name_new").input("Too many").run()
    page.number_input(key="threshold_new").set_value(25.0).run()
    page.multiselect(key="source_new").select("worker").run()
    page.button(key="save_new").click().run()
    (view,) = list_rules(connection)
    assert (view.rule.name, view.rule.threshold, view.rule.scope.source) == ("Too many", 25.0, ("worker",))

    page.button(key=f"edit_{view.rule.id}").click().run()
    page.number_input(key=f"threshold_{view.rule.id}").set_value(30.0).run()
    page.button(key=f"save_{view.rule.id}").click().run()
    assert list_rules(connection)[0].rule.threshold == 30.0

    page.toggle(key=f"on_{view.rule.id}").set_value(False).run()
    assert list_rules(connection)[0].rule.enabled is False
    page.button(key=f"delete_{view.rule.id}").click().run()
    assert list_rules(connection) == []
    assert not page.exception


def test_a_rule_on_groups_has_a_threshold_of_its_own_and_a_preview(connection: Connection) -> None:
    insert_error(connection, fingerprint="1-new")
    Tally(connection).tick()
    page = opened("thresholds")
    page.button[0].click().run()
    page.text_input(key="name_new").input("Something new").run()
    page.number_input(key="threshold_new").set_value(25.0).run()
    page.selectbox(key="signal_new").select("new_groups").run()
    assert "would have fired once" in text_of(page)
    page.button(key="save_new").click().run()
    (view,) = list_rules(connection)
    assert (view.rule.signal, view.rule.threshold) == ("new_groups", 1.0)
    assert "New groups in the window ≥ 1 over 300 s" in text_of(page)
    assert not page.exception


def test_what_makes_no_sense_is_said_in_the_form(connection: Connection) -> None:
    page = opened("thresholds")
    page.button[0].click().run()
    assert not page.error
    assert "Give the rule a name to save it." in text_of(page)
    assert page.button(key="save_new").disabled
    page.text_input(key="name_new").input("Rate").run()
    page.selectbox(key="signal_new").select("error_rate_percent").run()
    page.number_input(key="threshold_new").set_value(150.0).run()
    assert "above 100" in page.error[0].value
    assert page.button(key="save_new").disabled


def test_a_channel_is_added_and_its_secret_not_shown(connection: Connection) -> None:
    page = opened("thresholds")
    page.text_input[0].input("team")
    page.text_input[1].input("https://hooks.example.com/services/very/secret")
    next(button for button in page.button if button.label == "Add channel").click().run()
    assert [channel.name for channel in list_channels(connection)] == ["team"]
    assert "very/secret" not in text_of(page)


def test_a_mail_channel_asks_for_addresses_and_refuses_what_is_none(connection: Connection) -> None:
    page = opened("thresholds")
    page.segmented_control[0].set_value("email").run()
    page.text_input[0].input("team")
    page.text_input[1].input("ann@example.com, nobody")
    next(button for button in page.button if button.label == "Add channel").click().run()
    assert "'nobody' is no mail address" in page.error[0].value
    assert page.text_input[0].value == "team"
    page.text_input[1].input("ann@example.com, bob@example.com")
    next(button for button in page.button if button.label == "Add channel").click().run()
    assert "MESHHOOK_ERRORS_SMTP_HOST" in page.toast[0].value
    assert page.text_input[0].value == ""
    assert [channel.settings for channel in list_channels(connection)] == [
        {"to": ["ann@example.com", "bob@example.com"]}
    ]


def test_connect_shows_each_project_its_dsn(connection: Connection) -> None:
    page = opened("connect")
    assert "No key of this project" in page.info[0].value
    page.button[0].click().run()
    shown = page.code[0].value
    (key,) = list_keys(connection)
    assert shown.startswith(f"http://{key.prefix}")
    assert shown.endswith("@127.0.0.1:8080/1")
    assert any("sentry_sdk.init" in block.value and shown in block.value for block in page.code)

    page.text_input[0].input("shop")
    next(button for button in page.button if button.label == "Create").click().run()
    page.selectbox(key="connect_project").select(2).run()
    assert page.code[0].value.endswith("@127.0.0.1:8080/2")
    assert list_keys(connection)[1].project_number == 2
    assert not page.exception


def test_errors_that_were_only_counted_are_shown_as_such(connection: Connection) -> None:
    error_id = insert_error(connection, metadata='{"counted": true}')
    connection.execute("update error_metrics set stands_for = 1400")
    assert "×1,400" in text_of(opened("overview"))
    page = opened("history", error_id=str(error_id))
    assert "These 1,400 errors were counted without details" in page.info[0].value
    assert "counted" not in text_of(page)
