"""What somebody who is signed in does about groups: the buttons, for one group and for several alike."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analytics import group_store
from analytics.accounts import User, list_users
from analytics.exceptions import AnalyticsError
from analytics.group_store import assign, ignore, reopen, resolve
from analytics.groups import GroupFilters, list_groups
from analytics.pages.chrome import signed_in, store, zone
from ingest.database import Connection
from ingest.exceptions import StoreUnavailable
from ingest.plain_text import is_plain_line

Json = dict[str, Any]
Deed = Callable[[Connection, str, str], None]  # on a connection, about a fingerprint, by somebody
_FOR_TIMES = {"an hour": timedelta(hours=1), "a day": timedelta(days=1), "a week": timedelta(weeks=1)}
_FOR_ERRORS = (10, 100, 1000)
_NOT_PLAIN = re.compile(r"([^\w\s])")


@st.cache_data(ttl=15, show_spinner=False)
def known_users() -> list[str]:
    """The names of those who can sign in."""
    with store().connection() as connection:
        return [account.name for account in list_users(connection)]


def plain_label(text: str, longest: int = 80) -> str:
    """Text for a control's label, which would be read as Markdown."""
    line = " ".join(text.split())
    cut = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return _NOT_PLAIN.sub(r"\\\1", cut)


def said() -> None:
    """Tell what the last click did, or why it couldn't."""
    if done := st.session_state.pop("group_done", None):
        st.toast(done, icon=":material/check:")
    if failed := st.session_state.pop("group_failed", None):
        st.error(failed, icon=":material/error:")


def attempt(done: str, deed: Callable[[Connection, str], None]) -> bool:
    """Do something in the name of who is signed in, whole or not at all; answers whether it was done."""
    user = signed_in()
    if user is None:
        return False
    try:
        with store().connection() as connection, connection.transaction():
            deed(connection, user.name)
    except (AnalyticsError, StoreUnavailable) as error:
        st.session_state["group_failed"] = str(error)
        return False
    st.session_state["group_done"] = done
    return True


def _each(groups: Sequence[str], done: str, deed: Deed) -> None:
    """The same for each of some groups. What was chosen in a list is done with."""

    def all_of_them(connection: Connection, by: str) -> None:
        for fingerprint in sorted(groups):  # in one order, so that two people can't wait for each other
            deed(connection, fingerprint, by)

    what = "The group" if len(groups) == 1 else f"{len(groups)} groups"
    verb = "is" if len(groups) == 1 else "are"
    if attempt(f"{what} {verb} {done}.", all_of_them):
        forget_choice()


def forget_choice() -> None:
    """Nothing is chosen any more."""
    for key in [str(key) for key in st.session_state if str(key).startswith("pick_")]:
        st.session_state[key] = False
    st.session_state["picked"] = []


def action_buttons(groups: Sequence[Json], user: User) -> None:
    """Resolve, reopen, ignore and assign `groups` (their `fingerprint`, `state`, `assignee`), in the container that is
    open."""
    fingerprints = [group["fingerprint"] for group in groups]
    states = {group["state"] for group in groups}
    if states != {"resolved"}:
        st.button(
            "Resolve",
            key="resolve",
            icon=":material/check:",
            type="primary",
            on_click=_each,
            args=(fingerprints, "resolved", resolve),
        )
    if states - {"open"}:
        st.button(
            "Reopen", key="reopen", icon=":material/undo:", on_click=_each, args=(fingerprints, "open again", reopen)
        )
    with st.popover("Ignore", icon=":material/notifications_off:", key="ignore"), _choices("ignore"):
        _ignore_choices(fingerprints)
    with st.popover("Assign", icon=":material/person:", key="assign"), _choices("assign"):
        _assign_choices(fingerprints, {group["assignee"] for group in groups}, user)


def _choices(name: str) -> DeltaGenerator:
    """Buttons below each other, as in a menu."""
    return st.container(key=f"choices_{name}", gap="xxsmall")


def _ignore_choices(fingerprints: Sequence[str]) -> None:
    st.caption("Nobody has to look at it")
    for words, length in _FOR_TIMES.items():
        st.button(
            f"for {words}",
            key=f"ignore_{words}",
            width="stretch",
            type="tertiary",
            on_click=_ignore_for,
            args=(fingerprints, length),
        )
    for number in _FOR_ERRORS:
        st.button(
            f"for {number:,} more errors",
            key=f"ignore_{number}",
            width="stretch",
            type="tertiary",
            on_click=_each,
            args=(fingerprints, "ignored", _until_errors(number)),
        )
    st.button(
        "until somebody opens it",
        key="ignore_always",
        width="stretch",
        type="tertiary",
        on_click=_each,
        args=(fingerprints, "ignored", ignore),
    )
    _ignore_until_then(fingerprints)


