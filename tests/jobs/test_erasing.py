"""Erasing: what people want gone is gone from everywhere, and everything else is as it was."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from analytics.lake import list_parts
from ingest.database import Connection, connect
from ingest.masking.masker import Masker
from jobs.contents import open_reader
from jobs.erasing import Erasure, erasures, foresee, request
from jobs.mirror import Mirror
from jobs.selection import Selection
from jobs.tally import Tally
from jobs.verify import verify
from tests.jobs.test_cli import command, said
from tests.seeding import insert_error, insert_many, insert_report, now

SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
MARK = Masker(secret_key=SECRET).text("ann@example.com")
GONE = UUID(int=7)
OTHER = UUID(int=8)
TODAY = datetime.combine(now().date(), datetime.min.time(), tzinfo=UTC)
MOMENTS = [TODAY - timedelta(days=2, hours=-3), TODAY - timedelta(hours=5), TODAY]


def insert_run(connection: Connection, run: UUID, moment: datetime, **more: str) -> None:
    error_id = insert_error(connection, timestamp=moment, **more)  # type: ignore[arg-type]
    connection.execute("update error_metrics set run_id = %s where error_id = %s", (run, error_id))


def insert_three_days(connection: Connection) -> None:
    """On each of three days: 30 errors of others, and one each by every kind of key."""
    insert_many(connection, 90, over=timedelta(days=2))
    for moment in MOMENTS:
        for project in (GONE, OTHER):
            insert_error(connection, timestamp=moment, project_id=project, fingerprint=f"1-{project.int}")
            insert_report(connection, 5, 1, timestamp=moment, project_id=project, workflow_id=project)
        insert_error(connection, timestamp=moment, workflow_id=GONE, fingerprint="1-shared")
        insert_run(connection, GONE, moment, fingerprint="1-shared")
        insert_error(connection, timestamp=moment, fingerprint="1-doomed", title="doomed")
        insert_error(connection, timestamp=moment, fingerprint="1-shared", metadata=f'{{"message": "to {MARK}"}}')
    insert_error(connection, timestamp=TODAY, fingerprint="1-shared", title="stays")


@pytest.fixture
def mirror(connection: Connection, lake_dir: Path) -> Iterator[Mirror]:
    """Two sealed days with a late part beside one, an open one, and rows that aren't in the lake yet."""
    job = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    insert_three_days(connection)
    Tally(connection).tick()
    job.tick(everything=True)
    job.seal(TODAY + timedelta(hours=3))
    insert_error(connection, timestamp=MOMENTS[0], project_id=GONE, workflow_id=GONE, fingerprint="1-doomed")
    job.tick(everything=True)
    insert_error(connection, timestamp=MOMENTS[2], project_id=GONE, workflow_id=GONE, fingerprint="1-doomed")
    yield job
    job.stop()


def erase(connection: Connection, mirror: Mirror, selection: Selection) -> Erasure:
    asked = request(connection, selection, "somebody")
    mirror.erase()
    return next(one for one in erasures(connection) if one.id == asked)


def rows(lake_dir: Path, where: str = "true", dataset: str = "errors") -> int:
    statement = f"select count(*) from '{lake_dir}/{dataset}/**/*.parquet' where {where}"
    return int(duckdb.sql(statement).fetchall()[0][0])


def counts(connection: Connection, table: str = "error_counts") -> list[tuple[object, ...]]:
    return sorted(connection.execute(f"select * from {table}".encode()), key=str)


def fresh_counts(connection: Connection) -> list[tuple[object, ...]]:
    """The counts as they would be, had what is there been counted from the start."""
    return sorted(
        connection.execute(
            """select date_bin('10 seconds', "timestamp", 'epoch'::timestamptz), project_id, workflow_id, source,
                error_type, severity::text, fingerprint, sum(stands_for)::bigint
            from error_metrics group by 1, 2, 3, 4, 5, 6, 7"""
        ),
        key=str,
    )


