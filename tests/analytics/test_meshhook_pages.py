"""Stuck runs, and how the connection to MeshHook is doing, as the pages show it."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from analytics.pages.tables import in_words
from ingest.database import Connection
from tests.analytics.meshhook_rows import (
    connect_meshhook,
    name_workflow,
    note_stuck,
    put_into_the_inbox,
)
from tests.analytics.opening import opened, text_of
from tests.seeding import insert_error, now

pytestmark = pytest.mark.usefixtures("configured")
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture(autouse=True)
def an_error(connection: Connection) -> None:
    insert_error(connection)


def stuck_rows(said: str) -> list[str]:
    """The rows of the section's table."""
    table = re.search(r"<table[^>]*><tr><th>Workflow</th><th>Node.*?</table>", said)
    return re.findall(r"<tr class=.*?</tr>", table[0]) if table else []


def test_stuck_runs_are_listed_with_reason_and_error(connection: Connection) -> None:
    workflow = name_workflow(connection, "lead-intake", 3)
    error_id = note_stuck(connection, workflow_id=workflow, node="notify <b>", since=14 * MINUTE)
    note_stuck(connection, reason="too_long", node=None, since=190 * MINUTE)
    page = opened("overview")
    assert "Stuck runs · 2" in [heading.value for heading in page.subheader]
    first, second = stuck_rows(text_of(page))
    assert f'<a href="/history?error_id={error_id}" target="_self">lead-intake v3</a>' in first
    for expected in ("notify &lt;b&gt;", "its last step failed for good and nothing followed", ">for 14 min<"):
        assert expected in first
    for expected in ("A run", "runs far longer than usual", ">for 3 h 10 min<"):
        assert expected in second


def test_a_run_that_moved_again_is_dimmed(connection: Connection) -> None:
    note_stuck(connection)
    note_stuck(connection, since=20 * MINUTE, moved=8 * MINUTE)
    page = opened("overview")
    still, moved = stuck_rows(text_of(page))
    assert still.startswith('<tr class="">')
    assert moved.startswith('<tr class="mh-dim">')
    assert ">moved again after 12 min<" in moved
    assert "Stuck runs · 1" in [heading.value for heading in page.subheader]
    assert ">Runs</th>" not in text_of(page)  # each is the only one of its kind


def test_without_a_run_that_stands_still_there_is_no_section(connection: Connection) -> None:
    note_stuck(connection, moved=MINUTE)
    note_stuck(connection, since=25 * HOUR)
    page = opened("overview")
    assert "Stuck runs" not in text_of(page)
    assert stuck_rows(text_of(page)) == []


def test_of_many_stuck_runs_the_newest_are_shown(connection: Connection) -> None:
    for age in range(10):
        note_stuck(connection, since=(age + 1) * MINUTE, node=f"node-{age}")
    page = opened("overview")
    assert "Stuck runs · 10" in [heading.value for heading in page.subheader]
    rows = stuck_rows(text_of(page))
    assert len(rows) == 6
    assert "node-0" in rows[0]
    assert "The newest 6 are shown." in text_of(page)


def test_runs_that_are_alike_are_a_row_and_counted(connection: Connection) -> None:
    for age in (15, 14, 16):
        note_stuck(connection, since=age * MINUTE)
    assert ">Runs</th>" in text_of(opened("overview"))
    (row,) = stuck_rows(text_of(opened("overview")))
    assert '<td class="num">3</td>' in row
    assert ">newest for 14 min<" in row
    connection.execute("update stuck_runs set moved_at = since + interval '12 minutes'")
    note_stuck(connection, node="another")
    another, moved = stuck_rows(text_of(opened("overview")))
    assert '<td class="num">1</td>' in another
    assert ">for 14 min<" in another
    assert ">newest moved after 12 min<" in moved


def test_the_filters_narrow_stuck_runs(connection: Connection) -> None:
    workflow = uuid4()
    note_stuck(connection, workflow_id=workflow, node="mine")
    note_stuck(connection, node="theirs")
    (row,) = stuck_rows(text_of(opened("overview", workflow_id=str(workflow))))
    assert "mine" in row


