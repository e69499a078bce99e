"""Groups as readers see them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics.filters import Filters
from analytics.queries import top_groups
from analytics.store import Store
from ingest.database import Connection
from tests.seeding import insert_error


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("createContact: HTTP 502 (try 2 of 5)", "createContact: HTTP 502"),
        ("createContact: HTTP 502 (5 of 5 tries)", "createContact: HTTP 502"),
        ("createContact: HTTP 502 (5 of 5 tries, again)", "createContact: HTTP 502"),
        ("(try 2 of 5) isn't the end", "(try 2 of 5) isn't the end"),
    ],
)
def test_a_groups_title_speaks_of_no_single_try(
    connection: Connection, database_url: str, lake_dir: Path, title: str, shown: str
) -> None:
    insert_error(connection, title=title)
    store = Store(database_url, lake_dir)
    try:
        now = datetime.now(UTC)
        groups = top_groups(store, now - timedelta(hours=1), now + timedelta(seconds=10), Filters())
        assert groups["title"].to_list() == [shown]
    finally:
        store.close()
