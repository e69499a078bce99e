"""Where people choose or read a workflow or a project, they see names; the address keeps the ids."""

from uuid import UUID, uuid4

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analytics.alert_store import create_rule, list_rules
from analytics.rules import RuleDraft, Scope
from ingest.database import Connection
from tests.analytics.meshhook_rows import name_project, name_workflow
from tests.analytics.opening import figures, opened, text_of
from tests.seeding import insert_error

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
def workflows(connection: Connection) -> dict[str, UUID]:
    """Three workflows of one project, the first with 2 errors, the second with 1, and an unnamed one with 4."""
    project = name_project(connection, "Acme")
    ids = {
        label: name_workflow(connection, "lead-intake", int(label[-2:].strip("v")), project_id=project)
        for label in ("lead-intake v9", "lead-intake v10", "lead-intake v8")
    } | {"unnamed": uuid4()}
    for label, count in (("lead-intake v9", 2), ("lead-intake v10", 1), ("unnamed", 4)):
        for _ in range(count):
            insert_error(connection, workflow_id=ids[label], project_id=project)
    return ids


def choice(page: AppTest, key: str) -> list[str]:
    """What a control of the filter bar offers."""
    return list(page.multiselect(key=f"named_{key}").options)


def keys(page: AppTest) -> list[str]:
    return [str(control.key) for control in page.multiselect]


@pytest.mark.parametrize("page", ["overview", "history"])
def test_workflows_are_offered_by_name_and_the_address_holds_ids(workflows: dict[str, UUID], page: str) -> None:
    test = opened(page)
    assert choice(test, "workflow_id") == ["lead-intake v9", "lead-intake v10", str(workflows["unnamed"])]
    chosen = str(workflows["lead-intake v9"])
    test.multiselect(key="named_workflow_id").select(chosen).run()
    assert test.query_params["workflow_id"] == chosen
    if page == "overview":
        assert figures(test)["Errors in range"] == "2"
    test.multiselect(key="named_workflow_id").unselect(chosen).run()
    assert "workflow_id" not in test.query_params
    assert not test.exception


@pytest.mark.parametrize("as_written", [str.lower, str.upper])
def test_a_link_with_ids_shows_names(workflows: dict[str, UUID], as_written: object) -> None:
    linked = str(workflows["lead-intake v9"]), str(workflows["lead-intake v8"])
    page = opened("overview", workflow_id=[*map(as_written, linked), "nonsense"])  # type: ignore[call-overload]
    assert page.multiselect(key="named_workflow_id").value == [*linked]
    assert "lead-intake v8" in choice(page, "workflow_id")  # it had no error lately
    assert figures(page)["Errors in range"] == "2"


def test_the_control_shows_what_the_address_says_by_now(workflows: dict[str, UUID]) -> None:
    page = opened("overview", workflow_id=str(workflows["lead-intake v9"]))
    page.session_state["workflow_id"] = [str(workflows["lead-intake v10"])]
    page.run()
    assert page.multiselect(key="named_workflow_id").value == [str(workflows["lead-intake v10"])]
    assert figures(page)["Errors in range"] == "1"


def test_a_rule_s_whole_scope_fits_into_a_link(connection: Connection) -> None:
    linked = [uuid4() for _ in range(60)]
    for workflow_id in linked:
        insert_error(connection, workflow_id=workflow_id)
    assert figures(opened("overview", workflow_id=list(map(str, linked))))["Errors in range"] == "60"


def test_a_chosen_workflow_stays_chosen_when_it_gets_another_name(
    connection: Connection, workflows: dict[str, UUID]
) -> None:
    page = opened("overview")
    chosen = str(workflows["lead-intake v9"])
    page.multiselect(key="named_workflow_id").select(chosen).run()
    connection.execute("update workflow_names set slug = 'renamed'")
    st.cache_data.clear()
    page.run()
    assert "renamed v9" in choice(page, "workflow_id")
    told_to_the_browser = page.multiselect(key="named_workflow_id").proto
    assert (told_to_the_browser.set_value, list(told_to_the_browser.raw_values)) == (True, ["renamed v9"])
    assert page.multiselect(key="named_workflow_id").value == [chosen]
    assert figures(page)["Errors in range"] == "2"


def test_one_project_is_no_choice(connection: Connection) -> None:
    insert_error(connection, project_id=name_project(connection, "Acme"))
    insert_error(connection)
    assert "named_project_id" not in keys(opened("overview"))


@pytest.mark.parametrize("is_named", [True, False], ids=["by-name", "by-rows-alone"])
def test_projects_are_a_choice_as_soon_as_there_are_two(connection: Connection, is_named: bool) -> None:
    ids = [uuid4(), uuid4()]
    insert_error(connection, project_id=ids[0])
    if is_named:
        for name, project_id in zip(("Umbrella", "Acme"), ids, strict=True):
            name_project(connection, name, project_id)
    else:
        insert_error(connection, project_id=ids[1])
    page = opened("overview")
    assert choice(page, "project_id") == (["Acme", "Umbrella"] if is_named else sorted(map(str, ids)))
    page.multiselect(key="named_project_id").select(str(ids[0])).run()
    assert page.query_params["project_id"] == str(ids[0])
    assert figures(page)["Errors in range"] == "1"


