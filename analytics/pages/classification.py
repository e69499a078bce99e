"""Classification: the rules that say what kind of error one is, and how bad, in the order in which they are asked."""

from collections.abc import Callable, Sequence
from datetime import datetime

import streamlit as st

from analytics.classification_store import (
    DamagedView,
    Rulebook,
    RuleView,
    change_rule,
    delete_rule,
    order_rules,
    rulebook,
)
from analytics.classification_words import conditions
from analytics.exceptions import AnalyticsError
from analytics.pages.chrome import store, who
from analytics.pages.classification_form import close_form, open_form, opened_for, rule_form
from analytics.pages.classification_tables import result_cell, rule_cell, shipped_table
from ingest.exceptions import StoreUnavailable

_ABOUT = (
    "The first rule that holds decides an error's type and severity. A change is in force within seconds; what is "
    "stored already keeps what it has."
)


def page() -> None:
    """Draw the page."""
    st.title("Classification", anchor=False)
    if said := st.session_state.pop("said", None):
        st.toast(said, icon=":material/check:")
    try:
        with store().connection() as connection:
            book = rulebook(connection)
        name = opened_for(book)
        if name is not None:
            _form(book, name)
        else:
            _list(book)
    except StoreUnavailable as error:
        st.warning(str(error), icon=":material/cloud_off:")


def _form(book: Rulebook, name: str) -> None:
    view = book.view(name) if name else None
    if name and view is None:
        close_form()
        st.rerun()
    with st.container(border=True):
        st.subheader(name or "New rule", anchor=False)
        rule_form(book, view)


def _list(book: Rulebook) -> None:
    if refused := st.session_state.pop("refused", None):
        st.error(refused)
    for damaged in book.damaged:
        _damaged(damaged)
    about, find, add = st.columns([3, 1.2, 0.7], vertical_alignment="center")
    about.caption(_ABOUT)
    wanted = find.text_input("Find", placeholder="Find a rule", label_visibility="collapsed", key="find_rule")
    add.button("New rule", type="primary", icon=":material/add:", on_click=open_form, args=(None,), width="stretch")
    own = [view for view in book.rules if view.origin == "own"]
    shipped = [view for view in book.rules if view.origin != "own"]
    st.subheader("Your rules", anchor=False)
    if not own:
        st.caption("None yet. Your rules are asked before the shipped ones.")
    _own_rows(_found(own, wanted), book)
    st.subheader("Shipped rules", anchor=False)
    if found := _found(shipped, wanted):
        st.html(shipped_table(found))
    else:
        st.caption("None of them says so.")


def _found(views: Sequence[RuleView], wanted: str) -> list[RuleView]:
    """Those in which the text stands somewhere."""
    sought = wanted.strip().casefold()
    return [view for view in views if sought in _text(view).casefold()]


def _text(view: RuleView) -> str:
    rule = view.rule
    looked_for = (f"{each.words} {' '.join(each.values)}" for each in conditions(rule.when))
    result = (rule.error_type, rule.severity, rule.title, view.reason)
    return " ".join([rule.name, *looked_for, *filter(None, result)])


def _own_rows(views: Sequence[RuleView], book: Rulebook) -> None:
    for view in views:
        name = view.rule.name
        with st.container(key=f"rule_row_{name.replace('.', '_')}"):
            about, result, actions = st.columns([3, 1.3, 1.7], vertical_alignment="center")
            about.html(rule_cell(view))
            result.html(result_cell(view))
            with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
                _actions(view, book)


def _actions(view: RuleView, book: Rulebook) -> None:
    name = view.rule.name
    place = book.movable.index(name)
    for words, way, step in (("Move up", "upward", -1), ("Move down", "downward", 1)):
        st.button(
            "",
            icon=f":material/arrow_{way}:",
            help=words,
            type="tertiary",
            key=f"{way}_{name}",
            disabled=not 0 <= place + step < len(book.movable),
            on_click=_move,
            args=(book, name, step),
        )
    st.toggle(
        f"{name} is on",
        view.is_enabled,
        key=f"on_{name}_{view.updated_at}",
        label_visibility="collapsed",
        on_change=_switch,
        args=(view,),
    )
    st.button("Edit", key=f"edit_{name}", on_click=open_form, args=(view,))


def _damaged(view: DamagedView) -> None:
    with st.container(key=f"damaged_{view.name}"):
        about, action = st.columns([6, 1], vertical_alignment="center")
        about.warning(
            f"The stored rule `{view.name}` can't be used and decides nothing: {view.problem}",
            icon=":material/warning:",
        )
        with action, st.container(horizontal=True, horizontal_alignment="right"), st.popover("Delete"):
            st.markdown(f"{view.changed_by} wrote it, or a newer version did.")
            key = f"delete_damaged_{view.name}"
            st.button("Delete it", key=key, type="primary", on_click=_delete, args=(view.name, view.updated_at))


def _move(book: Rulebook, name: str, step: int) -> None:
    names = list(book.movable)
    place = names.index(name)
    names.insert(place + step, names.pop(place))

    def move() -> None:
        with store().connection() as connection:
            order_rules(connection, names, version=book.version)

    _tried(move, "")


def _switch(view: RuleView) -> None:
    name = view.rule.name
    is_enabled = bool(st.session_state[f"on_{name}_{view.updated_at}"])

    def switch() -> None:
        changed_by = who()
        with store().connection() as connection:
            change_rule(connection, name, view.rule, changed_by, is_enabled=is_enabled, seen=view.updated_at)

    _tried(switch, f"«{name}» is {'on' if is_enabled else 'off'}.")


def _delete(name: str, seen: datetime) -> None:
    def delete() -> None:
        with store().connection() as connection:
            delete_rule(connection, name, seen=seen)

    _tried(delete, f"«{name}» is deleted.")


def _tried(change: Callable[[], None], said: str) -> None:
    """Make a change; what stands in its way is said at the top of the page."""
    try:
        change()
    except (AnalyticsError, StoreUnavailable) as error:
        st.session_state["refused"] = str(error)
    else:
        st.session_state["said"] = said
