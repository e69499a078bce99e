"""History: any range, narrowed by brushing the chart and by clicking a group, down to one event."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl
import streamlit as st

from analytics.charts import fitting_interval, interval_name, rate_chart, severity_chart
from analytics.events import error_by_id
from analytics.exceptions import AnalyticsError
from analytics.filters import Filters
from analytics.latest import latest_errors
from analytics.pages.chrome import mode, store, zone
from analytics.pages.event_view import event_view
from analytics.pages.filter_bar import filter_bar
from analytics.pages.tables import group_link
from analytics.queries import error_series, read_series, top_groups, whole_buckets
from analytics.reading import Reading
from ingest.exceptions import StoreUnavailable

_DEFAULT_LENGTH = timedelta(days=1)
_PRESETS = {
    "Last hour": timedelta(hours=1),
    "Last 24 hours": timedelta(days=1),
    "Last 7 days": timedelta(days=7),
    "Last 30 days": timedelta(days=30),
    "Last 365 days": timedelta(days=365),
}


def page() -> None:
    """Draw the page."""
    st.title("History", anchor=False)
    try:
        if linked := st.query_params.get("error_id"):
            _linked_event(linked, _moment(st.query_params.get("at")))
            return
        start, end = _range()
        filters = filter_bar()
        if end <= start:
            st.warning("The end of the range must be after its start.")
            return
        _drill_down(start, end, filters)
    except StoreUnavailable as error:
        st.warning(str(error), icon=":material/cloud_off:")
    except AnalyticsError as error:
        st.error(str(error))


def _linked_event(linked: str, happened_at: datetime | None) -> None:
    event = _event(linked, happened_at)
    if event is None:
        st.info("No error has this id, or it is no longer kept.")
    else:
        event_view(event)
    if st.button("Show the whole history"):
        for name in ("error_id", "at"):
            st.query_params.pop(name, None)
        st.rerun()


def _event(text: str, happened_at: datetime | None) -> dict[str, Any] | None:
    try:
        return error_by_id(store(), UUID(text), happened_at)
    except ValueError:
        return None


def _range() -> tuple[datetime, datetime]:
    """Start and end in UTC: from the link at first, then from the controls, which show the reader's zone."""
    here = ZoneInfo(zone())
    if "history_start" not in st.session_state:
        end = _moment(st.query_params.get("end")) or datetime.now(UTC) + timedelta(minutes=1)
        start = _moment(st.query_params.get("start")) or end - _DEFAULT_LENGTH
        _set_range(start.astimezone(here), end.astimezone(here))
    preset, start_column, end_column = st.columns([1.2, 1, 1], vertical_alignment="bottom")
    with preset:
        st.selectbox(
            "Range", list(_PRESETS), index=None, placeholder="Choose a range", key="preset", on_change=_apply_preset
        )
    with start_column:
        first = st.datetime_input("From", key="history_start", step=60)
    with end_column:
        last = st.datetime_input("To", key="history_end", step=60)
    now = datetime.now(UTC)
    start = now - _DEFAULT_LENGTH if first is None else first.replace(tzinfo=here).astimezone(UTC)
    end = now if last is None else last.replace(tzinfo=here).astimezone(UTC)
    if st.query_params.get("start") != start.isoformat() or st.query_params.get("end") != end.isoformat():
        st.query_params["start"], st.query_params["end"] = start.isoformat(), end.isoformat()
    return start, end


def _apply_preset() -> None:
    chosen = st.session_state["preset"]
    if chosen is not None:
        end = datetime.now(ZoneInfo(zone())) + timedelta(minutes=1)
        _set_range(end - _PRESETS[chosen], end)


def _set_range(start: datetime, end: datetime) -> None:
    for key, moment in (("history_start", start), ("history_end", end)):
        st.session_state[key] = moment.replace(tzinfo=None, second=0, microsecond=0)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter at the calendar's ends
        return None


