"""One group: what it is, how often it happens and where, its newest error whole, and what people did and said."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import polars as pl
import streamlit as st

from analytics.charts import fitting_interval, severity_chart
from analytics.events import error_by_id
from analytics.exceptions import AnalyticsError, NotFound
from analytics.filters import Filters
from analytics.groups import GroupDetails, breakdown, group_details
from analytics.latest import latest_errors
from analytics.names import Names
from analytics.nodes import node_counts
from analytics.pages.chrome import known_names, mode, severity_mark, signed_in, store, zone
from analytics.pages.event_view import event_view
from analytics.pages.group_actions import action_buttons, merge_into_button, said
from analytics.pages.group_rows import about, ago, badge
from analytics.pages.group_story import history_html, members_section, notes_section
from analytics.pages.tables import events_table
from analytics.queries import error_series, whole_buckets
from ingest.exceptions import StoreUnavailable
from ingest.plain_text import is_plain_line

Json = dict[str, Any]
_REFRESH_SECONDS = 5
_LATEST = 10
_SAMPLE = 100
_MOST_VALUES = 6


def group_page(fingerprint: str, length: timedelta) -> None:
    """Draw the group that this fingerprint belongs to, with its errors of the last `length`."""
    said()
    try:
        details = group_details(store(), fingerprint if is_plain_line(fingerprint) else "")  # a link may hold anything
        _headline(details)
        _live(details.group["fingerprint"], details.filters(), length)
        with st.container(key="lists_group"):
            main, aside = st.columns([2.1, 1], gap="large")
        with main:
            _by_itself(lambda: _newest(details))
        with aside:
            _by_itself(lambda: _where(details.filters(), length))
            notes_section(details)
            members_section(details)
            st.subheader("History", anchor=False)
            st.html(history_html(details, zone(), datetime.now(UTC)))
    except NotFound:
        st.info("No group has this fingerprint, or none of its errors has come yet.")
    except StoreUnavailable as error:
        st.warning(str(error), icon=":material/cloud_off:")
    except AnalyticsError as error:
        st.error(str(error))


def _by_itself(draw: Callable[[], None]) -> None:
    """A part that reads the lake: where that fails, what stands beside it is still of use."""
    try:
        draw()
    except (AnalyticsError, StoreUnavailable) as error:
        st.warning(str(error), icon=":material/cloud_off:")


def _headline(details: GroupDetails) -> None:
    group = details.group
    now = datetime.now(UTC)
    user = signed_in()
    title, whose = escape(group["title"]), group["assignee"]
    texts = [about(group, known_names())]
    texts += [f"assigned to <b><bdi>{escape(whose)}</bdi></b>"] if whose else []
    st.html(
        f'<div class="mh-group"><h2 title="{title}">{severity_mark(group["severity"])}<bdi>{title}</bdi></h2>'
        f'<div class="mh-about">{badge(group, zone(), now)}<span>{" · ".join(texts)}</span>'
        f'<code title="Fingerprint">{escape(group["fingerprint"])}</code></div></div>'
    )
    if user:
        with st.container(key="group_bar", horizontal=True, vertical_alignment="center", gap="small"):
            action_buttons([group], user)
            merge_into_button(group)


@st.fragment(run_every=_REFRESH_SECONDS)
def _live(fingerprint: str, filters: Filters, length: timedelta) -> None:
    """Figures and chart. What somebody reads or writes below stays as it is."""
    try:
        _figures_and_chart(fingerprint, filters, length)
    except StoreUnavailable as error:
        st.warning(f"{error} This page goes on by itself.", icon=":material/cloud_off:")
    except AnalyticsError as error:
        st.error(str(error))


def _figures_and_chart(fingerprint: str, filters: Filters, length: timedelta) -> None:
    now = datetime.now(UTC)
    interval = max(10, fitting_interval(length.total_seconds()))
    start, end = whole_buckets(now - length, now + timedelta(seconds=1), interval)
    group = group_details(store(), fingerprint).group
    by_severity = error_series(store(), start, end, interval, filters, "severity")
    errors = int(by_severity["errors"].sum())
    every = int(error_series(store(), start, end, interval, Filters())["errors"].sum())
    share = "-" if not every else "< 0.1 %" if 0 < errors < every / 1000 else f"{100 * errors / every:.1f} %"
    figures = (
        ("Errors in range", f"{errors:,}"),
        ("Share of all errors", f'<span title="{errors:,} of {every:,} in this range">{share}</span>'),
        ("Total", f"{group['total']:,}"),
        ("First seen", ago(group["first_seen"], zone(), now)),
        ("Last seen", ago(group["last_seen"], zone(), now)),
    )
    cells = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in figures)
    st.html(f'<dl class="mh-figures">{cells}</dl>')
    if not errors:
        st.html('<p class="mh-dim mh-below">It didn\'t happen in this range.</p>')
        return
    chart = severity_chart(by_severity, start, now, interval, zone=zone(), mode=mode(), height=180)
    st.altair_chart(chart, width="stretch", key="group_chart", theme=None)


def _newest(details: GroupDetails) -> None:
    """The newest error whole, whatever the range, and links to those before it."""
    last: datetime = details.group["last_seen"]
    second = timedelta(seconds=1)
    found = latest_errors(store(), details.group["first_seen"], last + second, details.filters(), _LATEST)
    st.subheader("Newest error", anchor=False)
    event = error_by_id(store(), UUID(found["error_id"][0]), found["timestamp"][0]) if found.height else None
    if event is None:
        st.html('<p class="mh-dim">Its errors are no longer kept.</p>')
        return
    with st.container(border=True, key="newest"):
        event_view(event, has_title=event["title"] != details.group["title"])
    link = f"/history?{urlencode([('fingerprint', member.fingerprint) for member in details.members[:20]])}"
    st.subheader("Latest errors", anchor=False)
    st.html(events_table(found.to_dicts(), zone(), known_names()))
    st.html(f'<a class="mh-back" href="{escape(link)}" target="_self">All of them in History</a>')


def _where(filters: Filters, length: timedelta) -> None:
    """What the errors of the range have in common."""
    now = datetime.now(UTC)
    start, end = now - length, now + timedelta(seconds=1)
    names = known_names()
    parts = [
        _values(label, breakdown(store(), start, end, filters, column, _MOST_VALUES), names)
        for label, column in (
            ("Workflow", "workflow_id"),
            ("Type", "error_type"),
            ("Severity", "severity"),
            ("Source", "source"),
        )
    ]
    sample = latest_errors(store(), start, end, filters, _SAMPLE, with_metadata=True)
    label = "Node" if sample.height < _SAMPLE else f"Node, of the newest {_SAMPLE}"
    parts.append(_values(label, node_counts(sample).head(_MOST_VALUES), names))
    if shown := "".join(parts):
        st.subheader("Where", anchor=False)
        st.html(f'<div class="mh-where">{shown}</div>')


def _values(label: str, counts: pl.DataFrame, names: Names) -> str:
    """A dimension's values as bars; nothing where no error has one."""
    if not counts["value"].drop_nulls().len():
        return ""
    every = int(counts["errors"].sum())
    rows = []
    for value, errors in counts.select("value", "errors").iter_rows():
        text = "none" if value is None else names.workflow(value) if label == "Workflow" else value
        share = 100 * errors / every
        mark = severity_mark(text) if label == "Severity" else ""
        rows.append(
            f'<li title="{escape(text)}: {errors:,}"><span class="mh-bar" style="width:{share:.1f}%"></span>'
            f'<span class="mh-value">{mark}<bdi>{escape(text)}</bdi></span><b>{_share(share)}</b></li>'
        )
    return f"<div><h4>{label}</h4><ul>{''.join(rows)}</ul></div>"


def _share(percent: float) -> str:
    return "< 1 %" if percent < 1 else f"{percent:.0f} %"