@pytest.mark.parametrize("is_known", [False, True], ids=["never", "no-longer"])
def test_connect_tells_how_to_connect_a_meshhook(connection: Connection, is_known: bool) -> None:
    if is_known:
        connect_meshhook(connection, disconnected_at=now() - HOUR)
    page = opened("connect")
    assert "MeshHook" in [heading.value for heading in page.subheader]
    assert "Not connected" in text_of(page)
    assert "meshhook-errors connect-meshhook" in [block.value for block in page.code]
    assert "Nothing changes in MeshHook's code" in text_of(page)
    assert ("It was connected until" in text_of(page)) is is_known
    assert not page.warning


def test_connect_tells_how_the_connection_is_doing(connection: Connection) -> None:
    connect_meshhook(connection, read_at=now() - 2 * SECOND, misses=3, recovered=3)
    for age in (1, 12):
        put_into_the_inbox(connection, now() - age * SECOND)
    page = opened("connect")
    said = text_of(page)
    assert ":green-badge[Connected]" in said
    for expected in (
        ", for 3 days</dd>",
        r"<dt>Event log</dt><dd>read [2-9] s ago</dd>",
        r"<dt>Inbox</dt><dd>2 failures, the oldest waits for 1[2-9] s</dd>",
        "3 failures weren&#x27;t captured by the triggers, 3 of them were recovered from the event log",
    ):
        assert re.search(expected, said), expected
    assert not page.warning
    assert "meshhook-errors connect-meshhook" not in [block.value for block in page.code]


@pytest.mark.parametrize(
    ("misses", "recovered", "expected"),
    [
        (0, 0, "captured every failure"),
        (0, 4, "4 failures weren&#x27;t captured by the triggers, 4 of them were recovered"),
        (1, 0, "1 failure wasn&#x27;t captured by the triggers and isn&#x27;t recovered from the event log yet"),
        (1, 1, "1 failure wasn&#x27;t captured by the triggers; it was recovered from the event log"),
        (3, 1, "3 failures weren&#x27;t captured by the triggers, 1 of them was recovered"),
    ],
)
def test_connect_tells_what_the_triggers_missed(
    connection: Connection, misses: int, recovered: int, expected: str
) -> None:
    connect_meshhook(connection, read_at=now(), misses=misses, recovered=recovered)
    page = opened("connect")
    assert expected in text_of(page)
    assert len(page.warning) == (misses > recovered)


def test_connect_warns_when_nobody_reads_the_event_log(connection: Connection) -> None:
    connect_meshhook(connection, read_at=now() - 33 * SECOND)
    page = opened("connect")
    assert ":orange-badge[Needs a look]" in text_of(page)
    assert re.search(r"event log was last read 3[3-9] s ago", page.warning[0].value)


@pytest.mark.parametrize(
    ("read_ago", "misses", "expected"),
    [
        pytest.param(45, 2, None, id="well"),
        pytest.param(190, 2, "event log was last read 3 min ago", id="nobody-reads"),
        pytest.param(1, 3, "1 of MeshHook&#x27;s failures wasn&#x27;t captured and isn&#x27;t recovered", id="lost"),
    ],
)
@pytest.mark.parametrize("has_errors", [True, False], ids=["with-data", "empty"])
def test_the_overview_warns_when_failures_of_meshhook_may_be_missing(
    connection: Connection, read_ago: int, misses: int, expected: str | None, has_errors: bool
) -> None:
    if not has_errors:
        connection.execute("delete from error_metrics")
    connect_meshhook(connection, read_at=now() - read_ago * SECOND, misses=misses, recovered=2)
    said = text_of(opened("overview"))
    assert ('class="mh-warning"' in said) is (expected is not None)
    assert (expected or "") in said
    assert ('href="/connect"' in said) is (expected is not None)


@pytest.mark.parametrize("is_known", [False, True], ids=["never", "no-longer"])
def test_the_overview_warns_of_nothing_that_is_not_connected(connection: Connection, is_known: bool) -> None:
    if is_known:
        connect_meshhook(connection, disconnected_at=now() - HOUR, read_at=now() - HOUR, misses=2)
    assert "mh-warning" not in text_of(opened("overview"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (11_400, "3 h 10 min"),
        (86_400, "1 day"),
        (200_000, "2 days"),
    ],
)
def test_a_length_of_time_reads_well(seconds: int, words: str) -> None:
    assert in_words(seconds * SECOND) == words
