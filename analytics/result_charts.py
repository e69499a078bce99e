"""A quick chart of whatever a question answered: an axis, a number, and a series where there is one."""

from typing import Any, Literal, get_args

import altair as alt
import polars as pl

from analytics.charts import SEVERITY_COLOURS, SEVERITY_ORDER, Mode, dressed

Kind = Literal["bars", "line"]
_Unit = Literal["yearmonth", "yearmonthdate", "yearmonthdatehours", "yearmonthdatehoursminutes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_SERIES = 8
MOST_POINTS = 5_000
_MOST_DOTS = 80  # along the axis, before they run together

_NUMBER = "abs(datum.value) < 10000 ? format(datum.value, ',~g') : datum.label"  # 1,200, then 12k
_UNITS: dict[_Unit, int] = {
    "yearmonth": 28 * 86_400,
    "yearmonthdate": 86_400,
    "yearmonthdatehours": 3600,
    "yearmonthdatehoursminutes": 60,
}

# Told apart by colour-blind readers too, in the order in which they are given out.
_SERIES: dict[Mode, tuple[str, ...]] = {
    "light": ("#2b5f8a", "#d07f12", "#3f8f6b", "#a3243b", "#7a5ca8", "#5f9fc4", "#8c7a3d", "#566270"),
    "dark": ("#7fb2dd", "#f2b657", "#74c79f", "#ef6079", "#b79ae0", "#4f86ad", "#cbb76a", "#9aa6b2"),
}


def numbers(frame: pl.DataFrame) -> list[str]:
    """The columns that a chart can measure."""
    return [name for name, kind in frame.schema.items() if kind.is_numeric()]


def axes(frame: pl.DataFrame) -> list[str]:
    """The columns that can stand along the horizontal axis."""
    return [name for name, kind in frame.schema.items() if not kind.is_nested() and kind != pl.Binary()]


def suggested(frame: pl.DataFrame) -> tuple[str, str, str | None] | None:
    """Axis, number and series that a reader most likely wants; None for rows that no chart shows."""
    measured = numbers(frame)
    if frame.height < 2 or not measured:
        return None
    along = [name for name in axes(frame) if frame[name].dtype.is_temporal()] or axes(frame)
    axis = along[0]
    number = next((name for name in measured if name != axis), None)
    if number is None:
        return None
    repeats = frame[axis].n_unique() < frame.height
    texts = [name for name in axes(frame) if frame[name].dtype == pl.String() and name != axis]
    series = next((name for name in texts if frame[name].n_unique() <= MOST_SERIES), None) if repeats else None
    return axis, number, series


def suggested_kind(frame: pl.DataFrame, axis: str, series: str | None) -> Kind:
    """Lines along many points in time, and for several series along numbers; bars otherwise."""
    kind = frame[axis].dtype
    is_line = (kind.is_temporal() and frame[axis].n_unique() > 40) or (kind.is_numeric() and series is not None)
    return "line" if is_line else "bars"


def result_chart(
    frame: pl.DataFrame, axis: str, number: str, series: str | None, kind: Kind, mode: Mode, *, height: int = 300
) -> alt.LayerChart | alt.Chart:
    """`number` along `axis`, one colour for each value of `series` (the first MOST_SERIES of them, by their sums)."""
    shown = frame.select(list(dict.fromkeys(name for name in (axis, number, series) if name))).head(MOST_POINTS)
    lengths = [name for name, kept in shown.schema.items() if isinstance(kept, pl.Duration)]
    shown = shown.with_columns(pl.col(lengths).dt.total_microseconds() / 1_000_000)
    shown = shown.with_columns(pl.col(number).cast(pl.Float64()))
    colour: Any = alt.value(_SERIES[mode][0])
    if series is not None:
        shown = shown.with_columns(pl.col(series).cast(pl.String()))
        names = largest(shown, series, number)
        shown = shown.filter(pl.col(series).is_in(names))
        colour = alt.Color(_field(series, "nominal"), scale=_scale(names, mode))
    chart = alt.Chart(_for_vega(shown), height=height)
    has_room = shown[axis].n_unique() <= _MOST_DOTS
    drawn = (
        chart.mark_line(strokeWidth=1.8, point={"size": 16} if has_room else False)
        if kind == "line"
        else chart.mark_bar()
    )
    labels = alt.Axis(format="~s", labelExpr=_NUMBER, tickCount=5)
    return dressed(
        drawn.encode(
            x=_along(shown, axis, kind),
            y=alt.Y(_field(number, "quantitative"), title=number, axis=labels),
            color=colour,
            tooltip=[_told(shown, name) for name in shown.columns],
        ),
        mode,
    )


def largest(frame: pl.DataFrame, series: str, number: str) -> list[str]:
    """The values of `series` that have a colour of their own: those with the largest sums."""
    sums = frame.group_by(pl.col(series).cast(pl.String())).agg(pl.col(number).cast(pl.Float64()).sum().abs())
    return sums.drop_nulls(series).sort(number, series, descending=[True, False]).head(MOST_SERIES)[series].to_list()


def _scale(names: list[str], mode: Mode) -> alt.Scale:
    if set(names) <= set(SEVERITY_ORDER):
        domain = [name for name in SEVERITY_ORDER if name in names]
        return alt.Scale(domain=domain, range=[SEVERITY_COLOURS[mode][name] for name in domain])
    return alt.Scale(domain=names, range=list(_SERIES[mode][: len(names)]))


def _along(frame: pl.DataFrame, axis: str, drawn: Kind) -> alt.X:
    kind = frame[axis].dtype
    if kind.is_temporal() and kind != pl.Time():
        room = _room_of_a_bar(frame[axis]) if drawn == "bars" else alt.Undefined
        labels = alt.Axis(grid=False, labelOverlap=True)
        return alt.X(_field(axis, "temporal"), title=axis, axis=labels, timeUnit=room)
    if kind.is_numeric() and frame[axis].n_unique() > 40:
        return alt.X(_field(axis, "quantitative"), title=axis, axis=alt.Axis(grid=False, tickCount=8))
    is_short = kind.is_numeric() or frame[axis].n_unique() <= 6
    labels = alt.Axis(labelLimit=140, labelOverlap=True, labelAngle=0 if is_short else alt.Undefined)
    return alt.X(_field(axis, "nominal"), title=axis, sort=None, axis=labels)


def _room_of_a_bar(moments: pl.Series) -> alt.TimeUnitParams:
    """How wide bars in time are: as the smallest step between them, in a unit of the calendar."""
    steps = moments.cast(pl.Datetime("us")).unique().sort().diff().drop_nulls().dt.total_seconds()
    seconds = max(1, int(min(steps, default=86_400)))
    for unit, length in _UNITS.items():
        if seconds >= length:
            return alt.TimeUnitParams(unit=unit, step=1 if length >= 86_400 else seconds // length)
    return alt.TimeUnitParams(unit="yearmonthdatehoursminutesseconds", step=seconds)


def _told(frame: pl.DataFrame, name: str) -> alt.Tooltip:
    kind = frame[name].dtype
    if isinstance(kind, pl.Datetime):
        return alt.Tooltip(_field(name, "temporal"), title=name, format="%Y-%m-%d %H:%M:%S")
    if kind == pl.Date():
        return alt.Tooltip(_field(name, "temporal"), title=name, format="%Y-%m-%d")
    if kind.is_numeric():
        return alt.Tooltip(_field(name, "quantitative"), title=name, format=",.6~g")
    return alt.Tooltip(_field(name, "nominal"), title=name)


def _field(name: str, kind: str) -> str:
    """A column as Vega is told of it: colons, brackets, dots and backslashes mean something there."""
    escaped = name
    for special in "\\.[]:":
        escaped = escaped.replace(special, f"\\{special}")
    return f"{escaped}:{kind[0].upper()}"


def _for_vega(frame: pl.DataFrame) -> pl.DataFrame:
    """Times as the clock of UTC, since that is what the question was asked in."""
    zoned = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
    odd = [name for name, kind in frame.schema.items() if kind in (pl.Time(), pl.Boolean())]
    return frame.with_columns(
        pl.col(zoned).dt.convert_time_zone("UTC").dt.replace_time_zone(None), pl.col(odd).cast(pl.String())
    )
