"""The form for one alert rule, with a preview that follows every change."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st
from pydantic import ValidationError

from analytics.alert_store import create_rule, list_channels, update_rule
from analytics.backtest import backtest, signal_series
from analytics.charts import threshold_chart
from analytics.evaluation import Transition
from analytics.exceptions import AnalyticsError
from analytics.names import Names, by_name
from analytics.pages.chrome import known_names, mode, store, zone
from analytics.pages.filter_bar import known_choices
from analytics.rule_history import rule_counts
from analytics.rules import GROUP_EVENTS, SIGNALS, AlertRule, Channel, RuleDraft
from analytics.wording import explained_in_a_form
from ingest.models import SEVERITIES, SOURCES

_PREVIEW = timedelta(hours=3)
_NO_DATA = {"keep": "stays as it is", "resolve": "resolves", "fire": "fires"}
_UNITS = {
    "count": "errors in the window",
    "rate_per_minute": "errors per minute",
    "error_rate_percent": "percent failed",
    "new_groups": "new groups in the window",
    "regressed_groups": "groups that came back in the window",
}


def rule_form(rule: AlertRule | None) -> None:
    """Draw the form for a new rule or an existing one. Saving it closes the form."""
    key = "new" if rule is None else str(rule.id)
    with store().connection() as connection:
        channels = list_channels(connection)
    entered = _entered(rule, channels, key)
    has_name = bool(entered["name"].strip())
    draft: RuleDraft | None = None
    try:
        draft = RuleDraft.model_validate(entered if has_name else entered | {"name": "New rule"})
    except ValidationError as error:
        for sentence in explained_in_a_form(error.errors(include_url=False)):
            st.error(sentence)
    if draft is not None:
        _preview(draft)
    save, cancel, hint = st.columns([1, 1, 4], vertical_alignment="center")
    if not has_name:
        hint.caption("Give the rule a name to save it.")
    is_ready = draft is not None and has_name
    if save.button("Save", type="primary", disabled=not is_ready, key=f"save_{key}", width="stretch") and draft:
        _save(rule, draft)
    if cancel.button("Cancel", key=f"cancel_{key}", width="stretch"):
        close_form()
        st.rerun()


def close_form() -> None:
    """Show the list again."""
    st.session_state.pop("editing", None)
    st.session_state.pop("names_in_form", None)


def _save(rule: AlertRule | None, draft: RuleDraft) -> None:
    try:
        with store().connection() as connection:
            if rule is None:
                create_rule(connection, draft)
            else:
                update_rule(connection, rule.id, draft)
    except AnalyticsError as error:
        st.error(str(error))
        return
    close_form()
    st.session_state["said"] = f"«{draft.name}» is saved and evaluated from now on."
    st.rerun()


def _entered(rule: AlertRule | None, channels: Sequence[Channel], key: str) -> dict[str, Any]:
    """What stands in the controls, as plain values."""
    before = rule or RuleDraft(name="New rule", threshold=10)
    name, signal = st.columns([1.4, 1])
    entered: dict[str, Any] = {
        "name": name.text_input("Name", "" if rule is None else before.name, key=f"name_{key}", max_chars=100),
        "signal": signal.selectbox(
            "Signal",
            list(SIGNALS),
            list(SIGNALS).index(before.signal),
            format_func=SIGNALS.__getitem__,
            key=f"signal_{key}",
        ),
        "enabled": before.enabled,
    }
    threshold, window, lasting, keeping = st.columns(4, vertical_alignment="bottom")
    is_on_groups = entered["signal"] in GROUP_EVENTS
    entered["threshold"] = threshold.number_input(
        f"Threshold ({_UNITS[entered['signal']]})",
        # A figure for errors makes no sense for groups, so each has its own field.
        value=float(before.threshold) if is_on_groups == (before.signal in GROUP_EVENTS) else 1.0,
        min_value=0.0,
        format="%g",
        key=f"threshold_groups_{key}" if is_on_groups else f"threshold_{key}",
    )
    entered["window_seconds"] = window.number_input(
        "Window (seconds)", value=before.window_seconds, min_value=10, max_value=86_400, step=10, key=f"window_{key}"
    )
    entered["for_seconds"] = lasting.number_input(
        "For at least (seconds)",
        value=before.for_seconds,
        min_value=0,
        max_value=86_400,
        step=10,
        key=f"for_{key}",
        help="How long the breach must last before the alert fires.",
    )
    entered["keep_firing_seconds"] = keeping.number_input(
        "Resolve after (seconds)",
        value=before.keep_firing_seconds,
        min_value=0,
        max_value=86_400,
        step=10,
        key=f"keep_{key}",
        help="How long all must be well before the alert resolves.",
    )
    if entered["signal"] == "error_rate_percent":
        entered |= _rate_options(before, key)
    entered["scope"] = _scope(before, key, is_rate=entered["signal"] == "error_rate_percent")
    names = {channel.id: f"{channel.name} ({channel.kind})" for channel in channels}
    entered["channel_ids"] = st.multiselect(
        "Tell",
        list(names),
        [channel for channel in before.channel_ids if channel in names],
        format_func=names.__getitem__,
        key=f"channels_{key}",
        placeholder="Nobody: the alert shows on this page only",
    )
    return entered


def _rate_options(before: RuleDraft, key: str) -> dict[str, Any]:
    least, unknown = st.columns(2)
    return {
        "min_executions": least.number_input(
            "Executions needed to tell a rate", value=before.min_executions, min_value=1, key=f"least_{key}"
        ),
        "no_data": unknown.selectbox(
            "With fewer, the alert",
            list(_NO_DATA),
            list(_NO_DATA).index(before.no_data),
            format_func=_NO_DATA.__getitem__,
            key=f"nodata_{key}",
            help="«Stays as it is» also means: an alert that fires goes on firing for as long as the traffic is away.",
        ),
    }


def _scope(before: RuleDraft, key: str, *, is_rate: bool) -> dict[str, list[Any]]:
    known, scope = known_choices(), before.scope
    # As they were when the form was opened: what is chosen is known by its name in the browser.
    names: Names = st.session_state.setdefault("names_in_form", known_names())
    workflows, projects = tuple(map(str, scope.workflow_id)), tuple(map(str, scope.project_id))
    fields: list[tuple[str, str, Iterable[str], tuple[str, ...], Callable[[str], str]]] = [
        ("source", "Source", SOURCES, scope.source, str)
    ]
    if not is_rate:
        fields += [
            ("error_type", "Type", known["error_type"], scope.error_type, str),
            ("severity", "Severity", reversed(SEVERITIES), scope.severity, str),
        ]
    known_projects = {*known["project_id"], *names.projects, *projects}
    if len(known_projects) > 1 or projects:
        fields.append(("project_id", "Project", known_projects, projects, names.project))
    known_workflows = {*known["workflow_id"], *names.workflows}
    fields.append(("workflow_id", "Workflow", known_workflows, workflows, names.workflow))
    chosen: dict[str, list[Any]] = {"project_id": [], "fingerprint": [] if is_rate else list(scope.fingerprint)}
    in_a_row = 4 if len(fields) <= 4 else 3
    rows = [fields[start : start + in_a_row] for start in range(0, len(fields), in_a_row)]
    for row in rows:
        for column, (field, label, options, default, name_of) in zip(st.columns(len(row)), row, strict=True):
            every = by_name({*options, *default}, name_of)
            chosen[field] = column.multiselect(
                label, every, list(default), format_func=name_of, key=f"{field}_{key}", placeholder="all"
            )
    return chosen


def _preview(draft: RuleDraft) -> None:
    """The rule against the last hours: the evaluator that would have run, over what happened."""
    now = datetime.now(UTC)
    counts = rule_counts(store(), draft, now - _PREVIEW - timedelta(seconds=draft.window_seconds), now)
    times = sum(told.transition is Transition.FIRED for told in backtest(draft, counts))
    values = signal_series(draft, counts)
    shown = values.filter(values["bucket"] >= now - _PREVIEW)
    st.altair_chart(
        threshold_chart(shown, draft.threshold, _UNITS[draft.signal], zone=zone(), mode=mode()),
        width="stretch",
        theme=None,
    )
    often = {0: "not have fired", 1: "have fired once"}.get(times, f"have fired {times} times")
    st.caption(f"In the last 3 hours this rule would {often}.")
