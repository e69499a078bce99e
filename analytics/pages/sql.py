"""SQL: questions about the lake's files in the reader's own words, their rows, a quick chart, and both to take away."""

from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import polars as pl
import streamlit as st

from analytics.coverage import received_to
from analytics.formats import as_bytes
from analytics.pages.chrome import mode, store
from analytics.result_charts import (
    KINDS,
    MOST_POINTS,
    MOST_SERIES,
    axes,
    largest,
    numbers,
    result_chart,
    suggested,
    suggested_kind,
)
from analytics.sandbox.desk import Asked, ask
from analytics.sandbox.question import Answer, Limits
from analytics.sandbox.statement import MOST_CHARACTERS
from analytics.worked_queries import worked_queries

LIMITS = Limits()
_LONGEST_LINK = 2_000  # characters of a question that stands in the address
_PATIENCE_SECONDS = 0.4  # most answers are there before anything needs to be said of waiting
_LOOK_SECONDS = 0.4
_ROW_HEIGHT, _MOST_HEIGHT = 32, 325


def page() -> None:
    """Draw the page."""
    st.title("SQL", anchor=False)
    _begin()
    examples, about = st.columns([1, 1.6], vertical_alignment="center", gap="medium")
    with examples:
        st.selectbox(
            "Examples",
            [query.name for query in worked_queries()],
            index=None,
            placeholder="Choose an example",
            format_func={query.name: query.title for query in worked_queries()}.__getitem__,
            key="example",
            on_change=_take_example,
            label_visibility="collapsed",
        )
    about.caption(_coverage())
    with st.form("question", border=False, enter_to_submit=True):
        st.text_area("Question", key="sql_text", height=220, max_chars=MOST_CHARACTERS, label_visibility="collapsed")
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            is_asked = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:")
            st.caption("Ctrl+Enter runs it, too. Views: `errors`, `executions`; every time is in UTC.")
    if is_asked:
        _ask(st.session_state["sql_text"])
    asked: Asked | None = st.session_state.get("asked")
    if asked is None:
        return
    if not asked.wait(_PATIENCE_SECONDS if is_asked else 0):
        _wait_for(asked)
        return
    if asked.answer is None:
        _tell(asked.reason or "There is no answer.")
        return
    _show(asked.answer)


def _begin() -> None:
    """The question of the link, which is asked at once, or the first example, which isn't."""
    if "sql_text" in st.session_state:
        return
    linked = st.query_params.get("q", "")
    st.session_state["sql_text"] = linked[:_LONGEST_LINK] or st.session_state.get("sql_kept") or worked_queries()[0].sql
    if linked and "asked" not in st.session_state:
        _ask(st.session_state["sql_text"])


def _take_example() -> None:
    chosen = st.session_state["example"]
    for query in worked_queries():
        if query.name == chosen:
            st.session_state["sql_text"] = query.sql
            _ask(query.sql)


def _ask(sql: str) -> None:
    before: Asked | None = st.session_state.get("asked")
    if before is not None and not before.is_done:
        before.cancel()
    st.session_state["sql_kept"] = sql  # a widget's own state goes with the page
    st.session_state["asked"] = ask(store().lake_dir, sql, LIMITS)
    for key in ("chart_axis", "chart_number", "chart_series", "chart_kind"):
        st.session_state.pop(key, None)
    if len(sql) <= _LONGEST_LINK:
        st.query_params["q"] = sql
    else:
        st.query_params.pop("q", None)


def _coverage() -> str:
    moment = _received_to(int(datetime.now(UTC).timestamp()) // 15)
    if moment is None:
        return "The lake has no errors yet: the first ones come within minutes of their receipt."
    day = "" if datetime.now(UTC) - moment < timedelta(hours=20) else f"{moment:%Y-%m-%d} "
    return (
        f"The files have what was received up to {day}{moment:%H:%M:%S} UTC. Later errors stand on *Overview* already."
    )


@st.cache_data(ttl=15, show_spinner=False, max_entries=2)
def _received_to(_turn: int) -> datetime | None:
    return received_to(store().lake_dir)


@st.fragment(run_every=_LOOK_SECONDS)
def _wait_for(asked: Asked) -> None:
    if asked.is_done:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if st.button("Cancel", icon=":material/stop:"):
            asked.cancel()
            asked.wait(2)
            st.rerun()
        what = "Waits for its turn" if asked.is_waiting else "Asking"
        st.caption(f"{what} · {asked.seconds:.0f} s of at most {LIMITS.seconds:.0f}")
    if (share := asked.question.progress) is not None:
        st.progress(min(1.0, share))


def _tell(message: str) -> None:
    """The message as it is. It may quote rows, and a link may bring its question: as Markdown it could fetch an image,
    and take what it quotes along."""
    st.html(f'<div class="mh-refused" role="alert">{escape(message)}</div>')


def _show(answer: Answer) -> None:
    frame = answer.frame
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        rows = "1 row" if frame.height == 1 else f"{frame.height:,} rows"
        st.caption(f"{rows} in {answer.seconds:.2f} s", width="stretch")
        _download(frame, "CSV", "text/csv")
        _download(frame, "Parquet", "application/vnd.apache.parquet")
    if answer.note is not None:
        st.warning(f"{answer.note} Narrow the question down, or aggregate; `meshhook-errors query` has no such limit.")
    height = min(_MOST_HEIGHT, _ROW_HEIGHT * (frame.height + 1) + 3)
    st.dataframe(
        frame, hide_index=True, height=height, row_height=_ROW_HEIGHT, column_config=_columns(frame), key="rows"
    )
    _chart(frame)


def _columns(frame: pl.DataFrame) -> dict[str, Any]:
    """Days without a time of day, moments in UTC to the second."""
    configured: dict[str, Any] = {}
    for name, kind in frame.schema.items():
        if kind == pl.Date():
            configured[name] = st.column_config.DateColumn(format="YYYY-MM-DD")
        elif isinstance(kind, pl.Datetime):
            configured[name] = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", timezone="UTC")
    return configured


def _download(frame: pl.DataFrame, label: str, kind: str) -> None:
    form = "csv" if label == "CSV" else "parquet"

    def content() -> bytes:
        return as_bytes("csv" if label == "CSV" else "parquet", frame)

    st.download_button(
        label,
        content,
        f"answer.{form}",
        kind,
        key=f"download_{form}",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def _chart(frame: pl.DataFrame) -> None:
    first = suggested(frame)
    if first is None:
        return
    axis, number, series = first
    along, measured = axes(frame), numbers(frame)
    st.subheader("Chart", anchor=False)
    with st.container(key="chart_controls"):
        columns = st.columns([1, 1, 1, 0.8])
    axis = columns[0].selectbox("Along", along, index=along.index(axis), key="chart_axis")
    number = columns[1].selectbox("Number", measured, index=measured.index(number), key="chart_number")
    others = [name for name in along if name not in (axis, number)]
    at = others.index(series) if series in others else None
    series = columns[2].selectbox("Series", others, index=at, placeholder="none", key="chart_series")
    kind = columns[3].segmented_control(
        "As", KINDS, default=suggested_kind(frame, axis, series), key="chart_kind", required=True
    )
    chart = result_chart(frame, axis, number, series, kind or "bars", mode())
    st.altair_chart(chart, width="stretch", theme=None, key="result_chart")
    if series is not None and frame[series].n_unique() > MOST_SERIES:
        st.caption(f"The {len(largest(frame, series, number))} largest of {frame[series].n_unique():,} are shown.")
    if frame.height > MOST_POINTS:
        st.caption(f"The chart shows the first {MOST_POINTS:,} rows.")
