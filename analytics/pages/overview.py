"""Overview: what goes wrong right now. It refreshes itself every two seconds."""

from datetime import UTC, datetime, timedelta

import polars as pl
import streamlit as st

from analytics.alert_store import list_alerts
from analytics.charts import fitting_interval, rate_chart, severity_chart
from analytics.exceptions import AnalyticsError
from analytics.filters import Filters
from analytics.latest import latest_errors
from analytics.pages.chrome import known_names, mode, store, zone
from analytics.pages.filter_bar import URL, filter_bar
from analytics.pages.first_steps import first_steps
from analytics.pages.meshhook_view import meshhook_warning
from analytics.pages.tables import events_table, groups_table, stuck_table
from analytics.queries import error_series, has_errors, top_groups, whole_buckets
from analytics.stuck import stuck_runs
from ingest.exceptions import StoreUnavailable

RANGES = {  # the names stand in links, so they are what is shown, too
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
_REFRESH_SECONDS = 2


def page() -> None:
    """Draw the page."""
    title, chooser = st.columns([1, 2], vertical_alignment="center")
    with title:
        st.title("Overview", anchor=False)
    with chooser, st.container(horizontal=True, horizontal_alignment="right"):
        chosen = st.segmented_control(
            "Range",
            list(RANGES),
            default="1h",
            key="range",
            label_visibility="collapsed",
            required=True,
            bind=URL,
        )
    filters = filter_bar()
    _live(chosen or "1h", filters)


@st.fragment(run_every=_REFRESH_SECONDS)
def _live(chosen: str, filters: Filters) -> None:
    try:
        meshhook_warning(datetime.now(UTC))
        if not filters.active() and not has_errors(store()):
            first_steps()
            return
        _figures_and_charts(RANGES[chosen], filters)
    except StoreUnavailable as error:
        st.warning(f"{error} This page goes on by itself.", icon=":material/cloud_off:")
    except AnalyticsError as error:
        st.error(str(error))


def _figures_and_charts(length: timedelta, filters: Filters) -> None:
    now = datetime.now(UTC)
    interval = max(10, fitting_interval(length.total_seconds()))
    start, end = whole_buckets(now - length, now + timedelta(seconds=1), interval)
    by_severity = error_series(store(), start, end, interval, filters, "severity")
    series = error_series(store(), start, end, interval, filters)
    errors = int(series["errors"].sum())
    _headline(series, errors, filters, now)
    st.altair_chart(
        severity_chart(by_severity, start, now, interval, zone=zone(), mode=mode()),
        width="stretch",
        key="errors_chart",
        theme=None,
    )
    if series["finished"].sum() > 0:
        st.subheader("Error rate", anchor=False)
        st.altair_chart(
            rate_chart(series, start, now, zone=zone(), mode=mode()), width="stretch", key="rate_chart", theme=None
        )
    _stuck(filters, now)
    with st.container(key="lists"):
        groups, events = st.columns([1, 1], gap="large")
    with groups:
        st.subheader("Top groups", anchor=False)
        top = top_groups(store(), start, end, filters, 8).to_dicts()
        st.html(groups_table(top, errors, zone()) if top else _NOTHING)
    with events:
        st.subheader("Latest errors", anchor=False)
        latest = latest_errors(store(), start, end, filters, 8).to_dicts()
        st.html(events_table(latest, zone(), known_names()) if latest else _NOTHING)
    local = now.astimezone()
    st.html(f'<div class="mh-live" title="{local:%Y-%m-%d %H:%M:%S}"><i></i>Live, refreshed every two seconds</div>')


def _stuck(filters: Filters, now: datetime) -> None:
    """Runs that stand still, while there are any."""
    with store().connection() as connection:
        found = stuck_runs(connection, now, filters)
    if not found.still:
        return
    st.subheader(f"Stuck runs · {found.still:,}", anchor=False)
    shown = sum(run.alike for run in found.runs if run.moved_at is None)
    note = f'<div class="mh-live mh-below">The newest {shown} are shown.</div>' if shown < found.still else ""
    st.html(f'<div class="mh-below">{stuck_table(found.runs, known_names(), now, zone())}{note}</div>')


_NOTHING = '<p class="mh-dim">No errors in this range.</p>'


def _headline(series: pl.DataFrame, errors: int, filters: Filters, now: datetime) -> None:
    finished, failed = int(series["finished"].sum()), int(series["failed"].sum())
    last = error_series(store(), now - timedelta(minutes=5), now + timedelta(seconds=1), 10, filters)
    with store().connection() as connection:
        open_alerts = list_alerts(connection, open_only=True, limit=100)
    total, rate, share, alerts = st.columns(4)
    total.metric("Errors in range", f"{errors:,}")
    rate.metric("Errors per minute, last 5 min", f"{last['errors'].sum() / 5:,.1f}")
    if finished:
        share.metric(
            "Error rate", f"{100 * failed / finished:.2f} %", help=f"{failed:,} of {finished:,} executions failed"
        )
    else:
        share.metric("Error rate", "unknown", help="No executions were reported in this range, so there is no rate.")
    names = ", ".join(alert["rule_name"] for alert in open_alerts)
    alerts.metric("Open alerts", f"{len(open_alerts)}", help=names or "No rule is in breach.")