def _drill_down(start: datetime, end: datetime, filters: Filters) -> None:
    interval = fitting_interval((end - start).total_seconds())
    start, end = whole_buckets(start, end, interval)
    by_severity = error_series(store(), start, end, interval, filters, "severity")
    chart = severity_chart(by_severity, start, end, interval, zone=zone(), mode=mode(), height=260, brush=True)
    picked: Any = st.altair_chart(chart, width="stretch", key="history_chart", on_select="rerun", theme=None)
    answer = read_series(store(), start, end, interval, filters)
    series = answer.frame
    if series["finished"].sum() > 0:
        st.altair_chart(rate_chart(series, start, end, zone=zone(), mode=mode()), width="stretch", theme=None)
    narrowed = _brushed(picked, start, end)
    first, last = narrowed or (start, end)
    local = [moment.astimezone(ZoneInfo(zone())) for moment in (first, last)]
    hint = "" if narrowed else " · drag across the chart to narrow it down"
    span = " to ".join(f"{moment:%Y-%m-%d %H:%M:%S}" for moment in local)
    st.caption(f"{span}, one bar for each {interval_name(interval)}{hint}  \n{_read(answer.reading)}")
    with st.container(key="lists"):
        groups, events = st.columns([1, 1.25], gap="large")
    with groups:
        st.subheader("Groups", anchor=False)
        chosen = _choose_group(first, last, filters)
    with events:
        st.subheader("Errors", anchor=False)
        event = _choose_event(first, last, chosen)
    if event is not None:
        with st.container(border=True):
            event_view(event)


def _read(reading: Reading) -> str:
    """What the chart was drawn from."""
    complete = reading.complete_to.astimezone(ZoneInfo(zone()))
    ends = f"; single errors are kept from {reading.detail_from} (UTC) on" if reading.detail_from else ""
    return f"From {' and '.join(reading.sources) or 'Postgres alone'}, complete to {complete:%Y-%m-%d %H:%M:%S}{ends}"


def _brushed(picked: Any, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
    """The brushed range in UTC. Vega answers milliseconds of a wall clock: the reader's."""
    values = picked.selection.get("brush", {}).get("bucket") if picked else None
    if not isinstance(values, list) or len(values) != 2:
        return None
    here = ZoneInfo(zone())
    low, high = (
        datetime.fromtimestamp(value / 1000, UTC).astimezone(here).astimezone(UTC)
        for value in sorted(map(float, values))
    )
    low, high = max(low, start), min(high, end)
    return (low, high) if high > low else None


def _choose_group(start: datetime, end: datetime, filters: Filters) -> Filters:
    """The filters, narrowed to the groups that were clicked."""
    if filters.fingerprint:
        st.button("Show all groups", on_click=_forget_fingerprint)
    groups = top_groups(store(), start, end, filters, 50)
    if groups.is_empty():
        st.caption("No errors in this range.")
        return filters
    picked: Any = st.dataframe(
        groups.with_columns(
            pl.col("last_seen").dt.convert_time_zone(zone()),
            pl.col("fingerprint").map_elements(group_link, return_dtype=pl.String).alias("page"),
        ),
        hide_index=True,
        column_order=("errors", "severity", "title", "last_seen", "page"),
        column_config={
            "severity": st.column_config.TextColumn("Severity", width=68),
            "title": st.column_config.TextColumn("Group", width=178),
            "errors": st.column_config.NumberColumn("Errors", format="localized", width=86),
            "last_seen": st.column_config.DatetimeColumn("Last seen", format="YYYY-MM-DD HH:mm:ss", width=150),
            "page": st.column_config.LinkColumn("Page", display_text="Open", width=58),
        },
        key="groups",
        on_select="rerun",
        selection_mode="single-row",
        height=390,
    )
    rows = [row for row in picked.selection.rows if row < groups.height]
    if not rows:
        return filters
    return Filters(**{**filters.active(), "fingerprint": (groups["fingerprint"][rows[0]],)})


def _forget_fingerprint() -> None:
    del st.query_params["fingerprint"]


def _choose_event(start: datetime, end: datetime, filters: Filters) -> dict[str, Any] | None:
    events = latest_errors(store(), start, end, filters, 200)
    if events.is_empty():
        st.caption("No errors in this range.")
        return None
    picked: Any = st.dataframe(
        events.with_columns(pl.col("timestamp").dt.convert_time_zone(zone())),
        hide_index=True,
        column_order=("timestamp", "severity", "title", "source", "error_type"),
        column_config={
            "timestamp": st.column_config.DatetimeColumn("Time", format="YYYY-MM-DD HH:mm:ss", width=150),
            "severity": st.column_config.TextColumn("Severity", width=70),
            "title": st.column_config.TextColumn("Error", width=290),
            "source": st.column_config.TextColumn("Source", width=75),
            "error_type": st.column_config.TextColumn("Type", width=90),
        },
        key="events",
        on_select="rerun",
        selection_mode="single-row",
        height=390,
    )
    rows = [row for row in picked.selection.rows if row < events.height]
    return _event(events["error_id"][rows[0]], events["timestamp"][rows[0]]) if rows else None
