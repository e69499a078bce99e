"""Spark lines: what is drawn for which counts."""

import re
from xml.etree import ElementTree

import pytest

from analytics.sparkline import sparkline


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall(r"v-([\d.]+)", svg)]


def test_the_highest_count_is_as_high_as_the_drawing_and_the_others_in_proportion() -> None:
    assert heights(sparkline([5, 10, 20], label="", height=21)) == [5, 10, 20]


def test_one_error_beside_thousands_is_still_seen() -> None:
    assert heights(sparkline([1, 10_000], label="", height=21)) == [1.5, 20]


@pytest.mark.parametrize("counts", [[0], [0] * 24])
def test_buckets_without_errors_have_no_bar_but_the_line_below(counts: list[int]) -> None:
    svg = sparkline(counts, label="")
    assert heights(svg) == []
    assert 'd="M0 23.5H120"' in svg


def test_bars_stand_at_their_bucket_s_place() -> None:
    svg = sparkline([0, 3, 0, 3], label="", width=40)
    assert re.findall(r"M([\d.]+) 23v", svg) == ["10", "30"]


def test_many_counts_stay_within_the_drawing() -> None:
    svg = sparkline([7] * 500, label="", width=100)
    assert max(float(left) for left in re.findall(r"M([\d.]+) 23v", svg)) < 100


def test_without_counts_there_is_nothing() -> None:
    assert sparkline([], label="x") == ""


def test_it_is_well_formed_and_its_label_is_text() -> None:
    drawing = ElementTree.fromstring(sparkline([1, 2], label='"><script>&'))
    assert drawing.attrib["aria-label"] == '"><script>&'
    assert [child.tag for child in drawing] == ["path", "path"]
