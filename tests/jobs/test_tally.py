"""The tally: the rollup equals the rows, with late commits, retries and an open transaction."""

import threading
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

import jobs.tally
from ingest.database import Connection, connect
from jobs.exceptions import ClusterChanged
from jobs.tally import Tally
from tests.seeding import insert_error, insert_many, insert_report, now

BY_SERIES = """select date_bin('10 seconds', timestamp, 'epoch'), project_id, workflow_id, source, error_type, severity,
    fingerprint, sum(stands_for) from error_metrics group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7"""
ROLLUP = """select bucket, project_id, workflow_id, source, error_type, severity, fingerprint, errors
    from error_counts order by 1, 2, 3, 4, 5, 6, 7"""


def assert_rollup_is_exact(connection: Connection) -> None:
    assert connection.execute(ROLLUP).fetchall() == connection.execute(BY_SERIES).fetchall()


def test_the_rollup_equals_the_rows(connection: Connection) -> None:
    tally = Tally(connection)
    insert_many(connection, 500)
    tally.tick()
    insert_many(connection, 300)
    insert_error(connection, workflow_id=uuid4(), project_id=uuid4())
    tally.tick()
    assert_rollup_is_exact(connection)


def test_a_tick_answers_new_totals_of_touched_series(connection: Connection) -> None:
    tally = Tally(connection)
    moment = now()
    insert_error(connection, timestamp=moment)
    assert [row.errors for row in tally.tick().errors] == [1]
    insert_error(connection, timestamp=moment)
    assert [row.errors for row in tally.tick().errors] == [2]
    assert tally.tick().errors == []


def test_a_row_that_stands_for_several_errors_counts_as_many(connection: Connection, database_url: str) -> None:
    tally = Tally(connection)
    with connect(database_url, "open", autocommit=False) as horizon:
        insert_error(horizon)
        insert_error(connection)
        connection.execute("update error_metrics set stands_for = 40")
        assert [row.errors for row in tally.tick().pending_errors] == [40]  # what alerts see above the horizon
    assert [row.errors for row in tally.tick().errors] in ([41], [1, 40], [40, 1])
    assert_rollup_is_exact(connection)


def test_a_late_commit_is_counted_once_and_never_skipped(connection: Connection, database_url: str) -> None:
    tally = Tally(connection)
    with connect(database_url, "late", autocommit=False) as late:
        insert_error(late, title="late")
        insert_error(connection, title="early")
        first = tally.tick()
        insert_error(connection, title="later still")
        second = tally.tick()
        # The open transaction holds the horizon back, yet what is committed is visible at once.
        assert (first.errors, second.errors) == ([], [])
        assert sum(row.errors for row in first.pending_errors) == 1
        assert sum(row.errors for row in second.pending_errors) == 2
        late.commit()
    tally.tick()
    assert_rollup_is_exact(connection)
    assert connection.execute("select sum(errors) from error_counts").fetchone() == (3,)


def test_a_tick_that_dies_before_its_commit_is_repeated(connection: Connection, database_url: str) -> None:
    insert_many(connection, 50)
    with connect(database_url, "dying", autocommit=False) as dying:
        Tally(dying).tick()
        dying.rollback()
    Tally(connection).tick()
    assert_rollup_is_exact(connection)


def test_what_has_piled_up_is_folded_in_steps(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day without a leader it would fit neither into memory nor into an array of Postgres."""
    monkeypatch.setattr(jobs.tally, "_MOST_ROWS", 10)
    for count in (4, 4, 4, 30, 4):
        insert_many(connection, count)
    insert_report(connection, 5)
    tally, steps = Tally(connection), 0
    fold = tally._fold

    def counting(span: Mapping[str, int]) -> Any:
        nonlocal steps
        steps += 1
        return fold(span)

    monkeypatch.setattr(tally, "_fold", counting)
    tally.catch_up(threading.Event())
    assert steps >= 3
    assert len(tally.tick().errors) <= 10
    assert_rollup_is_exact(connection)
    assert connection.execute("select sum(finished) from execution_counts").fetchone() == (5,)


def test_trials_are_added_up(connection: Connection) -> None:
    tally = Tally(connection)
    moment = now()
    insert_report(connection, 10, 2, timestamp=moment)
    insert_report(connection, 5, 1, timestamp=moment)
    folded = tally.tick()
    assert [(row.finished, row.failed) for row in folded.executions] == [(15, 3)]


def test_groups_know_first_and_last_sight(connection: Connection) -> None:
    tally = Tally(connection)
    insert_many(connection, 70)
    tally.tick()
    first, last = connection.execute("select min(timestamp), max(timestamp) from error_metrics").fetchone() or ()
    seen = connection.execute("select min(first_seen), max(last_seen), count(*) from error_groups").fetchone()
    assert seen == (first, last, 7)


def test_a_watermark_of_another_cluster_is_refused(connection: Connection) -> None:
    Tally(connection)
    connection.execute("update tally_watermark set system_identifier = 'another'")
    with pytest.raises(ClusterChanged, match="restored or moved"):
        Tally(connection)
