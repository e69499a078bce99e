"""Questions in SQL, the catalogue and exports while days are sealed."""

import threading
from datetime import timedelta
from pathlib import Path

import duckdb

from analytics.catalog import NAME, refresh_catalog
from analytics.filters import Filters
from analytics.sandbox.question import Limits, Question
from analytics.slices import rows_of
from analytics.store import Store
from ingest.database import Connection
from jobs.mirror import Mirror
from tests.seeding import insert_many

_COUNTED = "select count(*) as n, count(distinct error_id) as ids from errors"


def test_questions_and_exports_have_each_row_once_while_days_are_sealed(
    connection: Connection, database_url: str, lake_dir: Path
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    for _ in range(5):
        insert_many(connection, 100, over=timedelta(days=4))
        mirror.tick(everything=True)
    insert_many(connection, 7, over=timedelta(days=4))
    refresh_catalog(lake_dir)
    counts: list[tuple[int, int]] = []
    begun, sealed = threading.Event(), threading.Event()

    def ask() -> None:
        while not sealed.is_set():
            counts.append(Question(lake_dir, _COUNTED, Limits()).answer().frame.row(0))
            begun.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(60)
    mirror.seal()
    sealed.set()
    asking.join()
    assert set(counts) == {(500, 500)}
    assert list(lake_dir.glob("errors/*/sealed-*"))
    assert Question(lake_dir, _COUNTED, Limits()).answer().frame.row(0) == (500, 500)
    with duckdb.connect(lake_dir / NAME, read_only=True) as catalogue:
        assert catalogue.execute(_COUNTED).fetchone() == (500, 500)
    store = Store(database_url, lake_dir)
    assert sum(frame.height for frame in rows_of(store, "errors", Filters())) == 507
    store.close()
