"""What readers see while days are sealed under their eyes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from analytics.events import error_by_id
from analytics.exceptions import LakeChanged
from analytics.filters import Filters
from analytics.lake import list_parts
from analytics.latest import latest_errors
from analytics.queries import error_series, top_groups
from analytics.store import Store, asked_again
from ingest.database import Connection, connect
from jobs.mirror import Mirror
from tests.seeding import insert_error, insert_many, now

NOBODY = Filters()
DAYS = 12
ROWS = DAYS * 3 * 20


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path) -> Mirror:
    job = Mirror(connection, lake_dir, max_rows=100_000, max_lag_seconds=300)
    for _ in range(3):
        insert_many(connection, DAYS * 20, over=timedelta(days=DAYS))
        job.tick(everything=True)
    return job


def test_every_question_has_the_same_answer_while_days_are_sealed(mirror: Mirror, store: Store, lake_dir: Path) -> None:
    start, end = now() - timedelta(days=DAYS + 1), now() + timedelta(hours=1)
    oldest = latest_errors(store, start, end, NOBODY, ROWS)["error_id"].to_list()[-1]
    counted: list[tuple[int, int, int]] = []
    plain: list[tuple[int, int]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            assert error_by_id(store, UUID(oldest)) is not None
            counted.append(
                (
                    error_series(store, start, end, 3600, NOBODY)["errors"].sum(),
                    top_groups(store, start, end, NOBODY)["errors"].sum(),
                    latest_errors(store, start, end, NOBODY, ROWS + 1).height,
                )
            )

    def count() -> None:
        with duckdb.connect() as reader:
            while not done.is_set():
                try:
                    question = f"select count(*), count(distinct error_id) from '{lake_dir}/errors/**/*.parquet'"
                    plain.extend(reader.sql(question).fetchall())
                except duckdb.Error:
                    continue

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(ask), pool.submit(count)]
        try:
            for day in range(DAYS + 2):  # one after the other
                mirror.seal(now() - timedelta(days=DAYS - day))
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert len(list_parts(lake_dir, "errors").seals) >= DAYS
    assert set(counted) == {(ROWS, ROWS, ROWS)}
    assert set(plain) == {(ROWS, ROWS)}


def test_a_question_is_asked_again_when_its_files_are_gone(mirror: Mirror, store: Store) -> None:
    asked = 0

    @asked_again
    def question() -> int:
        nonlocal asked
        asked += 1
        paths = store.listing("errors").paths()
        if asked == 1:
            mirror.seal()
        statement = b"select count(*) as n from read_parquet($paths, hive_partitioning = false)"
        return int(store.read_lake(statement, {"paths": paths})["n"][0])

    assert question() == ROWS
    assert asked == 2


def test_a_question_whose_files_always_vanish_ends(store: Store, tmp_path: Path) -> None:
    @asked_again
    def question() -> None:
        paths = [str(tmp_path / "gone.parquet")]
        store.read_lake(b"select * from read_parquet($paths)", {"paths": paths})

    with pytest.raises(LakeChanged, match="Try again"):
        question()


def test_a_late_event_of_a_sealed_day_is_counted_before_and_after_it_is_published(
    mirror: Mirror, store: Store, connection: Connection, database_url: str
) -> None:
    mirror.seal()
    late = now() - timedelta(days=3)
    start, end = now() - timedelta(days=DAYS + 1), now() + timedelta(hours=1)

    def errors() -> int:
        return int(error_series(store, start, end, 3600, NOBODY)["errors"].sum())

    with connect(database_url, "late", autocommit=False) as session:
        insert_error(session, timestamp=late)
        assert errors() == ROWS
        session.commit()
        assert errors() == ROWS + 1
    mirror.tick(everything=True)
    assert errors() == ROWS + 1
    mirror.seal(now() + timedelta(days=2))
    assert errors() == ROWS + 1
