"""The charts: one colour for each severity everywhere, legible in light and dark and to colour-blind readers.

The severities differ in lightness as well as in hue, and keep their order in every stack, legend and table.
"""

from datetime import datetime, timedelta
from typing import Any, Literal

import altair as alt
import polars as pl

Mode = Literal["light", "dark"]

SEVERITY_ORDER = ("high", "medium", "low")
SEVERITY_COLOURS: dict[Mode, dict[str, str]] = {
    "light": {"high": "#a3243b", "medium": "#d07f12", "low": "#6f9fc4"},
    "dark": {"high": "#ef6079", "medium": "#f2b657", "low": "#6d9cc4"},
}
_LABELS = 34  # room for the labels of a vertical axis, so that charts one below the other line up
_INK: dict[Mode, dict[str, str]] = {
    "light": {"text": "#566270", "grid": "#e7ebee", "line": "#1b2430", "limit": "#a3243b"},
    "dark": {"text": "#9aa6b2", "grid": "#272f38", "line": "#e4e8ec", "limit": "#ef6079"},
}


def dressed(chart: Any, mode: Mode) -> alt.LayerChart | alt.Chart:
    """The chart with the house's look."""
    ink = _INK[mode]
    dressed: alt.LayerChart | alt.Chart = (
        chart.configure(background="transparent", padding={"left": 4, "right": 4, "top": 10, "bottom": 4})
        .configure_view(strokeWidth=0)
        .configure_axis(
            labelColor=ink["text"],
            titleColor=ink["text"],
            gridColor=ink["grid"],
            domain=False,
            ticks=False,
            labelFontSize=11,
            titleFontSize=11,
            titleFontWeight="normal",
            labelPadding=6,
        )
        .configure_legend(
            labelColor=ink["text"],
            orient="top",
            direction="horizontal",
            title=None,
            symbolType="square",
            labelFontSize=12,
        )
    )
    return dressed


