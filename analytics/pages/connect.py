"""Connect: where each project's errors are sent to, and the lines that send them."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from analytics.pages.chrome import store
from analytics.pages.meshhook_view import meshhook_section
from analytics.pages.snippets import Snippet, first_snippets, otlp_snippets, sentry_snippets, trials_snippets
from ingest.exceptions import IngestError, StoreUnavailable
from ingest.keys import create_key, dsn_of, list_keys, sendable_dsn
from ingest.projects import DEFAULT, Project, create_project, list_projects
from ingest.settings import settings
from ingest.vault import Vault


@dataclass(frozen=True, slots=True)
class Address:
    """How errors of a project reach us."""

    dsn: str
    key: str
    project: str


def page() -> None:
    """Draw the page."""
    st.title("Connect", anchor=False)
    if said := st.session_state.pop("said", None):
        st.toast(said, icon=":material/check:")
    try:
        with store().connection() as connection:
            projects = list_projects(connection)
        chosen = _choose(projects)
        if address := address_of(chosen.number or DEFAULT):
            _ways(address)
        else:
            _without_key(chosen)
        meshhook_section()
        _new_project()
    except StoreUnavailable as error:
        st.warning(str(error), icon=":material/cloud_off:")


def address_of(number: int) -> Address | None:
    """The newest usable key for a project; None where there is none that can be shown."""
    options = settings()
    vault = _vault()
    with store().connection() as connection:
        keys = [key for key in list_keys(connection) if key.project_number in (None, number)]
    # A key of the project itself is better than one that may send for all.
    for key in sorted(keys, key=lambda key: (key.project_number is None, -key.created_at.timestamp())):
        if dsn := sendable_dsn(key, options.api_url, vault):
            text = dsn.partition("://")[2].partition("@")[0]
            return Address(dsn_of(options.api_url, text, str(number)), text, str(number))
    return None


def _vault() -> Vault:
    return Vault(settings().secret_key.get_secret_value())


def _choose(projects: Sequence[Project]) -> Project:
    if len(projects) == 1:
        return projects[0]
    names = {project.number: f"{project.number} · {project.name}" for project in projects}
    column, about = st.columns([1, 2], vertical_alignment="bottom")
    number = column.selectbox("Project", list(names), format_func=names.__getitem__, key="connect_project")
    chosen = next((project for project in projects if project.number == number), projects[0])
    if chosen.id is not None:
        about.caption(f"Its rows carry the project_id `{chosen.id}`.")
    return chosen


def _ways(address: Address) -> None:
    options = settings()
    st.caption("DSN")
    st.code(address.dsn, language=None, wrap_lines=True)
    native, sentry, otlp, trials = st.tabs(["Native", "Sentry SDKs", "OpenTelemetry", "Executions"])
    with native:
        st.markdown("Our Python client, or any program that can send JSON.")
        _show(first_snippets(options.api_url, address.key, address.dsn))
    with sentry:
        st.markdown("Any Sentry SDK works: change its DSN to the one above. Its sessions become executions.")
        _show(sentry_snippets(address.dsn))
    with otlp:
        st.markdown("Log records at ERROR or above, and those with an exception, become errors.")
        _show(otlp_snippets(options.api_url, address.key, address.project))
    with trials:
        st.markdown("How many executions finished, and how many of them failed: without these the rate is unknown.")
        _show(trials_snippets(options.api_url, address.key, address.project))


def _show(snippets: Sequence[Snippet]) -> None:
    for snippet in snippets:
        st.caption(snippet.label)
        st.code(snippet.text, language=snippet.language, wrap_lines=True)


def _without_key(project: Project) -> None:
    st.info("No key of this project can be shown. Keys that may send are shown where the secret key is set.")
    if st.button("New key", type="primary", icon=":material/key:"):
        _make_key(project)


def _make_key(project: Project) -> None:
    number = None if project.number == DEFAULT else project.number
    try:
        with store().connection() as connection:
            create_key(connection, f"for {project.name}", "ingest", project_number=number, vault=_vault())
    except IngestError as error:
        st.error(str(error))
    else:
        st.session_state["said"] = "The key is made."
        st.rerun()


def _new_project() -> None:
    with st.expander("New project"), st.form("new_project", border=False):
        name = st.text_input("Name", max_chars=100)
        st.caption("It gets a number for its DSN and a key of its own, which may send for nothing else.")
        if st.form_submit_button("Create", type="primary") and name.strip():
            try:
                with store().connection() as connection:
                    project = create_project(connection, name.strip())
            except IngestError as error:
                st.error(str(error))
            else:
                _make_key(project)
