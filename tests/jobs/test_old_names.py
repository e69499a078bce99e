"""Right after a day was exchanged the names of what was replaced still stand, empty: who had listed them and looks each
up before it is opened, as DuckDB does, meets an error and not nothing."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from analytics.filters import Filters
from analytics.lake import Seal, list_parts
from analytics.queries import error_series
from analytics.sandbox.question import Question
from analytics.store import Store
from ingest.database import Connection
from jobs.backup.lake_files import LakeCopy
from jobs.mirror import Mirror
from jobs.verify import verify
from tests.jobs.test_sealing import YESTERDAY, assert_equal, day_of, lake_rows, names, publish


def test_who_looks_up_the_old_names_after_the_exchange_is_refused_and_who_lists_ours_is_not(
    connection: Connection, lake_dir: Path
) -> None:
    seen: list[list[int]] = []

    def look(reached: str) -> None:
        if reached == "old put aside":
            sizes = [path.stat().st_size for path in day_of(lake_dir, YESTERDAY).iterdir()]
            assert list_parts(lake_dir, "errors").days() == [YESTERDAY.date()]
            (file,) = list_parts(lake_dir, "errors").files
            assert file.path.stat().st_size == max(sizes)
            with pytest.raises(duckdb.Error):
                lake_rows(lake_dir)
            seen.append(sorted(sizes))

    mirror = Mirror(connection, lake_dir, max_rows=1, max_lag_seconds=300, step=look)
    publish(connection, mirror, YESTERDAY, YESTERDAY)
    publish(connection, mirror, YESTERDAY)
    before = names(day_of(lake_dir, YESTERDAY))
    mirror.seal()
    assert [sizes[:-1] for sizes in seen] == [[0] * len(before)]
    assert names(day_of(lake_dir, YESTERDAY)) == ["sealed"]
    assert lake_rows(lake_dir) == 3


def test_our_own_readers_that_listed_before_an_exchange_list_again(
    connection: Connection, lake_dir: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []

    def listed_before(module: str) -> None:
        known = {"errors": before}
        monkeypatch.setattr(
            f"{module}.list_parts", lambda at, dataset: known.pop(dataset, None) or list_parts(at, dataset)
        )

    def look(reached: str) -> None:
        if reached == "old put aside":
            for module in ("analytics.store", "analytics.sandbox.views", "jobs.backup.lake_files"):
                listed_before(module)
            minute = timedelta(minutes=1)
            found.append(
                error_series(store, YESTERDAY - minute, YESTERDAY + minute, 10, Filters(), None)["errors"].sum()
            )
            found.append(Question(lake_dir, "select count(*) from errors").answer().frame.item())
            copied = LakeCopy(lake_dir, tmp_path / "backup").catch_up()[1]
            found.append([name for name in copied if name.startswith("errors/")])

    mirror = Mirror(connection, lake_dir, max_rows=1, max_lag_seconds=300, step=look)
    publish(connection, mirror, YESTERDAY, YESTERDAY)
    publish(connection, mirror, YESTERDAY)
    before = list_parts(lake_dir, "errors")
    mirror.seal()
    (seal,) = list_parts(lake_dir, "errors").seals
    assert found == [3, 3, [str(seal.path.relative_to(lake_dir))]]


@pytest.mark.parametrize("token", ["0" * 16, "f" * 16])
def test_the_next_mirror_removes_the_empty_files_of_one_that_died(
    connection: Connection, lake_dir: Path, token: str
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    publish(connection, mirror, YESTERDAY)
    mirror.seal()
    (seal,) = list_parts(lake_dir, "errors").seals
    left = seal.path.with_name(Seal.name(seal.start, seal.end, token))  # of a day that was rewritten as it was
    left.touch()
    assert list_parts(lake_dir, "errors").seals == (seal,)
    (problem,) = verify(connection, lake_dir).problems
    assert f"{left} is empty" in problem
    connection.execute("select pg_advisory_unlock_all()")
    Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300).tick()
    assert not left.exists()
    assert_equal(connection, lake_dir)
