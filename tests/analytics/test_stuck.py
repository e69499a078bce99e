"""Runs that stand still: the newest first, then those that moved again a moment ago."""

from datetime import timedelta
from uuid import uuid4

from analytics.filters import Filters
from analytics.stuck import stuck_runs
from ingest.database import Connection
from tests.analytics.meshhook_rows import note_stuck
from tests.seeding import now

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_runs_that_stand_still_come_newest_first_and_those_that_moved_after_them(connection: Connection) -> None:
    older = note_stuck(connection, since=3 * HOUR, node="another")
    moved = note_stuck(connection, since=20 * MINUTE, moved=8 * MINUTE)
    newer = note_stuck(connection, since=4 * HOUR, noticed=HOUR)
    found = stuck_runs(connection, now(), Filters())
    assert [run.error_id for run in found.runs] == [str(newer), str(older), str(moved)]
    assert found.still == 2


def test_what_was_noticed_yesterday_or_moved_long_ago_is_over(connection: Connection) -> None:
    note_stuck(connection, since=25 * HOUR)
    note_stuck(connection, since=3 * HOUR, moved=2 * HOUR)
    found = stuck_runs(connection, now(), Filters())
    assert (found.still, found.runs) == (0, ())


def test_all_are_counted_and_some_are_shown(connection: Connection) -> None:
    for age in range(11):
        note_stuck(connection, since=(age + 1) * MINUTE, node=f"node-{age}")
    note_stuck(connection, moved=MINUTE)
    found = stuck_runs(connection, now(), Filters(), 8)
    assert (found.still, len(found.runs)) == (11, 8)
    assert all(run.moved_at is None for run in found.runs)


def test_alike_ones_are_one_row_with_the_newest(connection: Connection) -> None:
    newest = note_stuck(connection, since=MINUTE, node="mail")
    note_stuck(connection, since=2 * MINUTE, node="mail")
    note_stuck(connection, since=3 * MINUTE, node="charge")
    note_stuck(connection, since=4 * MINUTE, node="mail", moved=MINUTE)
    found = stuck_runs(connection, now(), Filters())
    assert [(run.node, run.alike, run.moved_at is None) for run in found.runs] == [
        ("mail", 2, True),
        ("charge", 1, True),
        ("mail", 1, False),
    ]
    assert found.runs[0].error_id == str(newest)
    assert found.still == 3


def test_it_lasts_until_the_run_moves(connection: Connection) -> None:
    note_stuck(connection, since=30 * MINUTE)
    note_stuck(connection, since=30 * MINUTE, moved=18 * MINUTE)
    moment = now()
    still, moved = stuck_runs(connection, moment, Filters()).runs
    assert still.lasts(moment) // MINUTE == 30
    assert moved.lasts(moment) // MINUTE == 12


def test_they_are_narrowed_by_workflow_and_project_alone(connection: Connection) -> None:
    workflow, project = uuid4(), uuid4()
    of_workflow = note_stuck(connection, workflow_id=workflow)
    of_project = note_stuck(connection, project_id=project)

    def found(filters: Filters) -> set[str]:
        return {run.error_id for run in stuck_runs(connection, now(), filters).runs}

    assert found(Filters(workflow_id=(workflow,))) == {str(of_workflow)}
    assert found(Filters(project_id=(project,))) == {str(of_project)}
    assert found(Filters(workflow_id=(workflow,), project_id=(project,))) == set()
    assert len(found(Filters(source=("webhook",), severity=("low",), fingerprint=("1-x",)))) == 2
