"""Rollups are written beside the files, checked, and made again."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import polars as pl
import pytest
from typer.testing import CliRunner

from analytics.filters import Filters
from analytics.lake import Seal, list_parts
from analytics.queries import error_series, read_series
from analytics.rollups import DERIVED, GRAINS, Grain, list_rollups, made_from, rollup_columns, rollup_dir
from analytics.store import Store
from ingest.database import Connection, connect
from ingest.settings import settings
from jobs.cli import app
from jobs.contents import open_reader, parts_of
from jobs.exceptions import LeadershipLost, PublishFailed
from jobs.mirror import Mirror
from jobs.publishing import open_new
from jobs.rollup import Telling, forget_rollups, roll_up
from jobs.rollup_checks import problem_of
from jobs.sealing import finish, merge
from jobs.verify import verify
from tests.seeding import insert_error, insert_many, insert_report, now

TODAY = now().date()
MIDNIGHT = datetime.combine(TODAY, datetime.min.time(), tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)
HOUR = timedelta(hours=1)


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path) -> Iterator[Mirror]:
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    yield job
    job.stop()


def every_rollup(lake_dir: Path) -> list[Path]:
    return sorted((lake_dir / "rollups").glob("*/*/day=*/*"))


def fill(connection: Connection, mirror: Mirror, days: int = 4) -> None:
    for _ in range(2):
        insert_many(connection, 100, over=timedelta(days=days))
        insert_report(connection, 10, 2, timestamp=NOON - timedelta(days=1))
        connection.execute("update error_metrics set stands_for = 4 where fingerprint = '1-3'")
        mirror.tick(everything=True)


def assert_each_file_has_its_rollups_and_none_is_left(lake_dir: Path) -> None:
    every = {file for dataset in ("errors", "executions") for file in list_parts(lake_dir, dataset).files}  # type: ignore[arg-type]
    for grain in GRAINS:
        files = {file.path.name for file in every if grain not in DERIVED or isinstance(file, Seal)}
        found = sorted(str(made_from(path.name)) for path in every_rollup(lake_dir) if path.parts[-4] == grain)
        assert found == sorted(files)


def test_each_part_and_each_sealed_day_has_its_rollups(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    fill(connection, mirror)
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)
    assert len(mirror.seal()) > 3
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)
    report = verify(connection, lake_dir)
    assert (report.problems, report.without_rollups) == ([], 0)


def test_publishing_and_sealing_write_the_same_rollups(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    fill(connection, mirror)
    mirror.seal()
    for dataset in ("errors", "executions"):
        seals = list_parts(lake_dir, dataset).seals  # type: ignore[arg-type]
        assert seals
        for seal in seals:
            rows = pl.read_parquet(seal.path, hive_partitioning=False)
            for grain in GRAINS:
                made = list_rollups(lake_dir, dataset, [seal.day]).paths[grain][seal.path.name]  # type: ignore[arg-type]
                order = [
                    name for name in rollup_columns(dataset, grain) if name not in ("errors", "finished", "failed")
                ]  # type: ignore[index]
                frames = [pl.read_parquet(made, hive_partitioning=False), roll_up(rows, dataset, grain)]  # type: ignore[arg-type]
                first, second = (frame.sort(order) for frame in frames)
                assert first.equals(second)
                assert first.schema == second.schema


def test_a_publisher_that_dies_between_rollup_and_part_leaves_nothing_wrong(
    connection: Connection, database_url: str, lake_dir: Path, store: Store
) -> None:
    def dies(step: str) -> None:
        if step == "part opened":
            raise KeyboardInterrupt

    for _ in range(2):
        with connect(database_url, "mortal") as session:
            insert_many(connection, 20, over=timedelta(days=2))
            mortal = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300, step=dies)
            with pytest.raises(KeyboardInterrupt):
                mortal.tick(everything=True)
    assert every_rollup(lake_dir)
    assert error_series(store, now() - timedelta(days=3), now() + HOUR, 3600, Filters())["errors"].sum() == 40
    Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300).tick(everything=True)
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)
    assert error_series(store, now() - timedelta(days=3), now() + HOUR, 3600, Filters())["errors"].sum() == 40


def test_a_part_that_is_published_at_the_second_try_has_its_rollups_once(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    def full_disk(path: Path) -> IO[bytes]:
        raise OSError(28, "No space left on device")

    insert_many(connection, 20)
    mirror._opener = full_disk
    with pytest.raises(PublishFailed):
        mirror.tick(everything=True)
    mirror._opener = open_new
    mirror.tick(everything=True)
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)


def test_where_rollups_cant_be_written_the_parts_appear_all_the_same(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    lake_dir.mkdir()
    (lake_dir / "rollups").write_text("in the way")
    fill(connection, mirror)
    mirror.seal()
    report = verify(connection, lake_dir)
    assert (report.problems, report.rows_compared) == ([], 202)
    assert report.without_rollups == sum(len(list_parts(lake_dir, it).files) for it in ("errors", "executions"))  # type: ignore[arg-type]


def test_a_mirror_that_was_replaced_places_no_rollup(connection: Connection, database_url: str, lake_dir: Path) -> None:
    with connect(database_url, "frozen") as session:

        def loses_the_lake(step: str) -> None:
            if step == "range claimed":
                session.execute("select pg_advisory_unlock_all()")
                successor = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
                successor.tick(everything=True)
                before.extend(every_rollup(lake_dir))

        before: list[Path] = []
        insert_many(connection, 20, over=timedelta(days=2))
        frozen = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300, step=loses_the_lake)
        with pytest.raises(LeadershipLost):
            frozen.tick(everything=True)
            frozen.tick(everything=True)
            frozen.seal()
    assert before
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)


def spoil(path: Path) -> None:
    frame = pl.read_parquet(path, hive_partitioning=False)
    footer = {name: text for name, text in pl.read_parquet_metadata(path).items() if not name.startswith("ARROW")}
    measure = "errors" if "errors" in frame.columns else "failed"
    frame.with_columns(pl.col(measure) + 1).write_parquet(path, metadata=footer)


@pytest.mark.parametrize("wrong", ["other counts", "torn", "of another file", "no footer"])
def test_verify_names_a_rollup_that_is_wrong_and_rebuilding_mends_it(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store, wrong: str
) -> None:
    fill(connection, mirror)
    mirror.seal()
    start, end = now() - timedelta(days=6), now() + HOUR
    right = error_series(store, start, end, 3600, Filters())
    first, *_, last = [path for path in every_rollup(lake_dir) if path.parts[-3] == "errors"]
    if wrong == "other counts":
        spoil(first)
    elif wrong == "torn":
        os.truncate(first, first.stat().st_size // 2)
    elif wrong == "no footer":
        pl.read_parquet(first, hive_partitioning=False).write_parquet(first)
    else:
        first.write_bytes(last.read_bytes())
    (problem,) = verify(connection, lake_dir).problems
    assert problem.startswith(str(first))
    assert "rollup --rebuild" in problem
    done = mirror.rebuild_rollups()
    assert len(done.made) == 1
    assert verify(connection, lake_dir).problems == []
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)
    answer = read_series(store, start, end, 3600, Filters())
    assert answer.frame.equals(right)
    assert answer.reading.sources == ("hour outlines", "hour rollups")


def test_rebuilding_makes_what_is_missing_and_removes_what_is_left_over(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    fill(connection, mirror)
    mirror.seal()
    gone, renamed, *_ = every_rollup(lake_dir)
    gone.unlink()
    renamed.rename(renamed.with_name(renamed.name.replace("-0", "-9", 1)))
    assert verify(connection, lake_dir).problems == []
    done = mirror.rebuild_rollups()
    assert (len(done.made), len(done.removed)) == (2, 1)
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)
    assert (mirror.rebuild_rollups().made, mirror.rebuild_rollups().removed) == ([], [])


def test_the_command_tells_and_rebuilds_but_not_under_a_running_mirror(
    connection: Connection, database_url: str, lake_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("LAKE_URL", str(lake_dir))
    settings.cache_clear()
    with connect(database_url, "mirror") as session:
        fill(connection, Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300))
        for path in every_rollup(lake_dir):
            path.unlink()
        refused = CliRunner().invoke(app, ["rollup", "--rebuild"])
        assert (refused.exit_code, "jobs are running" in refused.output) == (1, True)
    files = len(list_parts(lake_dir, "errors").files)
    assert f"{files} files, {files} without" in CliRunner().invoke(app, ["rollup"]).output
    assert CliRunner().invoke(app, ["rollup", "--rebuild"]).exit_code == 0
    assert f"{files} files, 0 without" in CliRunner().invoke(app, ["rollup"]).output
    assert_each_file_has_its_rollups_and_none_is_left(lake_dir)
    settings.cache_clear()


def test_rollups_per_minute_are_forgotten_in_time_and_answers_stay(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    fill(connection, mirror, days=6)
    mirror.seal()
    start, end = now() - timedelta(days=7), now() + HOUR
    before = error_series(store, start, end, 60, Filters())
    hours = len([path for path in every_rollup(lake_dir) if path.parts[-4] == "hour"])
    assert forget_rollups(lake_dir, "minute", "errors", TODAY - timedelta(days=3)) >= 2
    assert len([path for path in every_rollup(lake_dir) if path.parts[-4] == "hour"]) == hours
    after = read_series(store, start, end, 60, Filters())
    assert after.frame.equals(before)
    assert after.reading.sources == ("minute rollups", "single rows")
    assert verify(connection, lake_dir).problems == []


def retire(mirror: Mirror, lake_dir: Path, grain_less: Grain | None = None) -> None:
    """Take all rows but the newest out of the errors of three days ago."""
    day = TODAY - timedelta(days=3)
    bench, listing = mirror._workbench(), list_parts(lake_dir, "errors")
    files = [file for file in listing.files if file.day == day]
    rows = pl.concat([pl.read_parquet(file.path, hive_partitioning=False) for file in files]).sort("timestamp").tail(1)
    left = bench.file("left.parquet")
    rows.write_parquet(left)
    whole = [part for file in files for part in parts_of(file)]
    held = [(*part[:4], int(part[0] <= rows["xact_id"][0] < part[1])) for part in whole]
    telling = Telling(tuple(file.path for file in files))
    with open_reader() as reader:
        built = merge(
            bench,
            lake_dir,
            "errors",
            day,
            listing.watermark,
            [left],
            held,
            mirror._identifier,
            reader=reader,
            telling=telling,
        )
    left.unlink()
    built = type(built)(built.directory, frozenset(file.path for file in files), built.sealed, built.rollups)
    finish(bench, lake_dir, built, lambda: True)


def test_what_was_retired_still_counts_with_what_comes_late(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    day = TODAY - timedelta(days=3)
    fill(connection, mirror, days=5)
    mirror.seal()
    start, end = now() - timedelta(days=6), now() + HOUR
    before = error_series(store, start, end, 3600, Filters(), "fingerprint")
    minutes = error_series(store, start, end, 60, Filters())
    retire(mirror, lake_dir)
    answer = read_series(store, start, end, 3600, Filters(), "fingerprint")
    assert answer.frame.equals(before)
    assert answer.reading.detail_from == day + timedelta(days=1)
    assert error_series(store, start, end, 60, Filters()).equals(minutes)
    late = NOON - timedelta(days=3)
    insert_error(connection, timestamp=late)
    mirror.tick(everything=True)
    assert error_series(store, start, end, 3600, Filters())["errors"].sum() == before["errors"].sum() + 1
    assert next(sealed.day for sealed in mirror.seal(now() + timedelta(days=1))) == day
    assert error_series(store, start, end, 3600, Filters())["errors"].sum() == before["errors"].sum() + 1
    kept = [path for path in every_rollup(lake_dir) if path.parent.name == f"day={day}" and path.parts[-3] == "errors"]
    assert [path.name.endswith("-kept.parquet") for path in kept] == [True] * len(GRAINS)
    days = error_series(store, MIDNIGHT - timedelta(days=6), MIDNIGHT, 86_400, Filters(), "fingerprint")
    for path in kept:
        if path.parts[-4] in DERIVED:
            path.unlink()
    assert len(mirror.rebuild_rollups().made) == len(DERIVED)
    assert error_series(store, MIDNIGHT - timedelta(days=6), MIDNIGHT, 86_400, Filters(), "fingerprint").equals(days)
    forget_rollups(lake_dir, "minute", "errors", TODAY)
    coarse = read_series(store, start, end, 60, Filters())
    assert coarse.frame["errors"].sum() == before["errors"].sum() + 1
    assert "hour rollups" in coarse.reading.sources


def test_a_kept_rollup_that_is_torn_is_named_and_refuses_the_answer(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    fill(connection, mirror, days=5)
    mirror.seal()
    retire(mirror, lake_dir)
    day = TODAY - timedelta(days=3)
    (kept,) = rollup_dir(lake_dir, "hour", "errors", day).iterdir()
    os.truncate(kept, 20)
    (file,) = [file for file in list_parts(lake_dir, "errors").files if file.day == day]
    with open_reader() as reader:
        assert problem_of(reader, "errors", "hour", kept, file.path) == "can't be read."
