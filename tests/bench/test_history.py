"""The history that the bench measures is a lake like any other."""

from datetime import date
from pathlib import Path

import duckdb

from analytics.lake import DATASETS, Seal, list_parts
from jobs.contents import open_reader, read_contents
from jobs.rollup_checks import missing_rollups, rollup_problems
from tests.bench.history import make_history


def test_a_made_history_is_a_sealed_lake_with_as_many_errors_as_it_says_and_sound_rollups(tmp_path: Path) -> None:
    made = make_history(tmp_path / "lake", 3_000, days=3, last=date(2026, 11, 20))
    with open_reader() as reader:
        for dataset in DATASETS:
            listing = list_parts(made.lake_dir, dataset)
            assert len(listing.seals) == 3 and not listing.parts and not listing.superseded
            for file in listing.files:
                assert isinstance(file, Seal)
                assert read_contents(reader, dataset, [file.path]).lie_in(file)
            assert missing_rollups(made.lake_dir, dataset, listing) == 0
            assert list(rollup_problems(reader, made.lake_dir, dataset, listing.files)) == []
    counted, ids, failed = duckdb.sql(
        f"select (select count(*) from '{made.lake_dir}/errors/**/*.parquet'),"
        f" (select count(distinct error_id) from '{made.lake_dir}/errors/**/*.parquet'),"
        f" (select sum(failed) from '{made.lake_dir}/executions/**/*.parquet')"
    ).fetchall()[0]
    assert counted == ids == failed == made.rows


def test_the_same_seed_makes_the_same_history(tmp_path: Path) -> None:
    ids = []
    for name, seed in (("one", 6), ("again", 6), ("other", 7)):
        made = make_history(tmp_path / name, 500, days=1, last=date(2026, 11, 20), seed=seed)
        with open_reader() as reader:
            paths = [file.path for file in list_parts(made.lake_dir, "errors").files]
            ids.append(read_contents(reader, "errors", paths).ids)
    assert ids[0] == ids[1] != ids[2]
