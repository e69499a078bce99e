"""The form for one rule of classification, with what it would have caught before it is saved."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st
from pydantic import ValidationError

from analytics.classification_preview import Preview, preview
from analytics.classification_store import Rulebook, RuleView, change_rule, create_rule, delete_rule, rulebook
from analytics.classification_words import HANDLED, LAST_TRY, as_text, from_text, tags_as_lines, tags_of_lines
from analytics.exceptions import AnalyticsError
from analytics.pages.chrome import store, who, zone
from analytics.pages.classification_tables import changes_table, examples_table
from analytics.pages.filter_bar import known_choices
from analytics.wording import explained
from ingest.classification import Conditions, Rule
from ingest.classification.titles import PLACEHOLDERS
from ingest.exceptions import StoreUnavailable
from ingest.models import ERROR_TYPES, SEVERITIES, SOURCES
from ingest.settings import settings

_OPEN = "rule_in_form"
_NEXT = "as the next rule says"
_BY_TRIES = "by its tries"
_UNNAMED = "new-rule"
_MOST_CHANGES = 12
_NAME_HELP = "Small letters, digits and -. Errors name the rule that decided about them."
_WILDCARDS = "`*` stands for anything."
_EXPRESSIONS = "RE2 expressions, searched in the message and in the exception's own."
_LABELS = {"message": "Message has", "http_status": "HTTP status", "error_type": "Type"}


def open_form(view: RuleView | None) -> None:
    """Show the form for a new rule or an existing one, in the state in which it was seen."""
    if view is not None:
        st.query_params["rule"] = view.rule.name
    st.session_state[_OPEN] = ("" if view is None else view.rule.name, None if view is None else view.updated_at)


def opened_for(book: Rulebook) -> str | None:
    """The name of the rule that the form is open for, empty for a new one; None where it is closed. A link opens it."""
    linked = st.query_params.get("rule")
    if _OPEN not in st.session_state and linked is not None and (view := book.view(linked)) is not None:
        open_form(view)
    opened: tuple[str, datetime | None] | None = st.session_state.get(_OPEN)
    return None if opened is None else opened[0]


def close_form() -> None:
    """Show the list again."""
    st.session_state.pop(_OPEN, None)
    if "rule" in st.query_params:
        del st.query_params["rule"]


def rule_form(book: Rulebook, view: RuleView | None) -> None:
    """Draw the form. Saving closes it."""
    key = "new" if view is None else view.rule.name
    if view is not None and view.reason:
        st.caption(view.reason)
    name, position, is_enabled = _name_and_place(book, view, key)
    entered = {"when": _conditions(None if view is None else view.rule.when, key)} | _result(view, key)
    draft = _draft(entered | {"name": name or _UNNAMED}, is_new=view is None)
    is_tried = draft is not None and _preview(draft, view, position)
    save, cancel, hint, delete = st.columns([1, 1, 3.2, 0.8], vertical_alignment="center")
    if not name:
        hint.caption("Give the rule a name to save it.")
    is_ready = is_tried and bool(name)
    if save.button("Save", type="primary", disabled=not is_ready, key=f"save_{key}", width="stretch") and draft:
        _save(view, draft, position, is_enabled=is_enabled)
    if cancel.button("Cancel", key=f"cancel_{key}", width="stretch"):
        close_form()
        st.rerun()
    if view is not None and view.updated_at is not None:
        with delete, st.container(horizontal=True, horizontal_alignment="right"):
            _offer_to_delete(view)


def _name_and_place(book: Rulebook, view: RuleView | None, key: str) -> tuple[str, int | None, bool]:
    """The name, for a new rule its place among one's own, from 1, and whether it is on."""
    if view is not None:
        is_shipped = view.origin != "own"
        name_column, switch = st.columns([2, 1], vertical_alignment="bottom")
        name = name_column.text_input(
            "Name", view.rule.name, key=f"name_{key}", max_chars=64, disabled=is_shipped, help=_NAME_HELP
        )
        with switch, st.container(horizontal=True, horizontal_alignment="right"):
            is_enabled = st.toggle("On", view.is_enabled, key=f"on_{key}")
        return name.strip(), None, is_enabled
    name_column, place_column = st.columns([2, 1])
    name = name_column.text_input("Name", key=f"name_{key}", max_chars=64, placeholder="crm-is-away", help=_NAME_HELP)
    places = ["first", *(f"after {other}" for other in book.movable)]
    place = place_column.selectbox(
        "Place among your rules",
        range(1, len(places) + 1),
        len(places) - 1,
        format_func=lambda number: places[number - 1],
        key=f"place_{key}",
        help="The first rule that holds decides.",
    )
    return name.strip(), place, True


