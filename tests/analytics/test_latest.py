"""The newest errors and single ones: the same as reading everything, by reading little."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.events import error_by_id
from analytics.filters import Filters
from analytics.latest import latest_errors
from analytics.store import Store
from ingest.database import Connection
from ingest.uuid7 import uuid7
from jobs.mirror import Mirror
from tests.seeding import ERROR, insert_error, insert_many, now

DAYS = 8
MIDNIGHT = datetime.combine(now().date(), datetime.min.time(), tzinfo=UTC)
START = MIDNIGHT - timedelta(days=DAYS)
RARE = Filters(fingerprint=("own/rare",))


@pytest.fixture
def filled(connection: Connection, lake_dir: Path) -> Connection:
    """Errors of eight days, most days sealed, a rare group on two old ones, the newest not in the lake yet."""
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    for turn in range(2):
        insert_many(connection, 120, over=timedelta(days=DAYS))
        for days in (5, 5, 7):  # two at the very same time
            insert_error(connection, timestamp=MIDNIGHT - timedelta(days=days, hours=turn), fingerprint="own/rare")
        mirror.tick(everything=True)
        if turn == 0:
            mirror.seal(now() - timedelta(days=2))
    insert_many(connection, 30, over=timedelta(days=DAYS))
    return connection


def all_errors(connection: Connection) -> list[dict[str, Any]]:
    cursor = connection.execute('select error_id::text, "timestamp", severity::text, fingerprint from error_metrics')
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return sorted(rows, key=lambda row: (row["timestamp"], row["error_id"]), reverse=True)


def test_the_newest_errors_are_those_that_everything_has(
    filled: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.latest._COUNTED_AT_ONCE", 3)
    everything = all_errors(filled)
    rare = [index for index, row in enumerate(everything) if row["fingerprint"] == "own/rare"]
    moments = st.integers(0, (DAYS + 1) * 86_400).map(lambda seconds: START + timedelta(seconds=seconds))
    filters = st.sampled_from([Filters(), RARE, Filters(severity=("high",)), Filters(fingerprint=("nobody",))])

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        moments,
        moments,
        filters,
        st.integers(1, 60),
        st.one_of(st.none(), st.sampled_from(rare), st.integers(0, len(everything) - 1)),
    )
    def check(start: datetime, end: datetime, filters: Filters, limit: int, cursor: int | None) -> None:
        start, end = min(start, end), max(start, end) + timedelta(seconds=1)
        last = None if cursor is None else everything[cursor]
        before = None if last is None else (last["timestamp"], UUID(last["error_id"]))
        found = latest_errors(store, start, end, filters, limit, before=before)
        active = filters.active()
        wanted = [
            row["error_id"]
            for row in everything
            if start <= row["timestamp"] < end
            and (last is None or (row["timestamp"], row["error_id"]) < (last["timestamp"], last["error_id"]))
            and all(row[name] in values for name, values in active.items())
        ]
        assert found["error_id"].to_list() == wanted[:limit]

    check()


def test_a_page_goes_on_amid_errors_of_the_same_instant(filled: Connection, store: Store) -> None:
    seen: list[str] = []
    before = None
    while (page := latest_errors(store, START, now(), RARE, 1, before=before)).height:
        seen.append(page["error_id"][0])
        before = (page["timestamp"][0], UUID(page["error_id"][0]))
    assert seen == [row["error_id"] for row in all_errors(filled) if row["fingerprint"] == "own/rare"]


def test_days_without_such_errors_are_not_read(
    filled: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    read_lake = Store.read_lake

    def noted(self: Store, statement: bytes, values: dict[str, Any]) -> Any:
        if b"newest errors" in statement or b"error_id <" in statement:
            read.update(Path(path).parent.name for path in values.get("paths", ()))
        return read_lake(self, statement, values)

    monkeypatch.setattr(Store, "read_lake", noted)
    found = latest_errors(store, START, now(), RARE, 50)
    assert found.height == 6
    old = {name for name in read if name < f"day={(MIDNIGHT - timedelta(days=3)).date()}"}
    assert old == {f"day={stamp.date()}" for stamp in found["timestamp"]}


@pytest.mark.parametrize("days_apart", [0, 5])
def test_an_error_is_found_by_its_id_wherever_the_ids_time_points(
    connection: Connection, lake_dir: Path, store: Store, days_apart: int
) -> None:
    happened = now() - timedelta(days=6)
    beyond_time = f"ffffffff-ffff-7fff-8fff-{uuid4().hex[:12]}"
    ids = [uuid7(happened + timedelta(days=days_apart)), str(uuid4()), beyond_time]
    for error_id in ids:
        values = {"error_id": error_id, "timestamp": happened, "source": "worker", "error_type": "execution"}
        values |= {"severity": "low", "workflow_id": None, "metadata": "{}", "project_id": None}
        connection.execute(ERROR, {**values, "title": error_id, "fingerprint": "1-a"})
    insert_many(connection, 100, over=timedelta(days=DAYS))
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    mirror.tick(everything=True)
    mirror.seal()
    connection.execute("truncate error_metrics")
    for error_id in ids:
        found = error_by_id(store, UUID(error_id))
        assert found is not None
        assert found["title"] == error_id
    assert error_by_id(store, UUID(uuid7(happened))) is None


def test_an_id_that_tells_no_time_is_looked_for_in_the_day_that_is_known(
    filled: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = next(row for row in all_errors(filled) if row["timestamp"] < MIDNIGHT - timedelta(days=3))
    assert UUID(chosen["error_id"]).version == 4
    filled.execute("truncate error_metrics")
    read: list[str] = []
    read_lake = Store.read_lake

    def noted(self: Store, statement: bytes, values: dict[str, Any]) -> Any:
        read.extend(Path(path).parent.name for path in values["paths"])
        return read_lake(self, statement, values)

    monkeypatch.setattr(Store, "read_lake", noted)
    found = error_by_id(store, UUID(chosen["error_id"]), chosen["timestamp"])
    assert found is not None
    assert found["timestamp"] == chosen["timestamp"]
    assert {*read} == {f"day={chosen['timestamp'].date()}"}


def test_an_id_of_the_last_day_that_there_is_is_nowhere(filled: Connection, store: Store) -> None:
    assert filled
    assert error_by_id(store, UUID(uuid7(datetime.max.replace(tzinfo=UTC)))) is None
