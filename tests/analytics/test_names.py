"""Projects and workflows read by their names, and no two of them read the same."""

from uuid import UUID

import pytest

from analytics.names import Names, by_name, names
from ingest.database import Connection
from ingest.projects import create_project
from tests.analytics.meshhook_rows import name_project, name_workflow


def test_a_workflow_reads_as_its_slug_and_version(connection: Connection) -> None:
    project = name_project(connection, "Acme")
    workflow = name_workflow(connection, "lead-intake", 3, name="Lead intake", project_id=project)
    known = names(connection)
    assert known.workflow(workflow) == known.workflow(str(workflow)) == "lead-intake v3"
    assert known.about_workflow(workflow) == f"Lead intake · Acme · {workflow}"
    assert known.project(project) == "Acme"


def test_a_display_name_that_says_nothing_new_is_left_out(connection: Connection) -> None:
    workflow = name_workflow(connection, "lead-intake", None, name="lead-intake")
    known = names(connection)
    assert known.workflow(workflow) == "lead-intake"
    assert known.about_workflow(workflow) == str(workflow)


def test_workflows_of_two_projects_are_told_apart_by_the_project(connection: Connection) -> None:
    here, there = name_project(connection, "Acme"), name_project(connection, "Umbrella")
    first, second, other = (
        name_workflow(connection, slug, 1, project_id=project)
        for slug, project in (("sync", here), ("sync", there), ("intake", there))
    )
    known = names(connection)
    assert known.workflow(first) == "sync v1 · Acme"
    assert known.workflow(second) == "sync v1 · Umbrella"
    assert known.workflow(other) == "intake v1"


def test_what_would_read_the_same_all_the_same_carries_its_id(connection: Connection) -> None:
    projects = [name_project(connection, "Acme") for _ in range(2)]
    workflows = [name_workflow(connection, "sync", None, project_id=projects[0]) for _ in range(2)]
    known = names(connection)
    assert [known.project(project) for project in projects] == [f"Acme · {project}" for project in projects]
    assert len({known.workflow(workflow) for workflow in workflows}) == 2


def test_an_unknown_id_reads_as_itself() -> None:
    unknown = UUID(int=7)
    assert Names().project(unknown) == Names().workflow(unknown) == Names().about_workflow(unknown) == str(unknown)


def test_projects_that_were_made_here_have_names_too_unless_meshhook_knows_better(connection: Connection) -> None:
    made = create_project(connection, "shop")
    renamed = create_project(connection, "old name")
    name_project(connection, "new name", renamed.id)
    known = names(connection)
    assert known.project(made.id) == "shop"
    assert known.project(renamed.id) == "new name"
    assert len(known.projects) == 2  # number 1 has no id


def test_a_name_is_one_readable_line(connection: Connection) -> None:
    broken = name_workflow(connection, "two\nlines\u202e", 1, name="n" * 200)
    nameless = name_workflow(connection, " ", None, name="")
    project = name_project(connection, "\u200f")
    known = names(connection)
    assert known.workflow(broken) == "two lines v1"
    assert known.displayed[str(broken)] == "n" * 79 + "…"
    assert known.workflow(nameless) == str(nameless)
    assert known.project(project) == str(project)


def test_nothing_is_named_before_a_meshhook_is_connected(connection: Connection) -> None:
    assert names(connection) == Names()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"a": "sync v10", "b": "sync v9", "c": "Intake v1"}, ["c", "b", "a"]),
        ({"10": "10", "z": "zebra", "9": "9"}, ["z", "10", "9"]),
        ({"a": "1st", "b": "first", "c": "1"}, ["c", "a", "b"]),
    ],
    ids=["versions-are-numbers", "what-has-no-name-comes-last", "text-and-digits-mix"],
)
def test_labels_are_sorted_as_people_look_for_them(labels: dict[str, str], expected: list[str]) -> None:
    assert by_name([*labels, *labels], labels.__getitem__) == expected
