"""Counts are complete up to now, unless somebody holds rows back or nobody is there to take them."""

from datetime import timedelta

import pytest

from analytics.freshness import complete_to
from ingest.database import Connection
from tests.seeding import now

API = """insert into components (component, instance, started_at, seen_at, detail)
values ('api', 'a', now(), %(seen_at)s, jsonb_build_object('spooled_since', %(spooled_since)s::timestamptz))"""


def test_without_any_api_yet_everything_is_known(connection: Connection) -> None:
    moment = now()
    assert complete_to(connection, moment) == moment


@pytest.mark.parametrize(
    ("seen_before", "spooled_before", "expected_before"),
    [
        pytest.param(0, None, 0, id="healthy"),
        pytest.param(0, 90, 90, id="rows-wait-in-a-spool"),
        pytest.param(120, None, 120, id="no-api-alive"),
    ],
)
def test_it_is_complete_to(
    connection: Connection, seen_before: int, spooled_before: int | None, expected_before: int
) -> None:
    moment = now()
    spooled_since = None if spooled_before is None else moment - timedelta(seconds=spooled_before)
    connection.execute(API, {"seen_at": moment - timedelta(seconds=seen_before), "spooled_since": spooled_since})
    assert complete_to(connection, moment) == moment - timedelta(seconds=expected_before)