BY = {
    "project": (Selection("project", (str(GONE),)), f"project_id = '{GONE}'", 5, 3),
    "workflow": (Selection("workflow", (str(GONE),)), f"workflow_id = '{GONE}'", 5, 3),
    "run": (Selection("run", (str(GONE),)), f"run_id = '{GONE}'", 3, 0),
    "fingerprint": (Selection("fingerprint", ("1-doomed",)), "fingerprint = '1-doomed'", 5, 0),
    "value": (Selection("value", (MARK,)), f"contains(metadata, '{MARK}')", 3, 0),
}


@pytest.mark.parametrize("kind", list(BY))
def test_what_is_erased_is_gone_from_both_stores_and_the_rest_is_as_it_was(
    connection: Connection, mirror: Mirror, lake_dir: Path, kind: str
) -> None:
    selection, where, errors, trials = BY[kind]
    in_postgres = f"position('{MARK}' in metadata::text) > 0" if kind == "value" else where
    others = "select count(*) from error_metrics where not coalesce({}, false)"
    before = connection.execute(others.format(in_postgres).encode()).fetchone()
    erased = erase(connection, mirror, selection)
    assert (erased.rows, erased.errors, erased.trials) == (errors, errors, trials)
    assert rows(lake_dir, where) == 0
    assert connection.execute(others.format(in_postgres).encode()).fetchone() == before == (rows(lake_dir),)
    assert connection.execute(f"select count(*) from error_metrics where {in_postgres}".encode()).fetchone() == (0,)
    report = verify(connection, lake_dir)
    assert report.is_equal, report.problems
    assert report.rows_compared == rows(lake_dir) + rows(lake_dir, dataset="executions")
    assert counts(connection) == fresh_counts(connection)
    (log,) = erasures(connection)
    assert (log.by, log.kind, log.rows, log.trials, log.is_finished) == ("somebody", kind, errors, trials, True)
    insert_error(connection, timestamp=MOMENTS[0])
    mirror.tick(everything=True)
    mirror.seal(now() + timedelta(days=5))
    assert verify(connection, lake_dir).is_equal