def test_a_linked_project_narrows_and_can_be_taken_out(connection: Connection) -> None:
    only = uuid4()
    insert_error(connection, project_id=only)
    insert_error(connection)
    page = opened("overview", project_id=str(only))
    assert figures(page)["Errors in range"] == "1"
    page.multiselect(key="named_project_id").unselect(str(only)).run()
    assert figures(page)["Errors in range"] == "2"
    assert figures(opened("overview", project_id="nonsense"))["Errors in range"] == "2"


def test_a_rule_is_scoped_by_names(connection: Connection, workflows: dict[str, UUID]) -> None:
    other = name_project(connection, "Umbrella")
    page = opened("thresholds")
    page.button[0].click().run()
    page.text_input(key="name_new").input("Umbrella fails").run()
    offered = list(page.multiselect(key="workflow_id_new").options)
    assert offered == ["lead-intake v8", "lead-intake v9", "lead-intake v10", str(workflows["unnamed"])]
    assert list(page.multiselect(key="project_id_new").options) == ["Acme", "Umbrella"]
    page.multiselect(key="workflow_id_new").select(str(workflows["lead-intake v8"])).run()
    page.multiselect(key="project_id_new").select(str(other)).run()
    page.button(key="save_new").click().run()
    (view,) = list_rules(connection)
    assert view.rule.scope == Scope(workflow_id=(workflows["lead-intake v8"],), project_id=(other,))
    assert "workflow lead-intake v8; project Umbrella" in text_of(page)
    assert not page.exception


@pytest.mark.parametrize("signal", ["count", "error_rate_percent"])
def test_a_rule_that_is_edited_keeps_its_scope(connection: Connection, signal: str) -> None:
    scope = Scope(workflow_id=(uuid4(),), project_id=(uuid4(),))
    draft = RuleDraft.model_validate({"name": "Theirs", "threshold": 5, "signal": signal, "scope": scope})
    rule = create_rule(connection, draft)
    page = opened("thresholds")
    page.button(key=f"edit_{rule.id}").click().run()
    page.number_input(key=f"threshold_{rule.id}").set_value(7.0).run()
    page.button(key=f"save_{rule.id}").click().run()
    (view,) = list_rules(connection)
    assert (view.rule.threshold, view.rule.scope) == (7.0, scope)


def test_a_scope_survives_that_workflows_get_other_names_while_the_form_is_open(
    connection: Connection, workflows: dict[str, UUID]
) -> None:
    page = opened("thresholds")
    page.button[0].click().run()
    page.multiselect(key="workflow_id_new").select(str(workflows["lead-intake v9"])).run()
    connection.execute("update workflow_names set slug = 'renamed'")
    st.cache_data.clear()
    for name in ("Still", "Still the same"):
        page.text_input(key="name_new").input(name)
        page.multiselect(key="workflow_id_new").set_value(["lead-intake v9"])  # as a browser tells it
        page.run()
    page.button(key="save_new").click().run()
    (view,) = list_rules(connection)
    assert view.rule.scope.workflow_id == (workflows["lead-intake v9"],)
    assert "workflow renamed v9" in text_of(page)
    page.button(key=f"edit_{view.rule.id}").click().run()
    assert "renamed v8" in page.multiselect(key=f"workflow_id_{view.rule.id}").options


def test_an_error_tells_its_workflow_and_project_by_name(connection: Connection) -> None:
    project = name_project(connection, "Acme <b>")
    workflow = name_workflow(connection, "lead-intake", 3, name="Lead intake", project_id=project)
    step, error_id = uuid4(), insert_error(connection, workflow_id=workflow, project_id=project)
    connection.execute("update error_metrics set metadata = jsonb_build_object('step_error_id', %s::text)", (step,))
    said = text_of(opened("history", error_id=str(error_id)))
    assert f"<dd>lead-intake v3<small>Lead intake</small><small>{workflow}</small></dd>" in said
    assert f"<dd>Acme &lt;b&gt;<small>{project}</small></dd>" in said
    assert f'<a href="/history?error_id={step}" target="_self">The step\'s error</a>' in said
    assert "<dt>step_error_id</dt>" not in said


def test_an_error_of_an_unknown_workflow_shows_the_id_once(connection: Connection) -> None:
    workflow = uuid4()
    error_id = insert_error(connection, workflow_id=workflow, metadata='{"step_error_id": "<i>none"}')
    said = text_of(opened("history", error_id=str(error_id)))
    assert f"<dd>{workflow}</dd>" in said
    assert "<dt>step_error_id</dt><dd>&lt;i&gt;none</dd>" in said
    assert "step's error" not in said


def test_the_latest_errors_name_their_workflows(connection: Connection) -> None:
    insert_error(connection)
    assert "mh-roomy" not in text_of(opened("overview"))
    workflow = name_workflow(connection, "lead-<b>", 3, name="Lead intake")
    insert_error(connection, workflow_id=workflow)
    st.cache_data.clear()
    said = text_of(opened("overview"))
    cell = f'<td class="mh-dim mh-roomy" title="Lead intake · {workflow}">lead-&lt;b&gt; v3</td>'
    assert cell in said
    assert '<td class="mh-dim mh-roomy"></td>' in said  # the other one has none
