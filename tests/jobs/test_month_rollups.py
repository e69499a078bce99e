"""Months that are over have rollups of their own: exact while their days stand as they were, gone when one changes."""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import polars as pl
import pytest
from structlog.testing import capture_logs

from analytics.filters import Filters
from analytics.lake import DATASETS, list_parts
from analytics.queries import error_series, read_series
from analytics.reading import Question, plan
from analytics.rollups import DERIVED, MONTHLY, NO_ROLLUPS, Grain, list_rollups, months_of
from analytics.store import Store
from ingest.database import Connection, connect
from jobs import sealing
from jobs.contents import open_reader, read_footer
from jobs.erasing import request
from jobs.mirror import Mirror
from jobs.month_rollups import build_month, due_months, month_problems, place_month
from jobs.selection import Selection
from jobs.tally import Tally
from jobs.verify import verify
from tests.seeding import insert_error, insert_report, now

THIS_MONTH = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
BEFORE = (LAST_MONTH - timedelta(days=1)).replace(day=1)
NOONS = [LAST_MONTH + timedelta(days=days, hours=12) for days in (0, 3, 4, 20, 27)]
HALF = timedelta(hours=12)
START, END = BEFORE - timedelta(days=2), THIS_MONTH
WORKFLOW = UUID(int=3)
GONE = UUID(int=7)
WORKFLOWS = Filters(workflow_id=(WORKFLOW,))
QUESTIONS: list[tuple[int, Filters, str | None]] = [
    (3600, Filters(), None),
    (3600, WORKFLOWS, "fingerprint"),
    (86_400, WORKFLOWS, None),
    (86_400, Filters(), "severity"),
]


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Five days of last month, two of the month before and one of today; all but the last are sealed."""
    monkeypatch.setattr(sealing, "OLD_NAMES_SECONDS", 0.0)  # nobody lists these files just now
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    for number, noon in enumerate([BEFORE + timedelta(hours=12), LAST_MONTH - timedelta(hours=12), *NOONS]):
        for hours in range(1 + number):
            moment = noon - timedelta(hours=hours)
            insert_error(connection, timestamp=moment, workflow_id=WORKFLOW, fingerprint=f"1-{hours % 2}")
            insert_error(connection, timestamp=moment, severity="high", project_id=GONE, workflow_id=GONE)
            insert_report(connection, 10, 2, timestamp=moment, workflow_id=WORKFLOW)
    insert_error(connection)
    Tally(connection).tick()
    job.tick(everything=True)
    job.seal()
    yield job
    job.stop()


def months(lake_dir: Path) -> list[Path]:
    return sorted((lake_dir / "rollups" / "months").glob("*/*/*"))


def read_from_months(lake_dir: Path, interval: int = 3600, columns: tuple[str, ...] = ()) -> int:
    """How many months of both datasets a question about all of it is answered from."""
    found = 0
    for dataset in DATASETS:
        listing = list_parts(lake_dir, dataset)
        question = Question(dataset, START, END, interval, frozenset(columns))
        sources = plan(listing, list_rollups(lake_dir, dataset, listing.days()), question)
        found += sum("/months/" in path for source in sources for path in source.paths)
    return found


def assert_answers_are_those_of_the_rows(store: Store) -> None:
    for interval, filters, group_by in QUESTIONS:
        answer = error_series(store, START, END, interval, filters, group_by)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "rollups", lambda *_: NO_ROLLUPS)
            assert answer.equals(error_series(store, START, END, interval, filters, group_by))


@pytest.mark.parametrize(("interval", "columns"), [(3600, ()), (3600, ("workflow_id",)), (86_400, ("workflow_id",))])
def test_a_month_that_is_over_is_read_whole(
    mirror: Mirror, lake_dir: Path, store: Store, interval: int, columns: tuple[str, ...]
) -> None:
    listing = list_parts(lake_dir, "errors")
    assert [len(month.seals) for month in months_of(listing)] == [2, 5]
    assert len(months(lake_dir)) == 2 * len(DATASETS) * len(MONTHLY)
    assert read_from_months(lake_dir, interval, columns) == 2 * len(DATASETS)
    assert_answers_are_those_of_the_rows(store)


@pytest.mark.parametrize(
    ("start", "end", "months", "days"), [(NOONS[1] - HALF, END, 0, 4), (START, NOONS[3] + HALF, 1, 4)]
)
def test_a_range_that_has_a_part_of_a_month_reads_its_days(
    mirror: Mirror, lake_dir: Path, start: datetime, end: datetime, months: int, days: int
) -> None:
    listing = list_parts(lake_dir, "errors")
    rollups = list_rollups(lake_dir, "errors", listing.days())
    paths = [path for source in plan(listing, rollups, Question("errors", start, end, 3600)) for path in source.paths]
    of_months = sum("/months/" in path for path in paths)
    assert (of_months, len(paths) - of_months) == (months, days)


def test_a_month_waits_until_it_is_over_and_every_day_is_sealed_and_one_day_is_no_month(
    connection: Connection, lake_dir: Path
) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300, seal_after=timedelta(days=3))
    for day in (0, 1, 2):
        insert_error(connection, timestamp=LAST_MONTH + timedelta(days=day, hours=5))
    insert_error(connection, timestamp=BEFORE + timedelta(hours=5))
    mirror.tick(everything=True)
    assert len(mirror.seal(LAST_MONTH + timedelta(days=9))) == 4
    assert months(lake_dir) == []
    insert_error(connection, timestamp=THIS_MONTH - timedelta(hours=1))
    mirror.tick(everything=True)
    mirror.seal(THIS_MONTH + timedelta(days=2))
    assert months(lake_dir) == []
    mirror.seal(THIS_MONTH + timedelta(days=4))
    assert len(months(lake_dir)) == len(MONTHLY)


def test_what_comes_late_counts_at_once_and_sealing_the_day_again_makes_the_month_anew(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    before = months(lake_dir)
    insert_error(connection, timestamp=NOONS[2], workflow_id=WORKFLOW)
    mirror.tick(everything=True)
    assert months(lake_dir) == before
    assert read_from_months(lake_dir) == 2 * len(DATASETS)
    assert_answers_are_those_of_the_rows(store)
    assert [sealed.day for sealed in mirror.seal(now() + timedelta(days=2)) if sealed.dataset == "errors"][:1] == [
        NOONS[2].date()
    ]
    after = months(lake_dir)
    of_errors = {
        path for path in before if path.parent.name == "errors" and path.name.startswith(f"{LAST_MONTH:%Y-%m}")
    }
    assert set(before) - set(after) == of_errors
    assert len(after) >= len(before)
    assert_answers_are_those_of_the_rows(store)
    assert verify(connection, lake_dir).problems == []


def test_what_is_erased_is_in_no_month(connection: Connection, mirror: Mirror, lake_dir: Path, store: Store) -> None:
    def rows_of(project: UUID) -> int:
        files = [str(path) for path in months(lake_dir) if path.parent.name == "errors"]
        counted = "select count(*) from read_parquet($files) where project_id = $project"
        return int(duckdb.sql(counted, params={"files": files, "project": str(project)}).fetchall()[0][0])

    assert rows_of(GONE) > 0
    request(connection, Selection.of("project", [str(GONE)]), "somebody")
    mirror.erase()
    assert not [path for path in months(lake_dir) if path.parent.name == "errors"]
    mirror.seal()
    assert read_from_months(lake_dir) == 2 * len(DATASETS)
    assert rows_of(GONE) == 0
    assert_answers_are_those_of_the_rows(store)


def test_a_mirror_that_dies_amid_an_exchange_leaves_a_month_that_nobody_reads_and_the_next_removes(
    connection: Connection, mirror: Mirror, database_url: str, lake_dir: Path, store: Store
) -> None:
    def dies(step: str) -> None:
        if step == "exchanged":
            raise KeyboardInterrupt

    insert_error(connection, timestamp=NOONS[2], workflow_id=WORKFLOW)
    mirror.tick(everything=True)
    mirror.stop()
    connection.execute("select pg_advisory_unlock_all()")
    before = months(lake_dir)
    with connect(database_url, "mortal") as session:
        mortal = Mirror(session, lake_dir, max_rows=1000, max_lag_seconds=300, step=dies)
        with pytest.raises(KeyboardInterrupt):
            mortal.seal(now() + timedelta(days=2))
    assert months(lake_dir) == before
    assert read_from_months(lake_dir) == 2 * len(DATASETS) - 1
    assert_answers_are_those_of_the_rows(store)
    Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300).tick()
    assert len(months(lake_dir)) == len(before) - len(MONTHLY)


def test_a_month_of_which_a_day_changes_while_it_is_built_does_not_appear(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    for path in months(lake_dir):
        path.unlink()
    bench = mirror._workbench()
    with open_reader() as reader:
        built = [
            build_month(bench, lake_dir, "errors", month, reader=reader)
            for month in due_months(lake_dir, "errors", now().date())
        ]
    insert_error(connection, timestamp=NOONS[2])
    mirror.tick(everything=True)
    mirror.seal(now() + timedelta(days=2))
    for path in months(lake_dir):
        path.unlink()
    assert [place_month(bench, lake_dir, one) for one in built] == [True, False]
    assert {path.name[:7] for path in months(lake_dir)} == {f"{LAST_MONTH - timedelta(days=1):%Y-%m}"}
    assert not list(bench.path.glob("*.tmp"))


@pytest.mark.parametrize("grain", MONTHLY)
def test_a_torn_month_costs_time_is_told_and_made_again(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store, grain: Grain
) -> None:
    torn = [path for path in months(lake_dir) if path.parts[-3] == grain]
    for path in torn:
        os.truncate(path, 30)
    assert_answers_are_those_of_the_rows(store)
    for interval, filters, group_by in QUESTIONS:  # from the days' own
        assert "single rows" not in read_series(store, START, END, interval, filters, group_by).reading.sources
    problems = verify(connection, lake_dir).problems
    assert len(problems) == len(torn) == 2 * len(DATASETS)
    assert all("can't be read" in problem and "rollup --rebuild" in problem for problem in problems)
    done = mirror.rebuild_rollups()
    assert (len(done.made), done.removed) == (len(torn), [])
    assert verify(connection, lake_dir).problems == []
    assert len(months(lake_dir)) == 2 * len(DATASETS) * len(MONTHLY)


def test_a_month_that_tells_of_other_numbers_is_told_and_made_again(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    wrong = next(path for path in months(lake_dir) if path.parts[-3:-1] == ("hour", "errors"))
    footer = read_footer(wrong)
    rows = pl.read_parquet(wrong).with_columns(pl.col("errors") + 1)
    rows.write_parquet(wrong, metadata={f"meshhook_errors.{name}": value for name, value in footer.items()})
    (problem,) = verify(connection, lake_dir).problems
    assert "differs from the rollups of its days" in problem
    assert len(mirror.rebuild_rollups().made) == 1
    assert verify(connection, lake_dir).problems == []


def retire(connection: Connection, mirror: Mirror) -> None:
    """The oldest days of errors, of which rollups alone tell from then on."""
    for name in ("error_metrics", "error_ids"):
        connection.execute(f"truncate {name}".encode())
    assert {day.day for day in mirror.retire(NOONS[3].date())} >= {NOONS[1].date(), NOONS[2].date()}
    mirror.seal()


def kept(lake_dir: Path, grain: Grain) -> list[Path]:
    return sorted((lake_dir / "rollups" / grain / "errors").glob("*/*-kept.parquet"))


def test_retired_days_count_with_their_month_and_tell_from_when_there_is_detail(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store
) -> None:
    before = error_series(store, START, END, 3600, WORKFLOWS, "fingerprint")
    retire(connection, mirror)
    assert read_from_months(lake_dir, columns=("workflow_id",)) == 2 * len(DATASETS)
    answer = read_series(store, START, END, 3600, WORKFLOWS, "fingerprint")
    assert answer.frame.equals(before)
    assert answer.reading.detail_from == NOONS[2].date() + timedelta(days=1)
    minutes = read_series(store, START, THIS_MONTH - timedelta(minutes=30), 60 * 30, WORKFLOWS)
    assert minutes.frame["errors"].sum() == before["errors"].sum()


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_month_outlives_the_kept_rollups_that_it_was_made_from(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store, is_torn: bool
) -> None:
    before = error_series(store, START, END, 3600, WORKFLOWS, "fingerprint")
    retire(connection, mirror)
    standing = months(lake_dir)
    damaged = kept(lake_dir, "hour")[-1]
    if is_torn:
        os.truncate(damaged, 30)
    else:
        damaged.unlink()
    assert all(" months " not in problem for problem in verify(connection, lake_dir).problems)
    done = mirror.rebuild_rollups()
    assert months(lake_dir) == standing
    assert done.removed == []
    assert error_series(store, START, END, 3600, WORKFLOWS, "fingerprint").equals(before)


def test_no_month_is_made_while_a_kept_rollup_is_lost_and_all_is_well_when_it_is_put_back(
    connection: Connection, mirror: Mirror, lake_dir: Path, store: Store, tmp_path: Path
) -> None:
    before = [error_series(store, START, END, interval, filters, by) for interval, filters, by in QUESTIONS]
    retire(connection, mirror)
    saved = shutil.copytree(lake_dir / "rollups", tmp_path / "saved")
    shutil.rmtree(lake_dir / "rollups")
    beyond = mirror.rebuild_rollups().beyond
    assert len(beyond) == len([*saved.glob("hour/errors/*/*-kept.parquet")])
    mirror.seal(now() + timedelta(hours=2))
    assert not [path for path in months(lake_dir) if path.parent.name == "errors"]
    for grain in MONTHLY:
        for path in saved.glob(f"{grain}/*/*/*-kept.parquet"):
            back = lake_dir / "rollups" / path.relative_to(saved)
            back.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, back)
    for _ in range(2):
        answers = [error_series(store, START, END, interval, filters, by) for interval, filters, by in QUESTIONS]
        assert all(answer.equals(expected) for answer, expected in zip(answers, before, strict=True))
        assert mirror.rebuild_rollups().beyond == []
    assert read_from_months(lake_dir, columns=("workflow_id",)) == 2 * len(DATASETS)
    assert verify(connection, lake_dir).problems == []


def test_no_month_is_made_of_a_kept_rollup_that_lacks_something(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    retire(connection, mirror)
    for path in months(lake_dir):
        path.unlink()
    short = kept(lake_dir, "hour")[-1]
    footer = read_footer(short)
    rows = pl.read_parquet(short, hive_partitioning=False)[1:]
    rows.write_parquet(short, metadata={f"meshhook_errors.{name}": value for name, value in footer.items()})
    (beyond,) = mirror.rebuild_rollups().beyond
    assert "its kept rollup is gone or isn't what it was" in beyond
    assert not [path for path in months(lake_dir) if path.parent.name == "errors" and path.name[:7] in beyond]


def test_a_day_that_cannot_be_read_is_no_fault_of_its_month(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    retire(connection, mirror)
    os.truncate(kept(lake_dir, "day")[-1], 30)
    with open_reader() as reader:
        assert not list(month_problems(reader, lake_dir, "errors", list_parts(lake_dir, "errors")))


def test_a_month_that_cannot_be_made_leaves_nothing_on_the_workbench(mirror: Mirror, lake_dir: Path) -> None:
    for path in months(lake_dir):
        path.unlink()
    for path in (lake_dir / "rollups" / "hour" / "errors").glob("*/*"):
        os.truncate(path, 30)
    bench = mirror._workbench()
    (month, *_) = due_months(lake_dir, "errors", now().date())
    with open_reader() as reader, pytest.raises(duckdb.Error):
        build_month(bench, lake_dir, "errors", month, reader=reader)
    assert not list(bench.path.iterdir())


def test_a_month_is_checked_against_the_hours_of_a_retired_day_that_lacks_the_others(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    retire(connection, mirror)
    for grain in DERIVED:
        kept(lake_dir, grain)[-1].unlink()
    assert verify(connection, lake_dir).problems == []
    (wrong,) = (lake_dir / "rollups" / "months" / "outline" / "errors").glob(f"{LAST_MONTH:%Y-%m}-*")
    footer = read_footer(wrong)
    days = pl.read_parquet(wrong).filter(pl.col("bucket").dt.date() != kept_day(kept(lake_dir, "hour")[-1]))
    days.write_parquet(wrong, metadata={f"meshhook_errors.{name}": value for name, value in footer.items()})
    (problem,) = verify(connection, lake_dir).problems
    assert str(wrong) in problem


def kept_day(path: Path) -> date:
    return date.fromisoformat(path.parent.name.removeprefix("day="))


def test_a_month_with_hours_of_another_is_told(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    wrong = next(path for path in months(lake_dir) if path.parts[-3:-1] == ("hour", "errors"))
    footer = read_footer(wrong)
    rows = pl.read_parquet(wrong)
    more = pl.concat([rows, rows.tail(1).with_columns(pl.col("bucket") - timedelta(days=90))])
    more.write_parquet(wrong, metadata={f"meshhook_errors.{name}": value for name, value in footer.items()})
    (problem,) = verify(connection, lake_dir).problems
    assert "in 1 rows" in problem


def test_what_cannot_be_placed_leaves_nothing_on_the_workbench(mirror: Mirror, lake_dir: Path) -> None:
    shutil.rmtree(lake_dir / "rollups" / "months")
    (lake_dir / "rollups" / "months").write_text("in the way")
    with capture_logs() as logs:
        mirror.rebuild_rollups()
    assert sum("can't be placed" in log["event"] for log in logs) == 2 * len(DATASETS) * len(MONTHLY)
    assert not list(mirror._workbench().path.iterdir())


def test_a_running_mirror_makes_months_beside_its_work(mirror: Mirror, lake_dir: Path) -> None:
    before = {path.name[:24] for path in months(lake_dir)}
    for path in months(lake_dir):
        path.unlink()
    mirror._sealer._not_before.clear()  # it had just made them
    deadline = time.monotonic() + 30
    while len(months(lake_dir)) < 2 * len(DATASETS) * len(MONTHLY) and time.monotonic() < deadline:
        mirror._sealer._next_look = 0.0  # a minute later
        mirror.turn()
        time.sleep(0.02)
    assert {path.name[:24] for path in months(lake_dir)} == before
