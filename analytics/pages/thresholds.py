"""Thresholds: the alert rules and where they stand, and the channels that messages go to."""

from collections.abc import Callable
from html import escape
from typing import Literal

import streamlit as st
from pydantic import ValidationError

from analytics.alert_store import (
    RuleView,
    create_channel,
    delete_channel,
    delete_rule,
    list_channels,
    list_rules,
    update_rule,
)
from analytics.exceptions import AnalyticsError
from analytics.names import Names
from analytics.pages.chrome import known_names, store
from analytics.pages.rule_form import close_form, rule_form
from analytics.rules import SIGNALS, AlertRule, Channel, ChannelDraft, RuleDraft, missing_for
from analytics.wording import explained_in_a_form
from ingest.exceptions import IngestError, StoreUnavailable
from ingest.settings import settings
from ingest.vault import Vault

_NEW = "new"
_Colour = Literal["green", "orange", "red", "gray"]
_STATES: dict[str, tuple[str, _Colour]] = {
    "ok": ("OK", "green"),
    "pending": ("Pending", "orange"),
    "firing": ("Firing", "red"),
    "off": ("Off", "gray"),
}
_KINDS = {"slack": "Slack", "email": "E-mail"}
_UNITS = {
    "count": "errors",
    "rate_per_minute": "per min",
    "error_rate_percent": "%",
    "new_groups": "groups",
    "regressed_groups": "groups",
}


def page() -> None:
    """Draw the page."""
    st.title("Thresholds", anchor=False)
    if said := st.session_state.pop("said", None):
        st.toast(said, icon=":material/check:")
    try:
        rules, channels = st.tabs(["Alert rules", "Channels"])
        with rules:
            _rules()
        with channels:
            _channels()
    except StoreUnavailable as error:
        st.warning(str(error), icon=":material/cloud_off:")


def _rules() -> None:
    with store().connection() as connection:
        views = list_rules(connection)
    editing = st.session_state.get("editing")
    if editing == _NEW:
        with st.container(border=True):
            st.subheader("New rule", anchor=False)
            rule_form(None)
        return
    if editing is not None:
        for view in views:
            if str(view.rule.id) == editing:
                with st.container(border=True):
                    st.subheader(view.rule.name, anchor=False)
                    rule_form(view.rule)
                return
        close_form()
    if st.button("New rule", type="primary", icon=":material/add:"):
        st.session_state["editing"] = _NEW
        st.rerun()
    if not views:
        st.caption("No rule yet. A rule watches a count or a rate and tells people when it crosses a threshold.")
    names = known_names()
    for view in views:
        _row(view, names)


def _row(view: RuleView, names: Names) -> None:
    rule = view.rule
    label, colour = _STATES[view.state if rule.enabled else "off"]
    with st.container(border=True, key=f"rule_{rule.id}"):
        about, value, actions = st.columns([3, 1.1, 2.1], vertical_alignment="center")
        with about, st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"about_{rule.id}"):
            st.badge(label, color=colour)
            st.html(f'<b>{escape(rule.name)}</b><br><span class="mh-dim">{escape(_in_words(rule, names))}</span>')
        if view.value is not None and rule.enabled and view.state != "ok":
            value.html(f'<b>{view.value:,.4g}</b> <span class="mh-dim">{_UNITS[rule.signal]}</span>')
        with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            st.toggle("On", rule.enabled, key=f"on_{rule.id}", on_change=_switch, args=(rule,))
            st.button("Edit", key=f"edit_{rule.id}", on_click=_edit, args=(rule,))
            with st.popover("Delete"):
                st.markdown(f"Delete **{escape(rule.name)}**? An open alert of it is resolved.")
                st.button("Delete it", key=f"delete_{rule.id}", type="primary", on_click=_delete, args=(rule,))