def _local(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Wall-clock times of the reader: Vega draws them as they are."""
    return frame.with_columns(pl.col("bucket").dt.convert_time_zone(zone).dt.replace_time_zone(None))


def _time_axis(start: datetime, end: datetime, zone: str) -> alt.X:
    frame = _local(pl.DataFrame({"bucket": [start, end]}), zone)
    low, high = (alt.DateTime(**_parts(moment)) for moment in frame["bucket"])
    return alt.X(
        "bucket:T",
        title=None,
        scale=alt.Scale(domain=[low, high]),
        axis=alt.Axis(grid=False, labelOverlap=True, tickCount=8, format=_time_format(start, end)),
    )


def _time_format(start: datetime, end: datetime) -> str:
    """Hours where the range is short, days where it is long."""
    length = end - start
    if length <= timedelta(days=2):
        return "%H:%M"
    return "%d %b %H:%M" if length <= timedelta(days=10) else "%d %b %Y"


def _parts(moment: datetime) -> dict[str, Any]:
    return {
        "year": moment.year,
        "month": moment.month,
        "date": moment.day,
        "hours": moment.hour,
        "minutes": moment.minute,
        "seconds": moment.second,
    }


def severity_chart(
    counts: pl.DataFrame,
    start: datetime,
    end: datetime,
    interval_seconds: int,
    *,
    zone: str,
    mode: Mode,
    height: int = 240,
    brush: bool = False,
) -> alt.LayerChart | alt.Chart:
    """Errors per interval, stacked by severity. `counts`: bucket (UTC), severity, errors.

    With `brush`, dragging selects a range of time, which comes back under the name `brush`.
    """
    colours = SEVERITY_COLOURS[mode]
    rank = {name: index for index, name in enumerate(SEVERITY_ORDER)}
    frame = _local(counts.filter(pl.col("errors") > 0), zone).with_columns(
        (pl.col("bucket") + pl.duration(seconds=interval_seconds)).alias("bucket_end"),
        pl.col("severity").replace_strict(rank, default=9, return_dtype=pl.Int8).alias("rank"),
    )
    # Stacked here: bars with both ends in time aren't stacked by Vega.
    frame = frame.sort("bucket", "rank").with_columns(pl.col("errors").cum_sum().over("bucket").alias("top"))
    frame = frame.with_columns((pl.col("top") - pl.col("errors")).alias("bottom"))
    chart = (
        alt.Chart(frame, height=height)
        .mark_rect(x2Offset=-0.6, clip=True)
        .encode(
            x=_time_axis(start, end, zone),
            x2="bucket_end:T",
            y=alt.Y(
                "top:Q",
                title=f"errors per {interval_name(interval_seconds)}",
                axis=alt.Axis(tickMinStep=1, minExtent=_LABELS),
            ),
            y2="bottom:Q",
            color=alt.Color(
                "severity:N",
                scale=alt.Scale(domain=list(SEVERITY_ORDER), range=[colours[name] for name in SEVERITY_ORDER]),
            ),
            tooltip=[
                alt.Tooltip("bucket:T", title="From", format="%Y-%m-%d %H:%M:%S"),
                alt.Tooltip("severity:N", title="Severity"),
                alt.Tooltip("errors:Q", title="Errors", format=",d"),
            ],
        )
    )
    if brush:
        chart = chart.add_params(alt.selection_interval(name="brush", encodings=["x"]))
    return dressed(chart, mode)


def rate_chart(
    series: pl.DataFrame, start: datetime, end: datetime, *, zone: str, mode: Mode, height: int = 150
) -> alt.LayerChart | alt.Chart:
    """The error rate as a line that breaks where the rate is unknown. `series`: as of `error_series`."""
    line = (
        alt.Chart(_local(series, zone), height=height)
        .mark_line(
            color=_INK[mode]["line"],
            strokeWidth=1.6,
            point={"size": 12, "color": _INK[mode]["line"]},
            invalid="break-paths-show-domains",
        )
        .encode(
            x=_time_axis(start, end, zone),
            y=alt.Y(
                "error_rate:Q", title="failed executions", axis=alt.Axis(format="~%", tickCount=4, minExtent=_LABELS)
            ),
            tooltip=[
                alt.Tooltip("bucket:T", title="From", format="%Y-%m-%d %H:%M:%S"),
                alt.Tooltip("error_rate:Q", title="Error rate", format=".2%"),
                alt.Tooltip("failed:Q", title="Failed", format=",d"),
                alt.Tooltip("finished:Q", title="Finished", format=",d"),
            ],
        )
    )
    return dressed(line, mode)


def threshold_chart(
    values: pl.DataFrame, threshold: float, unit: str, *, zone: str, mode: Mode, height: int = 200
) -> alt.LayerChart | alt.Chart:
    """A rule's signal with its threshold, breaches shaded. `values`: bucket, value."""
    ink = _INK[mode]
    frame = _local(values, zone).with_columns(
        pl.when(pl.col("value") >= threshold).then("value").otherwise(None).alias("breach"),
        pl.lit(threshold).alias("threshold"),
    )
    base = alt.Chart(frame, height=height).encode(
        x=alt.X("bucket:T", title=None, axis=alt.Axis(grid=False, labelOverlap=True, tickCount=8, format="%H:%M"))
    )
    tooltip = [
        alt.Tooltip("bucket:T", title="At", format="%Y-%m-%d %H:%M:%S"),
        alt.Tooltip("value:Q", title="Value", format=",.4~g"),
    ]
    shade = base.mark_area(
        color=ink["limit"], opacity=0.28, interpolate="step-after", invalid="break-paths-show-domains"
    ).encode(y=alt.Y("breach:Q", title=unit), y2="threshold:Q")
    line = base.mark_line(
        color=ink["line"], strokeWidth=1.5, interpolate="step-after", invalid="break-paths-show-domains"
    ).encode(y=alt.Y("value:Q", title=unit, scale=alt.Scale(zero=True)), tooltip=tooltip)
    limit = (
        alt.Chart(pl.DataFrame({"threshold": [threshold]}))
        .mark_rule(color=ink["limit"], strokeDash=[5, 4])
        .encode(y=alt.Y("threshold:Q", title=unit))
    )
    return dressed(alt.layer(shade, line, limit), mode)


def interval_name(seconds: int) -> str:
    """An interval in words: 10 s, minute, 5 min, hour, day."""
    whole = {60: "minute", 3600: "hour", 86_400: "day"}
    if seconds in whole:
        return whole[seconds]
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def fitting_interval(seconds: float, most_bars: int = 120) -> int:
    """The shortest usual interval that needs at most `most_bars` bars for a range of `seconds`."""
    usual = (10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400)
    return next((interval for interval in usual if seconds / interval <= most_bars), usual[-1])
