"""The connection to MeshHook as people see it: a section of Connect, and a line on Overview when it needs a look."""

from datetime import UTC, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

import streamlit as st

from analytics.meshhook_state import MeshhookState, meshhook_state
from analytics.pages.chrome import store, zone
from analytics.pages.tables import in_words
from ingest.exceptions import StoreUnavailable

_REFRESH_SECONDS = 5
_ALLOWED = timedelta(seconds=30)
_ALLOWED_ON_OVERVIEW = timedelta(seconds=60)
_COMMAND = "meshhook-errors connect-meshhook"


@st.cache_data(ttl=_REFRESH_SECONDS, show_spinner=False)
def _known_state() -> MeshhookState | None:
    with store().connection() as connection:
        return meshhook_state(connection)


def meshhook_warning(now: datetime) -> None:
    """A line, where MeshHook is connected and failures may be missing. Raises StoreUnavailable."""
    state = _known_state()
    said = [] if state is None else _problems(state, now, _ALLOWED_ON_OVERVIEW)
    if said:
        link = '<a href="/connect" target="_self">Connect</a> shows more.'
        st.html(f'<div class="mh-warning" role="status"><i></i>{escape(" ".join(said))} {link}</div>')


@st.fragment(run_every=_REFRESH_SECONDS)
def meshhook_section() -> None:
    """Whether MeshHook is connected and how that goes, or how to connect it."""
    try:
        with store().connection() as connection:
            state = meshhook_state(connection)
    except StoreUnavailable as error:
        st.warning(str(error), icon=":material/cloud_off:")
        return
    now = datetime.now(UTC)
    with st.container(border=True, key="meshhook"):
        if state is None or not state.is_connected:
            _heading("Not connected", "gray")
            _how_to_connect(state)
            return
        problems = _problems(state, now, _ALLOWED)
        _heading("Needs a look" if problems else "Connected", "orange" if problems else "green")
        if problems:
            st.warning(" ".join(problems), icon=":material/warning:")
        st.html(_facts(state, now))


def _heading(state: str, colour: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("MeshHook", anchor=False, width="content")
        st.badge(state, color=colour)  # type: ignore[arg-type]


def _how_to_connect(state: MeshhookState | None) -> None:
    if state is not None and state.disconnected_at is not None:
        st.caption(f"It was connected until {_moment(state.disconnected_at)}.")
    st.markdown("Where MeshHook stands in the same database, one command has its failures captured:")
    st.code(_COMMAND, language="bash")
    st.caption(
        "It sets triggers on MeshHook's own tables, which hand over each failure as it commits. The jobs also read "
        "MeshHook's event log, for what a trigger missed and for runs that are stuck. Nothing changes in MeshHook's "
        "code, and `meshhook-errors disconnect-meshhook` takes the triggers away again."
    )


def _problems(state: MeshhookState, now: datetime, allowed: timedelta) -> list[str]:
    """What is wrong with a connection, each in a sentence."""
    said = []
    if state.is_behind(now, allowed):
        read = "was never read" if state.read_at is None else f"was last read {in_words(now - state.read_at)} ago"
        said.append(f"MeshHook's event log {read}: failures show late until the jobs read it again.")
    if state.is_connected and state.lost:
        weren_t, aren_t = ("wasn't", "isn't") if state.lost == 1 else ("weren't", "aren't")
        said.append(f"{state.lost:,} of MeshHook's failures {weren_t} captured and {aren_t} recovered yet.")
    return said


def _facts(state: MeshhookState, now: datetime) -> str:
    read = "not read yet" if state.read_at is None else f"read {in_words(now - state.read_at)} ago"
    waiting = "empty"
    if state.oldest_waiting is not None:
        waits = "it waits" if state.waiting == 1 else "the oldest waits"
        waiting = f"{_failures(state.waiting)}, {waits} for {in_words(now - state.oldest_waiting)}"
    rows = (
        ("Since", f"{_moment(state.connected_at)}, for {in_words(now - state.connected_at)}"),
        ("Event log", read),
        ("Inbox", waiting),
        ("Triggers", _missed(state)),
    )
    cells = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="mh-facts">{cells}</dl>'


def _missed(state: MeshhookState) -> str:
    missed = max(state.misses, state.recovered)  # a trigger that is gone can't count what it misses
    if not missed:
        return "captured every failure"
    if missed == 1:
        found = (
            "; it was recovered from the event log"
            if state.recovered
            else " and isn't recovered from the event log yet"
        )
        return f"1 failure wasn't captured by the triggers{found}"
    were = "was" if state.recovered == 1 else "were"
    return (
        f"{_failures(missed)} weren't captured by the triggers, "
        f"{state.recovered:,} of them {were} recovered from the event log"
    )


def _failures(number: int) -> str:
    return f"{number:,} {'failure' if number == 1 else 'failures'}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(zone())):%Y-%m-%d %H:%M %Z}"