def _in_words(rule: AlertRule, names: Names) -> str:
    unit = {"rate_per_minute": " per minute", "error_rate_percent": " %"}.get(rule.signal, "")
    called: dict[str, Callable[[object], str]] = {"workflow_id": names.workflow, "project_id": names.project}
    scope = "; ".join(
        f"{name.removesuffix('_id').replace('_', ' ')} {', '.join(map(called.get(name, str), values))}"
        for name, values in rule.scope.filters().active().items()
    )
    lasting = f" for {rule.for_seconds} s" if rule.for_seconds else ""
    text = f"{SIGNALS[rule.signal]} ≥ {rule.threshold:g}{unit} over {rule.window_seconds} s{lasting}"
    return f"{text} · {scope}" if scope else text


def _edit(rule: AlertRule) -> None:
    st.session_state["editing"] = str(rule.id)


def _switch(rule: AlertRule) -> None:
    turned = RuleDraft.model_validate(rule.model_dump(exclude={"id"}) | {"enabled": st.session_state[f"on_{rule.id}"]})
    with store().connection() as connection:
        update_rule(connection, rule.id, turned)


def _delete(rule: AlertRule) -> None:
    with store().connection() as connection:
        delete_rule(connection, rule.id)
    st.session_state["said"] = f"«{rule.name}» is deleted."


def _channels() -> None:
    with store().connection() as connection:
        channels = list_channels(connection)
    if not channels:
        st.caption("No channel yet. Add a Slack incoming webhook or mail addresses, then choose the channel in a rule.")
    for channel in channels:
        _channel_row(channel)
    with st.container(border=True):
        st.subheader("New channel", anchor=False)
        kind = st.segmented_control(
            "Kind", list(_KINDS), default="slack", format_func=_KINDS.__getitem__, required=True
        )
        fresh = st.session_state.setdefault("channels_added", 0)  # what was refused stays in the fields
        with st.form("new_channel", border=False):
            name = st.text_input("Name", max_chars=100, key=f"channel_name_{fresh}")
            url = to = ""
            if kind == "email":
                to = st.text_input("Addresses, separated by commas", key=f"channel_to_{fresh}")
            else:
                url = st.text_input(
                    "Incoming webhook address",
                    type="password",
                    key=f"channel_url_{fresh}",
                    help="Kept encrypted, never shown again.",
                )
            if st.form_submit_button("Add channel", type="primary"):
                _add_channel(name, kind or "slack", url, to)


def _add_channel(name: str, kind: str, url: str, to: str) -> None:
    addresses = tuple(address.strip() for address in to.split(",") if address.strip())
    try:
        draft = ChannelDraft.model_validate(
            {"name": name, "kind": kind, "webhook_url": url or None, "to": addresses if kind == "email" else ()}
        )
        with store().connection() as connection:
            create_channel(connection, draft, Vault(settings().secret_key.get_secret_value()))
    except ValidationError as error:
        for sentence in explained_in_a_form(error.errors(include_url=False)):
            st.error(sentence)
    except (AnalyticsError, IngestError) as error:
        st.error(str(error))
    else:
        hint = missing_for(draft.kind, settings())
        st.session_state["said"] = f"Channel «{draft.name}» is added." + (f" {hint}" if hint else "")
        st.session_state["channels_added"] += 1
        st.rerun()


def _channel_row(channel: Channel) -> None:
    where = ", ".join(channel.settings.get("to", [])) or "incoming webhook, address kept encrypted"
    kind = _KINDS.get(channel.kind, channel.kind)
    with st.container(border=True, key=f"channel_{channel.id}"):
        about, action = st.columns([5, 1], vertical_alignment="center")
        about.html(f'<b>{escape(channel.name)}</b><br><span class="mh-dim">{kind} · {escape(where)}</span>')
        with action, st.container(horizontal=True, horizontal_alignment="right"), st.popover("Delete"):
            st.button("Delete it", key=f"remove_{channel.id}", on_click=_remove_channel, args=(channel,))


def _remove_channel(channel: Channel) -> None:
    try:
        with store().connection() as connection:
            delete_channel(connection, channel.id)
    except AnalyticsError as error:
        st.session_state["said"] = str(error)