def _conditions(before: Conditions | None, key: str) -> dict[str, Any]:
    """What the rule looks for, as plain values; what is empty asks for nothing."""
    when = before or Conditions()
    st.markdown("**When all of these hold** – of several lines in one field, any")
    entered: dict[str, Any] = {}
    exception, message = st.columns(2)
    entered["exception"] = _lines(exception, "Exception", when.exception, key, "TimeoutError\npsycopg.*", _WILDCARDS)
    entered["message"] = _lines(message, "Message has", when.message, key, "connection (refused|reset)", _EXPRESSIONS)
    source, status, node_type, logger = st.columns(4)
    entered["source"] = source.multiselect(
        "Source", list(SOURCES), list(when.source), key=f"source_{key}", placeholder="any"
    )
    entered["http_status"] = _lines(status, "HTTP status", when.http_status, key, "5xx", "404, 4xx or 500-504.")
    entered["node_type"] = _lines(node_type, "Node type", when.node_type, key, "http_call", _WILDCARDS)
    entered["logger"] = _lines(logger, "Logger", when.logger, key, "app.billing.*", _WILDCARDS)
    tags, first, last, last_try, handled = st.columns([1.6, 0.7, 0.7, 1, 1])
    tag_lines = _lines(tags, "Tags", tags_as_lines(when.tags), key, "region = eu", f"NAME = VALUE. {_WILDCARDS}")
    entered["tags"] = tags_of_lines(tag_lines)
    attempt = when.attempt
    tries = {
        "from": first.number_input(
            "From try", 0, None, None if attempt is None else attempt.first, key=f"from_{key}", placeholder="any"
        ),
        "to": last.number_input(
            "To try", 0, None, None if attempt is None else attempt.last, key=f"to_{key}", placeholder="any"
        ),
    }
    entered["attempt"] = tries if any(number is not None for number in tries.values()) else None
    entered["last_try"] = _yes_no(last_try, "Which try", LAST_TRY, when.last_try, key)
    entered["handled"] = _yes_no(handled, "Caught", HANDLED, when.handled, key)
    return entered


def _lines(column: Any, label: str, before: Sequence[str], key: str, example: str, about: str) -> list[str]:
    """What stands in a field, a value a line."""
    text: str = column.text_area(
        label,
        as_text(before),
        key=f"{label.lower().replace(' ', '_')}_{key}",
        height=68 if len(before) < 3 else 130,
        placeholder=example,
        help=f"{about} One a line.",
    )
    return from_text(text)


def _yes_no(column: Any, label: str, words: dict[bool, str], before: bool | None, key: str) -> bool | None:
    answers: dict[str, bool | None] = {"either": None, words[True]: True, words[False]: False}
    chosen = column.selectbox(
        label,
        list(answers),
        list(answers.values()).index(before),
        key=f"{label.lower().replace(' ', '_')}_{key}",
    )
    return answers[chosen]


def _result(view: RuleView | None, key: str) -> dict[str, Any]:
    """What the rule says an error is; what is open is None."""
    before = None if view is None else view.rule
    st.markdown("**Then the error is**")
    kind, severity, title = st.columns([1, 1, 2])
    known = dict.fromkeys([*ERROR_TYPES, *known_choices()["error_type"]])
    if before is not None and before.error_type is not None:
        known[before.error_type] = None
    kinds = [_NEXT, *known]
    chosen = kind.selectbox(
        "Type",
        kinds,
        kinds.index((before.error_type or _NEXT) if before is not None else "execution"),
        accept_new_options=True,
        key=f"error_type_{key}",
        help="Choose one, or type a new word.",
    )
    open_severity = _NEXT if chosen == _NEXT else _BY_TRIES
    severities = ["", *reversed(SEVERITIES)]
    return {
        "error_type": None if chosen == _NEXT else chosen,
        "severity": severity.selectbox(
            "Severity",
            severities,
            severities.index((before.severity or "") if before is not None else ""),
            format_func=lambda name: name or open_severity,
            key=f"severity_{key}",
            help="By its tries: low where it will be tried again, high at the last try; otherwise by its type.",
        )
        or None,
        "title": title.text_input(
            "Title",
            (before.title or "") if before is not None else "",
            key=f"title_{key}",
            max_chars=200,
            placeholder="the usual one",
            help=f"May hold {', '.join(f'`{{{name}}}`' for name in PLACEHOLDERS)}.",
        ).strip()
        or None,
    }


