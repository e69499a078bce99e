"""A mirror that is killed, or frozen and woken up, at any of its steps leaves no trace in the numbers."""

import re
from pathlib import Path

import pytest

from tests.crashes.matrix import CASES, STEPS, Fate, run_case
from tests.jobs.test_erasing import STEPS as OF_ERASING

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.mark.parametrize(("step", "fate"), CASES)
def test_whatever_happens_to_a_mirror_every_row_is_counted_once(
    database_url: str, lake_dir: Path, step: str, fate: Fate
) -> None:
    outcome = run_case(database_url, lake_dir, step, fate)
    assert outcome.problems == ()
    assert outcome.reads > 0


def test_the_matrix_has_every_step_but_those_of_erasing_which_dies_at_each_in_a_test_of_its_own() -> None:
    told = {
        name
        for path in JOBS.glob("*.py")
        for name in re.findall(r"(?:\bstep|_told)\(\"([a-z ]+)\"\)", path.read_text(encoding="utf-8"))
    }
    assert told == {*STEPS, *OF_ERASING}
