"""Housekeeping: what is dropped stands in the lake, and nobody waits for it for long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from analytics.events import error_by_id
from analytics.lake import Part, list_parts
from analytics.store import Store
from ingest.database import Connection, connect, partition_name
from jobs.housekeeping import keep_house
from jobs.mirror import Mirror
from jobs.tally import Tally
from tests.seeding import insert_error, now

TODAY = datetime.now(UTC).date()
LATER = TODAY + timedelta(days=10)
OLD = partition_name("error_metrics", TODAY)


def keep(connection: Connection, lake_dir: Path) -> list[str]:
    return keep_house(connection, lake_dir, LATER, postgres_days=7, counts_days=14)


def publish(connection: Connection, lake_dir: Path) -> None:
    Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300).tick(everything=True)


@pytest.fixture
def folded(connection: Connection) -> Connection:
    insert_error(connection)
    Tally(connection).tick()
    return connection


def test_an_old_day_is_dropped_once_it_is_published(folded: Connection, lake_dir: Path) -> None:
    assert OLD not in keep(folded, lake_dir)
    publish(folded, lake_dir)
    assert OLD in keep(folded, lake_dir)


def test_a_long_read_delays_a_drop_not_the_writers(folded: Connection, database_url: str, lake_dir: Path) -> None:
    publish(folded, lake_dir)
    with connect(database_url, "reader", autocommit=False) as reader:
        reader.execute("select count(*) from error_metrics")
        folded.execute("set statement_timeout = '20s'")  # rather than hang where it waits for the reader
        assert OLD not in keep(folded, lake_dir)
        insert_error(folded)
    Tally(folded).tick()
    publish(folded, lake_dir)
    assert OLD in keep(folded, lake_dir)


def test_another_database_s_lake_is_no_reason_to_drop(folded: Connection, lake_dir: Path) -> None:
    """LAKE_URL points elsewhere: what stands there says nothing of the rows here."""
    publish(folded, lake_dir / "ours")
    insert_error(folded, timestamp=now())
    Tally(folded).tick()
    part = list_parts(lake_dir / "ours", "errors").parts[0]
    theirs = lake_dir / "theirs" / "errors" / part.path.parent.name
    theirs.mkdir(parents=True)
    (theirs / Part.name(0, part.end + 1_000_000, 1, 1)).write_bytes(part.path.read_bytes())
    assert OLD not in keep(folded, lake_dir / "theirs")


def test_ids_are_known_for_as_long_as_their_rows_are_kept(
    folded: Connection, database_url: str, lake_dir: Path
) -> None:
    """An unpublished day stays: its errors can be read by id, and a resend is a duplicate."""
    store = Store(database_url, lake_dir)
    known = folded.execute("select error_id from error_ids").fetchone()
    assert known is not None
    keep(folded, lake_dir)
    assert error_by_id(store, known[0]) is not None
    publish(folded, lake_dir)
    keep(folded, lake_dir)
    assert folded.execute("select count(*) from error_ids").fetchone() == (0,)
    assert error_by_id(store, known[0]) is not None
    store.close()


def test_a_day_of_which_the_lake_holds_other_rows_is_not_dropped(folded: Connection, lake_dir: Path) -> None:
    """The watermark alone would let it go: a file that was put back from elsewhere has another error in it."""
    publish(folded, lake_dir)
    path = list_parts(lake_dir, "errors").parts[0].path
    rows = pl.read_parquet(path, hive_partitioning=False)
    rows.with_columns(error_id=pl.lit(str(uuid4()))).write_parquet(path)
    assert OLD not in keep(folded, lake_dir)
    rows.write_parquet(path)
    Tally(folded).tick()
    publish(folded, lake_dir)  # the error that tells of it came on the same day
    assert OLD in keep(folded, lake_dir)


def test_a_day_whose_file_can_t_be_read_is_not_dropped(folded: Connection, lake_dir: Path) -> None:
    publish(folded, lake_dir)
    list_parts(lake_dir, "errors").parts[0].path.write_bytes(b"PAR1")
    assert OLD not in keep(folded, lake_dir)


def own_failures(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "select severity::text, error_type, title, metadata->>'message' from error_metrics where source = 'system'"
    ).fetchall()


def test_a_drop_that_is_refused_is_an_error_of_the_system_once_a_day_until_it_is_mended(
    folded: Connection, lake_dir: Path
) -> None:
    publish(folded, lake_dir)
    assert own_failures(folded) == []
    list_parts(lake_dir, "errors").parts[0].path.write_bytes(b"PAR1")
    for _ in range(2):
        assert OLD not in keep(folded, lake_dir)
        ((severity, error_type, title, message),) = own_failures(folded)
        Tally(folded).tick()
        publish(folded, lake_dir)  # it came on the same day, and is no reason of its own to keep the partition
    assert (severity, error_type) == ("high", "system")
    for told in (OLD, str(TODAY), "`meshhook-errors verify --days`", "`meshhook-errors verify --mend`"):
        assert told in str(title) and told in str(message)
    assert "can't be read" in str(message)
    keep_house(folded, lake_dir, LATER + timedelta(days=1), postgres_days=7, counts_days=14)
    assert len(own_failures(folded)) == 2

    Tally(folded).tick()
    counted = folded.execute("select sum(errors) from error_counts where source = 'system' and severity = 'high'")
    assert counted.fetchone() == (2,)  # what alert rules look at
    mirror = Mirror(folded, lake_dir, max_rows=1000, max_lag_seconds=300)
    mirror.tick(everything=True)
    mirror.mend(7)
    assert OLD in keep(folded, lake_dir)
    assert folded.execute("select count(*) from error_ids").fetchone() == (0,)


def test_housekeeping_goes_on_where_its_failure_can_t_be_kept(folded: Connection, lake_dir: Path) -> None:
    publish(folded, lake_dir)
    list_parts(lake_dir, "errors").parts[0].path.write_bytes(b"PAR1")
    folded.execute("alter table error_metrics add constraint none_of_ours check (source <> 'system')")
    assert OLD not in keep_house(folded, lake_dir, LATER, postgres_days=7, counts_days=1)
    assert own_failures(folded) == []
    assert folded.execute("select count(*) from error_counts").fetchone() == (0,)