def test_a_dry_run_tells_what_goes_and_changes_nothing(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    files = sorted(lake_dir.rglob("*"))
    state = [counts(connection), counts(connection, "error_groups"), counts(connection, "error_metrics")]
    with open_reader() as reader:
        losses = foresee(connection, lake_dir, reader, BY["project"][0])
    days = {
        day: (loss.rows, loss.in_lake, loss.in_postgres) for (of, day), loss in losses.days.items() if of == "errors"
    }
    expected = [(2, 2, 2), (1, 1, 1), (2, 1, 2)]
    assert days == {moment.date(): told for moment, told in zip(MOMENTS, expected, strict=True)}
    assert (losses.total("errors"), losses.total("executions")) == ((5, 5), (3, 15))
    assert state == [counts(connection), counts(connection, "error_groups"), counts(connection, "error_metrics")]
    assert sorted(lake_dir.rglob("*")) == files
    assert erasures(connection) == []


def test_groups_tell_what_is_left_of_them_and_go_with_their_last_error(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    Tally(connection).tick()
    connection.execute("insert into group_notes (fingerprint, author, note) values ('1-doomed', 'ann', 'see ticket')")
    connection.execute("update error_groups set head = '1-doomed', merged_into = '1-doomed' where fingerprint = '1-7'")
    connection.execute(
        """insert into alerts (id, rule_name, rule, started_at, fired_at)
        values (gen_random_uuid(), 'r', '{}', now(), now());
        insert into notifications (alert_id, channel_name, kind, dedup_key, message) select id, 'c', 'firing', 'k',
        '{"rule_name": "r", "top_groups": [{"fingerprint": "1-doomed", "title": "doomed"}, {"fingerprint": "1-8",
        "title": "kept"}]}' from alerts"""
    )
    erase(connection, mirror, BY["fingerprint"][0])
    assert connection.execute("select title, errors from error_groups where fingerprint = '1-doomed'").fetchall() == [
        ("(erased)", 0)  # another group counts for it
    ]
    assert connection.execute("select count(*) from group_notes").fetchone() == (0,)
    assert connection.execute(
        "select jsonb_path_query_array(message, '$.top_groups[*].title') from notifications"
    ).fetchone() == (["(erased)", "kept"],)
    erase(connection, mirror, BY["project"][0])
    erase(connection, mirror, BY["value"][0])
    erase(connection, mirror, BY["run"][0])
    left = connection.execute("select fingerprint, errors, first_seen, last_seen, title from error_groups").fetchall()
    there = connection.execute(
        """select distinct on (fingerprint) fingerprint, count(*) over w, min("timestamp") over w, "timestamp", title
        from error_metrics window w as (partition by fingerprint) order by fingerprint, "timestamp" desc"""
    ).fetchall()
    assert {row[0]: row[1:4] for row in left if row[1]} == {row[0]: row[1:4] for row in there}
    assert "1-7" not in {row[0] for row in left}


def test_counts_of_days_that_postgres_no_longer_has_follow_too(
    connection: Connection, mirror: Mirror, lake_dir: Path
) -> None:
    Tally(connection).tick()
    connection.execute("delete from error_metrics where timestamp < %s", (TODAY - timedelta(days=1),))
    erased = erase(connection, mirror, BY["run"][0])
    assert erased.errors == 3
    total = connection.execute("select sum(errors) from error_counts").fetchone()
    assert total == (rows(lake_dir),)
    assert connection.execute("select sum(errors) from error_groups").fetchone() == total


def test_a_row_that_is_sent_again_stays_away(connection: Connection, mirror: Mirror, lake_dir: Path) -> None:
    before = connection.execute("select count(*) from error_ids").fetchone()
    erase(connection, mirror, BY["fingerprint"][0])
    assert connection.execute("select count(*) from error_ids").fetchone() == before


def test_a_day_of_which_nothing_is_left_keeps_its_accounts(connection: Connection, lake_dir: Path) -> None:
    mirror = Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)
    for moment in MOMENTS:
        insert_error(connection, timestamp=moment, project_id=GONE)
    mirror.tick(everything=True)
    watermark = list_parts(lake_dir, "errors").watermark
    erase(connection, mirror, BY["project"][0])
    assert (rows(lake_dir), list_parts(lake_dir, "errors").watermark) == (0, watermark)
    insert_error(connection, timestamp=MOMENTS[1])
    mirror.tick(everything=True)
    mirror.seal(now() + timedelta(days=5))
    report = verify(connection, lake_dir)
    assert (report.is_equal, rows(lake_dir)) == (True, 1), report.problems


STEPS = ["range published", "erasure counted", "erasure noted", "rewrite begun", "seal written", "seal flushed",
    "late parts linked", "exchanged", "exchange flushed", "old put aside"]  # fmt: skip


def _die_while_erasing(database_url: str, lake_dir: Path, at: str) -> None:
    def step(name: str) -> None:
        if name == at:
            os.kill(os.getpid(), 9)

    with connect(database_url, "dying") as connection:
        request(connection, BY["project"][0], "somebody")
        Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300, step=step).erase()


