"""The filters: one row of controls whose values stand in the URL, so that a link shows what its sender saw."""

from collections.abc import Callable, Iterable
from typing import Literal
from uuid import UUID

import streamlit as st

from analytics.filters import Filters
from analytics.names import Names, by_name
from analytics.pages.chrome import known_names, store
from analytics.queries import filter_choices
from ingest.exceptions import StoreUnavailable
from ingest.models import SEVERITIES, SOURCES
from ingest.plain_text import is_plain_line

URL: Literal["query-params"] = "query-params"
_MOST_LINKED = 100  # as many as a rule's scope can hold


@st.cache_data(ttl=15, show_spinner=False)
def known_choices() -> dict[str, list[str]]:
    """What the filters can offer, looked up every 15 seconds."""
    return filter_choices(store())


def filter_bar() -> Filters:
    """Draw the controls; answer what they say. A fingerprint comes by link or by clicking a group."""
    known, names = _known()
    with st.container(key="in_the_url"):
        linked_projects, linked_workflows = _linked_ids("project_id"), _linked_ids("workflow_id")
    projects = {*known["project_id"], *names.projects, *linked_projects}
    has_projects = len(projects) > 1 or bool(linked_projects)
    widths = [1, 1, 1, 1.3, 1.6] if has_projects else [1, 1, 1, 1.6]
    columns = iter(st.columns(widths, gap="small"))
    with next(columns):
        sources = _choose("Source", "source", SOURCES)
    with next(columns):
        kinds = _choose("Type", "error_type", _with_linked("error_type", known["error_type"]))
    with next(columns):
        severities = _choose("Severity", "severity", tuple(reversed(SEVERITIES)))
    if has_projects:
        with next(columns):
            _choose_named("Project", "project_id", projects, linked_projects, names.project)
    with next(columns):
        workflows = {*known["workflow_id"], *linked_workflows}
        _choose_named("Workflow", "workflow_id", workflows, linked_workflows, names.workflow)
    return Filters(
        source=tuple(sources),
        error_type=tuple(kinds),
        severity=tuple(severities),
        workflow_id=tuple(map(UUID, linked_workflows)),
        fingerprint=tuple(_plain(st.query_params.get_all("fingerprint")))[:20],
        project_id=tuple(map(UUID, linked_projects)),
    )


def _known() -> tuple[dict[str, list[str]], Names]:
    """Nothing while Postgres is away: the controls stay, and the page below them says why it shows nothing."""
    try:
        return known_choices(), known_names()
    except StoreUnavailable:
        return {"error_type": [], "workflow_id": [], "project_id": []}, Names()


def _choose(label: str, key: str, options: Iterable[str]) -> list[str]:
    return st.multiselect(
        label, tuple(options), key=key, placeholder=f"{label}: all", label_visibility="collapsed", bind=URL
    )


def _linked_ids(key: str) -> list[str]:
    """The ids that the URL names. The URL holds what a control shows, and this one, which nobody sees, shows ids."""
    values = st.multiselect(key, (), key=key, accept_new_options=True, bind=URL, on_change=_keep_linked, args=(key,))
    st.session_state[f"linked_{key}"] = values
    return list(dict.fromkeys(str(UUID(value)) for value in values if _is_uuid(value)))[:_MOST_LINKED]


def _choose_named(label: str, key: str, ids: Iterable[str], chosen: list[str], name_of: Callable[[str], str]) -> None:
    """Offer the ids by name. A choice goes into the URL's control, and comes back with the next run."""
    shown, told = f"named_{key}", f"told_{key}"
    labels = {one: name_of(one) for one in chosen}
    before: dict[str, str] = st.session_state.get(told, {})
    # A browser knows what is chosen by its labels: those that changed have to be told anew.
    if st.session_state.get(shown) != chosen or any(before.get(one, text) != text for one, text in labels.items()):
        st.session_state[shown] = chosen
    st.session_state[told] = labels
    st.multiselect(
        label,
        by_name(ids, name_of),
        format_func=name_of,
        key=shown,
        placeholder=f"{label}: all",
        label_visibility="collapsed",
        on_change=_put_into_the_url,
        args=(key,),
    )


def _put_into_the_url(key: str) -> None:
    link(key, st.session_state[f"named_{key}"])


def link(key: str, ids: list[str]) -> None:
    """Have the URL name these projects (`project_id`) or workflows (`workflow_id`), in a callback."""
    st.session_state[key] = st.session_state[f"linked_{key}"] = ids


def _keep_linked(key: str) -> None:
    """Nobody can change the URL's control: what a browser says of it is what it hasn't heard of yet. A page that
    refreshes itself says so amid a choice, and would take the choice back."""
    link(key, st.session_state[f"linked_{key}"])


def _with_linked(name: str, known: list[str]) -> list[str]:
    """The known values and those that the URL names: a link may speak of what hasn't occurred lately."""
    linked = [value[:100] for value in _plain(st.query_params.get_all(name))[:20]]
    return sorted({*known, *linked, *st.session_state.get(name, [])})


def _plain(values: list[str]) -> list[str]:
    """Those that can occur: a link may hold anything, also what Postgres doesn't take."""
    return [value for value in values if is_plain_line(value)]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
