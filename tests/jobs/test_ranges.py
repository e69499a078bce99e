"""What Postgres sends of a range is what stands in its rows, to the letter."""

import json

import polars as pl
import pytest

from analytics.lake import COLUMNS
from ingest.database import Connection
from jobs.ranges import RangeTooLarge, read_range
from tests.seeding import insert_many, insert_report

EVERYTHING = (0, 2**62)
TEXTS = (
    "",
    " ",
    r"\N",
    r"\\N",
    "\\",
    r"\\",
    r"\n is no newline",
    "a\nnewline",
    "a\ttab",
    "\r\n\b\f\v",
    'a "quote", a comma; and \\"both\\"',
    r"C:\new\table\report",
    "null",
    "\N{SNOWMAN} \N{GRINNING FACE} \\\N{SNOWMAN}",
)
INSERT = (
    'insert into error_metrics (error_id, "timestamp", source, error_type, severity, title, fingerprint, metadata)'
    " values (gen_random_uuid(), now(), 'worker', %s, 'low', %s, %s, %s)"
)


@pytest.mark.parametrize("chunk_bytes", [1, 500, 16_000_000])
def test_every_text_arrives_as_it_is_however_the_range_is_divided(connection: Connection, chunk_bytes: int) -> None:
    for number, text in enumerate(TEXTS):
        connection.execute(INSERT, (f"type-{number}", text, f"{text}!", json.dumps({"said": text, text: [text]})))
    frame = read_range(connection, "errors", *EVERYTHING, chunk_bytes=chunk_bytes)
    assert frame.schema == COLUMNS["errors"]
    read = {row["error_type"]: row for row in frame.to_dicts()}
    for number, text in enumerate(TEXTS):
        row = read[f"type-{number}"]
        assert (row["title"], row["fingerprint"]) == (text, f"{text}!")
        assert json.loads(row["metadata"]) == {"said": text, text: [text]}
    assert frame["run_id"].null_count() == len(TEXTS)


def test_a_range_is_the_same_however_it_is_divided(connection: Connection) -> None:
    insert_many(connection, 500)
    insert_report(connection, 10, 2)
    whole = read_range(connection, "errors", *EVERYTHING)
    assert whole.height == 500
    assert whole["timestamp"].is_sorted()
    assert read_range(connection, "errors", *EVERYTHING, chunk_bytes=3_000).equals(whole)
    assert read_range(connection, "executions", *EVERYTHING).select("finished", "failed").rows() == [(10, 2)]


def test_moments_arrive_with_their_microseconds(connection: Connection) -> None:
    insert_many(connection, 50)
    told = connection.execute('select "timestamp", received_at from error_metrics order by "timestamp", error_id')
    frame = read_range(connection, "errors", *EVERYTHING)
    assert frame.select("timestamp", "received_at").rows() == told.fetchall()


def test_a_range_without_rows_and_one_that_is_too_large(connection: Connection) -> None:
    empty = read_range(connection, "errors", *EVERYTHING)
    assert (empty.height, empty.schema) == (0, pl.Schema(COLUMNS["errors"]))
    insert_many(connection, 50)
    with pytest.raises(RangeTooLarge):
        read_range(connection, "errors", *EVERYTHING, most_bytes=1_000, chunk_bytes=100)
    assert read_range(connection, "errors", *EVERYTHING).height == 50