def _ignore_until_then(fingerprints: Sequence[str]) -> None:
    """A moment of the reader's zone; one that is over is refused with a sentence."""
    then: datetime | None = st.datetime_input(
        "until then, in your time zone", value=None, key="ignore_at", step=900, format="YYYY-MM-DD"
    )
    st.button(
        "Ignore until then",
        key="ignore_until",
        width="stretch",
        disabled=then is None,
        on_click=_ignore_at,
        args=(fingerprints, then),
    )


def _ignore_at(fingerprints: Sequence[str], then: datetime) -> None:
    until = then.replace(tzinfo=ZoneInfo(zone()))
    _each(fingerprints, "ignored", lambda c, group, by: ignore(c, group, by, until=until))


def _ignore_for(fingerprints: Sequence[str], length: timedelta) -> None:
    until = datetime.now(UTC) + length
    _each(fingerprints, "ignored", lambda c, group, by: ignore(c, group, by, until=until))


def _until_errors(number: int) -> Deed:
    return lambda connection, group, by: ignore(connection, group, by, errors=number)


def _assign_choices(fingerprints: Sequence[str], now: set[str | None], user: User) -> None:
    users = [user.name, *(name for name in known_users() if name != user.name)]
    if now != {user.name}:
        st.button(
            "to me", key="assign_me", width="stretch", type="tertiary", on_click=_assign, args=(fingerprints, user.name)
        )
    if now != {None}:
        st.button(
            "to nobody",
            key="assign_nobody",
            width="stretch",
            type="tertiary",
            on_click=_assign,
            args=(fingerprints, None),
        )
    if len(users) > 1:
        chosen = st.selectbox(
            "to", users[1:], index=None, key="assign_to", placeholder="to somebody else", label_visibility="collapsed"
        )
        st.button(
            "Assign",
            key="assign_other",
            width="stretch",
            disabled=chosen is None,
            on_click=_assign,
            args=(fingerprints, chosen),
        )


def _assign(fingerprints: Sequence[str], whose: str | None) -> None:
    done = "nobody's now" if whose is None else f"assigned to {plain_label(whose)}"
    _each(fingerprints, done, lambda connection, group, by: assign(connection, group, by, whose))


def merge_button(groups: Sequence[Json]) -> None:
    """Merge the chosen groups into one of them; the one with most errors is proposed."""
    ordered = sorted(groups, key=lambda group: (-group["total"], group["fingerprint"]))
    titles = {group["fingerprint"]: f"{group['title'][:80]} ({group['total']:,})" for group in ordered}
    with st.popover("Merge", icon=":material/merge:", key="merge", disabled=len(groups) < 2):
        if len(groups) < 2:
            return
        st.caption("They count as one group from now on. State and assignee are those of")
        into = st.selectbox(  # another one for each choice: what was proposed for the last one is none of this
            "into",
            list(titles),
            format_func=titles.__getitem__,
            key=f"merge_into_{' '.join(sorted(titles))}",
            label_visibility="collapsed",
        )
        others = [fingerprint for fingerprint in titles if fingerprint != into]
        st.button(
            f"Merge {len(groups)} groups",
            key="merge_chosen",
            type="primary",
            width="stretch",
            on_click=_merge,
            args=(into, others),
        )


def _merge(into: str, others: Sequence[str]) -> None:
    if attempt("They are one group now.", lambda connection, by: group_store.merge(connection, into, others, by)):
        forget_choice()


def merge_into_button(group: Json) -> None:
    """Merge one group into another, which is searched for."""
    with st.popover("Merge into", icon=":material/merge:", key="merge_into_another"):
        text = st.text_input(
            "Search",
            key="merge_text",
            max_chars=200,
            icon=":material/search:",
            placeholder="Search titles, or a fingerprint",
            label_visibility="collapsed",
        )
        searched = (text or "").strip()
        if not searched:
            st.caption("Both count as one group from now on. State and assignee are those of the one that you choose.")
            return
        titles = _found(searched) if is_plain_line(searched) else {}
        titles.pop(group["fingerprint"], None)
        if not titles:
            st.caption("No other group matches.")
            return
        into = st.selectbox(
            "into", list(titles), format_func=titles.__getitem__, key="merge_target", label_visibility="collapsed"
        )
        st.button(
            "Merge into it",
            key="merge_this",
            type="primary",
            width="stretch",
            on_click=_merge_into,
            args=(into, group["fingerprint"]),
        )


def _found(text: str) -> dict[str, str]:
    """Groups by their fingerprints, those first that were seen last."""
    now = datetime.now(UTC)
    found = list_groups(
        store(), now - timedelta(hours=1), now, GroupFilters(text=text), limit=50, points=1, idle=True
    ).groups
    return {
        fingerprint: f"{title[:80]} ({total:,})"
        for fingerprint, title, total in found.select("fingerprint", "title", "total").iter_rows()
    }


def _merge_into(into: str, fingerprint: str) -> None:
    """Where it went, the page goes, too."""
    if attempt("They are one group now.", lambda c, by: group_store.merge(c, into, [fingerprint], by)):
        st.session_state["merge_text"] = ""
        st.query_params["group"] = into
