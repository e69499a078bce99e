"""Errors: the groups, which of them need somebody, and what becomes of them. It refreshes itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from analytics.exceptions import AnalyticsError
from analytics.filters import Filters
from analytics.groups import NOBODY, SORTS, GroupFilters, GroupList, Sort, State, list_groups
from analytics.pages.chrome import known_names, signed_in, store, zone
from analytics.pages.filter_bar import URL, filter_bar, link
from analytics.pages.first_steps import first_steps
from analytics.pages.group_actions import action_buttons, forget_choice, known_users, merge_button, plain_label, said
from analytics.pages.group_look import LOOK
from analytics.pages.group_rows import address, group_rows
from analytics.pages.group_view import group_page
from analytics.pages.overview import RANGES
from analytics.queries import has_errors
from ingest.exceptions import StoreUnavailable
from ingest.plain_text import is_plain_line

_REFRESH_SECONDS = 5
_PER_PAGE = 25
_POINTS = {"15m": 30, "1h": 30, "6h": 36, "24h": 24, "7d": 28}  # bars of a length that people say
_LONGEST_TEXT = 200
_TABS: dict[str, tuple[str, tuple[State, ...]]] = {  # by what stands in the address
    "open": ("Open", ("open", "regressed")),
    "regressed": ("Came back", ("regressed",)),
    "resolved": ("Resolved", ("resolved",)),
    "ignored": ("Ignored", ("ignored",)),
    "all": ("All", ()),
}
_SORTS: dict[str, Sort] = {label.lower(): sort for sort, label in SORTS.items()}
_ANYONE, _ME, _NO_ONE = "anyone", "me", "nobody"


def page() -> None:
    """Draw the list, or the group that the address names."""
    st.html(LOOK)
    linked = st.query_params.get("group")
    title, chooser = st.columns([1, 2], vertical_alignment="center")
    with title:
        if linked:
            st.html(f'<a class="mh-back" href="{address(parameters(), group="")}" target="_self">‹ All groups</a>')
        else:
            st.title("Errors", anchor=False)
    with chooser, st.container(horizontal=True, horizontal_alignment="right"):
        chosen = st.segmented_control(
            "Range",
            list(RANGES),
            default="24h",
            key="range",
            label_visibility="collapsed",
            required=True,
            bind=URL,
        )
    if linked:
        group_page(linked, RANGES[chosen or "24h"])
        return
    dimensions = filter_bar()
    assignee, text, sort, idle = _more_filters()
    _live(chosen or "24h", dimensions, assignee, text, sort, idle)


def parameters() -> list[tuple[str, str]]:
    """What stands in the address."""
    return [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]


def _more_filters() -> tuple[str | None, str, Sort, bool]:
    with st.container(key="more_filters"):
        columns = st.columns([1.6, 1.4, 1.2, 1.3], gap="small", vertical_alignment="center")
    text = columns[0].text_input(
        "Search",
        key="text",
        max_chars=_LONGEST_TEXT,
        placeholder="Search titles, or a fingerprint",
        icon=":material/search:",
        label_visibility="collapsed",
        bind=URL,
    )
    assignee = columns[1].selectbox(
        "Assigned to",
        _assignees(),
        key="assignee",
        label_visibility="collapsed",
        bind=URL,
    )
    sort = columns[2].selectbox(
        "Sort",
        list(_SORTS),
        key="sort",
        label_visibility="collapsed",
        bind=URL,
    )
    idle = columns[3].toggle(
        "Quiet ones too", key="quiet", help="Also groups without an error in this range.", bind=URL
    )
    searched = (text or "").strip()
    return _whose(assignee), searched if is_plain_line(searched) else "", _SORTS[sort], idle


def _assignees() -> list[str]:
    """Who can be chosen. A name has an @ before it, so that one who is called «me» is somebody else."""
    try:
        names = known_users()
    except StoreUnavailable:
        names = []
    return [_ANYONE, *([_ME] if signed_in() else []), _NO_ONE, *(f"@{name}" for name in names)]


def _whose(chosen: str) -> str | None:
    user = signed_in()
    if chosen == _ME and user:
        return user.name
    return {_ANYONE: None, _NO_ONE: NOBODY}.get(chosen, chosen.removeprefix("@"))


@st.fragment(run_every=_REFRESH_SECONDS)
def _live(chosen: str, dimensions: Filters, assignee: str | None, text: str, sort: Sort, idle: bool) -> None:
    asked = (chosen, dimensions, assignee, text, sort, idle)
    if st.session_state.get("asked") != asked:
        if "asked" in st.session_state:  # other filters: what was chosen and the place in the list are over
            forget_choice()
            st.query_params.pop("page", None)
        st.session_state["asked"] = asked
    if st.session_state.pop("drawn_anew", False):  # the controls above have changed
        st.rerun()
    # Boxes that were left for another page are empty when one comes back.
    st.session_state["picked"] = [
        one for one in st.session_state.get("picked", []) if st.session_state.get(f"pick_{one}")
    ]
    said()
    try:
        listing = _shown(chosen, GroupFilters((), assignee, text, dimensions), sort, idle)
        if listing is None:
            first_steps()
        else:
            _draw(listing, is_narrowed=bool(assignee is not None or text or dimensions.active()), idle=idle)
    except StoreUnavailable as error:
        st.warning(f"{error} This page goes on by itself.", icon=":material/cloud_off:")
    except AnalyticsError as error:
        st.error(str(error))


def _shown(chosen: str, filters: GroupFilters, sort: Sort, idle: bool) -> GroupList | None:
    """The list as of now; as it was while groups of it are chosen, so that none moves away under the pointer. None
    where there was never an error."""
    if st.session_state.get("picked") and (kept := st.session_state.get("listing")) is not None:
        return kept  # type: ignore[no-any-return]
    now = datetime.now(UTC)
    listing = list_groups(
        store(),
        now - RANGES[chosen],
        now,
        GroupFilters(_TABS[_tab()][1], filters.assignee, filters.text, filters.dimensions),
        sort=sort,
        limit=_PER_PAGE,
        page=_page(),
        points=_POINTS[chosen],
        idle=idle,
    )
    if not sum(listing.by_state.values()) and not has_errors(store()):
        return None
    st.session_state["listing"] = listing
    return listing


def _tab() -> str:
    tab = st.query_params.get("state", "open")
    return tab if tab in _TABS else "open"


def _page() -> int:
    text = st.query_params.get("page", "1")
    return min(max(int(text), 1), 10_000) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _draw(listing: GroupList, *, is_narrowed: bool, idle: bool) -> None:
    groups = listing.groups.to_dicts()
    picked = [group for group in groups if group["fingerprint"] in st.session_state.get("picked", [])]
    user = signed_in()
    with st.container(key="group_bar", horizontal=True, vertical_alignment="center", gap="small"):
        if picked and user:
            st.html(f'<b class="mh-count">{len(picked)} chosen</b>', width="content")
            action_buttons(picked, user)
            merge_button(picked)
            st.button("Clear", key="clear_choice", type="tertiary", on_click=forget_choice)
        else:
            _tabs(listing)
            _pages(listing)
    if not groups:
        _nothing(listing, is_narrowed=is_narrowed, idle=idle)
        return
    now = datetime.now(UTC)
    with st.container(key="group_list", horizontal=True):
        if user:
            with st.container(key="picks", width="content"):
                _checkboxes(groups)
        here = parameters()
        st.html(
            group_rows(
                listing,
                [group["fingerprint"] for group in picked],
                link=lambda fingerprint: address(here, group=fingerprint, page=""),
                names=known_names(),
                zone=zone(),
                now=now,
            )
        )
    said_below = "Paused while groups are chosen" if picked else "Live, refreshed every five seconds"
    st.html(f'<div class="mh-live {"mh-paused" if picked else ""}"><i></i>{said_below}</div>')


def _tabs(listing: GroupList) -> None:
    """The states with the number of groups that the other filters leave of each."""
    now = _tab()
    for tab, (label, states) in _TABS.items():
        number = sum(count for state, count in listing.by_state.items() if not states or state in states)
        st.button(
            f"{label} {number:,}",
            key=f"tab_{tab}{'_now' if tab == now else ''}",
            type="tertiary",
            on_click=_choose_tab,
            args=(tab,),
            help="Those that came back are open, too." if tab == "open" else None,
        )


def _choose_tab(tab: str) -> None:
    forget_choice()
    st.query_params.pop("page", None)
    st.query_params["state"] = tab


def _pages(listing: GroupList) -> None:
    """Where this page stands among the others."""
    page = _page()
    first = (page - 1) * _PER_PAGE
    last = first + listing.groups.height
    if listing.matching <= _PER_PAGE and page == 1:
        return
    with st.container(key="group_pages", horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        place = f"{first + 1:,}–{last:,} of {listing.matching:,}" if last > first else f"{listing.matching:,}"
        st.html(f'<span class="mh-place">{place}</span>', width="content")
        for label, step, is_end in (("‹ Previous", -1, page == 1), ("Next ›", 1, last >= listing.matching)):
            st.button(label, key=f"turn_{step}", disabled=is_end, on_click=_turn_to, args=(page + step,))


def _turn_to(page: int) -> None:
    forget_choice()
    st.query_params["page"] = str(page)


def _checkboxes(groups: Sequence[dict[str, Any]]) -> None:
    """One for all and one for each row of the table beside them, which has rows of the same height."""
    st.checkbox(
        "Choose all on this page",
        key="pick_all",
        label_visibility="collapsed",
        on_change=_choose_all,
        args=([group["fingerprint"] for group in groups],),
    )
    for group in groups:
        st.checkbox(
            f"Choose {plain_label(group['title'])}",
            key=f"pick_{group['fingerprint']}",
            label_visibility="collapsed",
            on_change=_choose,
            args=(group["fingerprint"],),
        )


def _choose(fingerprint: str) -> None:
    picked: list[str] = [one for one in st.session_state.get("picked", []) if one != fingerprint]
    is_chosen = bool(st.session_state[f"pick_{fingerprint}"])
    st.session_state["picked"] = [*picked, fingerprint] if is_chosen else picked
    if not is_chosen:
        st.session_state["pick_all"] = False


def _choose_all(fingerprints: Sequence[str]) -> None:
    are_chosen = bool(st.session_state["pick_all"])
    for fingerprint in fingerprints:
        st.session_state[f"pick_{fingerprint}"] = are_chosen
    st.session_state["picked"] = list(fingerprints) if are_chosen else []


def _nothing(listing: GroupList, *, is_narrowed: bool, idle: bool) -> None:
    """Why there is nothing, and one click to what there is."""
    tab = _TABS[_tab()][0].lower()
    others = sum(listing.by_state.values())
    with st.container(key="nothing", horizontal_alignment="center", gap="small"):
        if others:
            st.markdown(
                f"**No group of these is {tab}.**" if tab != "came back" else "**None of these came back.**",
                width="content",
            )
            st.button(f"Show all {others:,}", key="show_all", on_click=_choose_tab, args=("all",))
        elif is_narrowed:
            st.markdown("**No group matches these filters in this range.**", width="content")
        else:
            st.markdown("**No errors in this range.**", width="content")
        with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
            if is_narrowed and not others:
                st.button("Clear the filters", key="clear_filters", type="primary", on_click=_clear_filters)
            if not idle and not others:
                st.button("Show quiet groups too", key="show_quiet", on_click=_show_quiet)


def _clear_filters() -> None:
    """As if the page was opened anew, with its range and its tab."""
    for name in ("source", "error_type", "severity"):
        if name in st.session_state:
            st.session_state[name] = []
    for name in ("workflow_id", "project_id"):
        link(name, [])
    st.session_state["text"] = ""
    st.session_state["assignee"] = _ANYONE
    st.query_params.pop("fingerprint", None)
    st.session_state["drawn_anew"] = True


def _show_quiet() -> None:
    st.session_state["quiet"] = True
    st.session_state["drawn_anew"] = True