@pytest.mark.parametrize("at", STEPS)
def test_an_erasure_that_is_killed_is_finished_by_the_next_and_no_reader_is_told_wrong(
    connection: Connection, database_url: str, lake_dir: Path, at: str
) -> None:
    with connect(database_url, "first") as first:
        job = Mirror(first, lake_dir, max_rows=1000, max_lag_seconds=300)
        insert_three_days(connection)
        job.tick(everything=True)
        insert_error(connection, timestamp=MOMENTS[1], project_id=GONE)
        insert_error(connection, timestamp=MOMENTS[1])
    others = f"project_id is distinct from '{GONE}'"
    least = rows(lake_dir, others)
    seen: list[tuple[int, int, int]] = []
    over = threading.Event()

    def look() -> None:
        with duckdb.connect() as reader:
            while not over.wait(0.02):  # without a pause it would be all that this machine does
                try:
                    row = reader.execute(
                        f"""select count(*) filter ({others}), count(*) filter (not ({others})),
                        count(distinct error_id) - count(*) from '{lake_dir}/errors/**/*.parquet'"""
                    ).fetchone()
                except duckdb.Error:  # exchanged in this instant: it asks again
                    continue
                seen.append(row)  # type: ignore[arg-type]

    looking = threading.Thread(target=look)
    looking.start()
    try:
        child = multiprocessing.get_context("forkserver").Process(
            target=_die_while_erasing, args=(database_url, lake_dir, at)
        )
        child.start()
        child.join(60)
        assert child.exitcode == -9
        pending = not verify(connection, lake_dir).is_equal
        assert pending == (at in STEPS[2:]), at
        again = command("erase", "--project", str(GONE), "--yes", DATABASE_URL=database_url, LAKE_URL=str(lake_dir))
        assert again.returncode == 0, again.stderr
    finally:
        over.set()
        looking.join()
    assert {kept for kept, *_ in seen} <= {least, least + 1}
    assert {twice for *_, twice in seen} == {0}
    assert rows(lake_dir, f"not ({others})") == 0
    assert rows(lake_dir) == least + 1
    report = verify(connection, lake_dir)
    assert report.is_equal, report.problems
    assert all(one.is_finished for one in erasures(connection))
    assert sum(one.errors for one in erasures(connection)) == 4
    Tally(connection).tick()
    assert counts(connection) == fresh_counts(connection)


def test_the_command_asks_and_logs_a_mark_never_the_value(
    connection: Connection, mirror: Mirror, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    where = {"DATABASE_URL": database_url, "LAKE_URL": str(lake_dir), "MESHHOOK_ERRORS_SECRET_KEY": SECRET}
    where["MESHHOOK_ERRORS_DATA_DIR"] = str(tmp_path)
    assert "one of --project" in said(command("erase", **where))
    assert "looks like" in said(command("erase", "--run", "7", "--dry-run", **where))
    assert "one kind" in said(command("erase", "--run", str(GONE), "--value", **where))
    assert "no mark" in said(command("erase", "--value", "--dry-run", typed="hello\n", **where))
    assert "nobody can be asked" in said(command("erase", "--value", typed="ann@example.com\n", **where))
    dry = command("erase", "--value", "--dry-run", typed="Ann@Example.com\n", **where).stdout
    assert "In all 3 rows for 3 errors" in dry
    assert command("erase", "--value", "--dry-run", typed=f"{MARK}\n", **where).stdout == dry


def test_the_command_erases_and_lists(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    insert_three_days(connection)
    where = {"DATABASE_URL": database_url, "LAKE_URL": str(lake_dir), "MESHHOOK_ERRORS_SECRET_KEY": SECRET}
    where["MESHHOOK_ERRORS_DATA_DIR"] = str(tmp_path)
    done = command("erase", "--value", "--yes", typed="ann@example.com\n", **where)
    assert "✓ Erased 3 rows for 3 errors" in done.stdout, done.stderr
    listed = command("erase", "--list", **where).stdout
    assert f"value {MARK}  3 rows for 3 errors" in listed
    assert "ann@" not in listed + done.stdout
    assert command("verify", **where).returncode == 0


def test_while_the_jobs_run_they_do_it(
    connection: Connection, mirror: Mirror, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    """The command can't be the mirror, and waits for it; the tally belongs to another of the jobs' sessions."""
    where = {"DATABASE_URL": database_url, "LAKE_URL": str(lake_dir), "MESHHOOK_ERRORS_DATA_DIR": str(tmp_path)}
    answers: list[str] = []
    asking = threading.Thread(
        target=lambda: answers.append(command("erase", "--fingerprint", "1-doomed", "--yes", **where).stdout)
    )
    asking.start()
    with connect(database_url, "tally") as session:
        tally = Tally(session)
        for _ in range(300):
            tally.tick()
            mirror.turn()
            if not asking.is_alive():
                break
            asking.join(0.1)
    assert not asking.is_alive()
    assert "✓ Erased 5 rows for 5 errors" in answers[0]
    assert rows(lake_dir, "fingerprint = '1-doomed'") == 0
    assert verify(connection, lake_dir).is_equal
    assert counts(connection) == fresh_counts(connection)
