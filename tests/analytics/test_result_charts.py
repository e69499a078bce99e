"""Quick charts: what they suggest for rows of many shapes, and what they draw."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from analytics.charts import SEVERITY_COLOURS
from analytics.result_charts import KINDS, MOST_SERIES, result_chart, suggested, suggested_kind

DAYS = [date(2026, 11, 1) + timedelta(days=number) for number in range(6)]
HOURS = [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(100)]


def drawn(frame: pl.DataFrame, *axes: Any) -> dict[str, Any]:
    told: dict[str, Any] = result_chart(frame, *axes, "light").to_dict()
    return told


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (pl.DataFrame({"n": [1, 2], "day": DAYS[:2]}), ("day", "n", None)),
        (pl.DataFrame({"title": ["a", "b"], "errors": [1, 2]}), ("title", "errors", None)),
        (pl.DataFrame({"day": [DAYS[0], DAYS[0]], "kind": ["a", "b"], "n": [1, 2]}), ("day", "n", "kind")),
        (pl.DataFrame({"hour": [0, 1], "n": [1, 2]}), ("hour", "n", None)),
        (pl.DataFrame({"n": [1]}), None),
        (pl.DataFrame({"n": [1, 2]}), None),
        (pl.DataFrame({"title": ["a", "b"]}), None),
        (pl.DataFrame({"parts": [[1], [2]], "n": [1, 2]}), None),
    ],
)
def test_axes_are_suggested(frame: pl.DataFrame, expected: tuple[str, str, str | None] | None) -> None:
    assert suggested(frame) == expected


def test_lines_are_for_much_time_and_bars_for_the_rest() -> None:
    assert suggested_kind(pl.DataFrame({"hour": HOURS}), "hour", None) == "line"
    assert suggested_kind(pl.DataFrame({"day": DAYS}), "day", None) == "bars"
    assert suggested_kind(pl.DataFrame({"hour": [1, 2]}), "hour", "kind") == "line"
    assert suggested_kind(pl.DataFrame({"title": ["a"]}), "title", None) == "bars"


def test_severities_have_their_colours_and_order() -> None:
    frame = pl.DataFrame({"day": DAYS[:3], "severity": ["low", "high", "medium"], "n": [1, 2, 3]})
    scale = drawn(frame, "day", "n", "severity", "bars")["encoding"]["color"]["scale"]
    assert scale["domain"] == ["high", "medium", "low"]
    assert scale["range"] == [SEVERITY_COLOURS["light"][name] for name in scale["domain"]]


def test_only_the_largest_series_are_drawn() -> None:
    frame = pl.DataFrame({"x": [0] * 20, "series": list(range(20)), "n": list(range(20))})
    chart = drawn(frame, "x", "n", "series", "bars")
    assert chart["encoding"]["color"]["scale"]["domain"] == [str(number) for number in range(19, 19 - MOST_SERIES, -1)]
    (rows,) = chart["datasets"].values()
    assert len(rows) == MOST_SERIES


@pytest.mark.parametrize(
    ("step", "unit", "size"), [(3600, "yearmonthdatehours", 1), (900, "yearmonthdatehoursminutes", 15)]
)
def test_bars_in_time_are_as_wide_as_its_steps(step: int, unit: str, size: int) -> None:
    moments = [HOURS[0] + timedelta(seconds=number * step) for number in range(5)]
    axis = drawn(pl.DataFrame({"t": moments, "n": [1] * 5}), "t", "n", None, "bars")["encoding"]["x"]
    assert axis["timeUnit"] == {"unit": unit, "step": size}


def test_any_name_and_any_kind_of_value_is_drawn() -> None:
    frame = pl.DataFrame(
        {
            "a.b[c]:d\\e'": DAYS,
            "count(*)": [1, None, 3, 4, 5, 6],
            "flag": [True, False, None] * 2,
            "took": [timedelta(seconds=1)] * 6,
            "at": HOURS[:6],
        }
    )
    for axis in frame.columns:
        for kind in KINDS:
            for series in (None, "flag"):
                assert drawn(frame, axis, "count(*)", None if series == axis else series, kind)["encoding"]
