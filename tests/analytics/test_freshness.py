"""Counts are complete up to now, unless somebody holds rows back or nobody is there to take them."""

from datetime import datetime, timedelta

import pytest

from analytics.freshness import complete_to
from ingest.database import Connection
from jobs.heartbeat import forget_the_dead
from tests.seeding import now

API = """insert into components (component, instance, started_at, seen_at, detail)
values ('api', %(instance)s, now(), %(seen_at)s, jsonb_build_object('spooled_since', %(spooled_since)s::timestamptz))"""


def seen(connection: Connection, at: datetime, spooled_since: datetime | None = None, instance: str = "a") -> None:
    connection.execute(API, {"instance": instance, "seen_at": at, "spooled_since": spooled_since})


def test_without_any_api_yet_everything_is_known(connection: Connection) -> None:
    moment = now()
    assert complete_to(connection, moment) == moment


@pytest.mark.parametrize(
    ("seen_before", "spooled_before", "expected_before"),
    [
        pytest.param(0, None, 0, id="healthy"),
        pytest.param(0, 90, 90, id="rows-wait-in-a-spool"),
        pytest.param(120, None, 120, id="no-api-alive"),
        pytest.param(200_000, None, 200_000, id="no-api-alive-for-days"),
    ],
)
def test_it_is_complete_to(
    connection: Connection, seen_before: int, spooled_before: int | None, expected_before: int
) -> None:
    moment = now()
    spooled_since = None if spooled_before is None else moment - timedelta(seconds=spooled_before)
    seen(connection, moment - timedelta(seconds=seen_before), spooled_since)
    assert complete_to(connection, moment) == moment - timedelta(seconds=expected_before)


def test_an_api_that_was_removed_with_a_full_spool_is_not_waited_for_for_ever(connection: Connection) -> None:
    moment = now()
    removed = moment - timedelta(minutes=16)
    seen(connection, removed, removed - timedelta(minutes=1), "removed")
    seen(connection, moment)
    assert complete_to(connection, moment) == moment


def test_the_last_sign_of_an_api_is_kept(connection: Connection) -> None:
    moment = now()
    for days in (8, 9):
        seen(connection, moment - timedelta(days=days), instance=str(days))
    forget_the_dead(connection)
    assert complete_to(connection, moment) == moment - timedelta(days=8)
    assert connection.execute("select instance from components").fetchall() == [("8",)]