def _draft(entered: dict[str, Any], *, is_new: bool) -> Rule | None:
    """The rule, or what keeps it from being one: said plainly for a new one that nobody has filled in yet."""
    try:
        return Rule.model_validate(entered)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    is_empty = is_new and not any(entered["when"].values())
    if is_empty and all(not problem["loc"] for problem in problems):
        st.caption("Say what to look for, and what it means: what the rule would have caught is shown here.")
        return None
    for sentence in explained({**problem, "loc": _label(problem["loc"])} for problem in problems):
        st.error(sentence)
    return None


def _label(place: tuple[int | str, ...]) -> tuple[str, ...]:
    """The label of the field that is meant."""
    names = [str(part) for part in place if part != "when"][:1]
    return tuple(_LABELS.get(name, name.replace("_", " ").capitalize()) for name in names)


def _preview(draft: Rule, view: RuleView | None, position: int | None) -> bool:
    """What the draft would have caught; whether it could be tried."""
    replaces = None if view is None else view.rule.name
    try:
        with st.spinner("Trying it on the last days…", show_time=False):
            found = _found(draft.model_dump_json(), replaces, position, settings().postgres_days)
    except (AnalyticsError, StoreUnavailable) as error:
        st.error(str(error))
        return False
    with st.container(border=True, key="preview"):
        st.html(f'<div class="mh-preview"><b>{found.caught:,}</b> {_summary(found)}</div>')
        if found.changes:
            st.html(changes_table(found.changes[:_MOST_CHANGES]))
            st.html(examples_table(found.examples))
    return True


@st.cache_data(ttl=20, max_entries=200, show_spinner=False)
def _found(draft: str, replaces: str | None, position: int | None, days: int) -> Preview:
    with store().connection() as connection:
        return preview(
            connection,
            rulebook(connection),
            Rule.model_validate_json(draft),
            datetime.now(UTC),
            replaces=replaces,
            position=position,
            days=days,
        )


def _summary(found: Preview) -> str:
    since = found.since.astimezone(ZoneInfo(zone()))
    if found.is_all:
        days = round((datetime.now(UTC) - found.since) / timedelta(days=1))
        which = "1 error" if found.looked_at == 1 else f"the {found.looked_at:,} errors"
        which = f"{which} of the last {days} days"
    else:
        which = f"the newest {found.looked_at:,} errors, since {since:%Y-%m-%d %H:%M}"
    more = []
    if found.kept_as_given:
        more.append(f"{found.kept_as_given:,} more keep what their sender said")
    if found.without_details:
        more.append(f"{found.without_details:,} were only counted, and can't be tried")
    return f"of {which} would have been caught{'; ' if more else ''}{'; '.join(more)}."


def _offer_to_delete(view: RuleView) -> None:
    name, is_own = view.rule.name, view.origin == "own"
    with st.popover("Delete" if is_own else "Reset"):
        st.markdown(f"Delete `{name}`?" if is_own else f"Give `{name}` back as it was shipped?")
        if st.button("Delete it" if is_own else "Reset it", key=f"delete_{name}", type="primary"):
            _delete(name)


def _delete(name: str) -> None:
    _, seen = st.session_state[_OPEN]
    try:
        with store().connection() as connection:
            delete_rule(connection, name, seen=seen)
    except (AnalyticsError, StoreUnavailable) as error:
        st.error(str(error))
        return
    close_form()
    st.session_state["said"] = f"«{name}» is gone."
    st.rerun()


def _save(view: RuleView | None, draft: Rule, position: int | None, *, is_enabled: bool) -> None:
    _, seen = st.session_state[_OPEN]
    try:
        changed_by = who()
        with store().connection() as connection:
            if view is None:
                create_rule(connection, draft, changed_by, position=position)
            else:
                change_rule(connection, view.rule.name, draft, changed_by, is_enabled=is_enabled, seen=seen)
    except (AnalyticsError, StoreUnavailable) as error:
        st.error(str(error))
        return
    close_form()
    st.session_state["said"] = f"«{draft.name}» is saved, and in force within seconds."
    st.rerun()
