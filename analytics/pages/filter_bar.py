"""The filters: one row of controls whose values stand in the URL, so that a link shows what its sender saw."""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

import streamlit as st

from analytics.filters import Filters
from analytics.pages.chrome import store
from analytics.queries import filter_choices
from ingest.models import SEVERITIES, SOURCES
from ingest.plain_text import is_plain_line

URL: Literal["query-params"] = "query-params"


@st.cache_data(ttl=15, show_spinner=False)
def known_choices() -> dict[str, list[str]]:
    """What the filters can offer, looked up every 15 seconds."""
    return filter_choices(store())


def filter_bar() -> Filters:
    """Draw the controls; answer what they say. A fingerprint comes by link or by clicking a group."""
    known = known_choices()
    source, kind, severity, workflow = st.columns([1, 1, 1, 1.6], gap="small")
    with source:
        sources = _choose("Source", "source", SOURCES)
    with kind:
        kinds = _choose("Type", "error_type", _with_linked("error_type", known["error_type"]))
    with severity:
        severities = _choose("Severity", "severity", tuple(reversed(SEVERITIES)))
    with workflow:
        workflows = _choose("Workflow", "workflow_id", _with_linked("workflow_id", known["workflow_id"]))
    return Filters(
        source=tuple(sources),
        error_type=tuple(kinds),
        severity=tuple(severities),
        workflow_id=tuple(UUID(value) for value in workflows if _is_uuid(value)),
        fingerprint=tuple(_plain(st.query_params.get_all("fingerprint")))[:20],
        project_id=tuple(UUID(value) for value in st.query_params.get_all("project_id")[:20] if _is_uuid(value)),
    )


def _choose(label: str, key: str, options: Iterable[str]) -> list[str]:
    return st.multiselect(
        label, tuple(options), key=key, placeholder=f"{label}: all", label_visibility="collapsed", bind=URL
    )


def _with_linked(name: str, known: list[str]) -> list[str]:
    """The known values and those that the URL names: a link may speak of what hasn't occurred lately."""
    linked = [value[:100] for value in _plain(st.query_params.get_all(name))[:20]]
    if name == "workflow_id":
        linked = [value for value in linked if _is_uuid(value)]
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
