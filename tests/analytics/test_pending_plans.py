"""What isn't counted yet is looked for by transaction, never by reading all that Postgres holds.

Postgres can't know that the tally's watermark is near the end of the table. One inequality against a value that it
doesn't know counts as a third of all rows; where these don't lie in the order of their ids, as after a restore, it
reads the table from one end to the other, at every look at a page. Two inequalities, as a range, count as little. So
each such statement says that ids are at most the highest that there is.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from analytics import groups, queries
from ingest.database import Connection
from ingest.statements import filled
from tests.seeding import insert_many, now

VALUES = {
    "start": now() - timedelta(hours=6),
    "end": now() + timedelta(hours=1),
    "since": now() - timedelta(days=7),
    "interval": 60,
    "limit": 10,
    "fingerprints": [f"1-{number}" for number in range(50)],
    "heads": ["1-1"],
    "assignee": None,
    "text": "",
}
SLOTS = {"filters": "", "group": "null::text", "columns": "source, severity"}
STATEMENTS = {
    "live_errors": filled(queries._SQL["live_errors"], **SLOTS),
    "live_groups": filled(queries._SQL["live_groups"], filters=""),
    "group_titles": queries._SQL["group_titles"],
    "known_values": queries._SQL["known_values"],
    "candidates": filled(groups._SQL["candidates"], filters=""),
    "described": groups._SQL["described"],
}


@pytest.fixture
def counted(connection: Connection) -> Connection:
    """A hundred thousand errors, in no order, all of them counted long since."""
    insert_many(connection, 100_000, over=timedelta(hours=5))
    connection.execute("update error_metrics set xact_id = (random() * 1e6)::bigint::text::xid8")
    connection.execute(
        "insert into tally_watermark (xact_id, system_identifier)"
        " select max(xact_id::text::bigint + 1)::text::xid8, 'x' from error_metrics"
    )
    connection.execute("vacuum (full, analyze) error_metrics")
    return connection


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node that reads a table or an index."""
    if "Relation Name" in node or "Index Name" in node:
        yield node
    for inner in node.get("Plans", ()):
        yield from scans(inner)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_what_is_pending_is_expected_to_be_little(counted: Connection, name: str) -> None:
    row = counted.execute(b"explain (analyze, format json) " + STATEMENTS[name], VALUES).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    found = [
        node
        for node in scans(plan[0]["Plan"])
        if "error_metrics" in node.get("Relation Name", node.get("Index Name", ""))
    ]
    assert found
    assert [node for node in found if node["Plan Rows"] > 2_000 or node["Actual Rows"] > 0] == []
