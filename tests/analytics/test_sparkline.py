"""Spark lines: what is drawn for which counts."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from analytics.sparkline import spark_image, sparkline


def drawn(counts: list[int], width: int = 120, height: int = 21) -> str:
    return sparkline(counts, colour="#123456", ground="#eeeeee", width=width, height=height)


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall(r"v-([\d.]+)", svg)]


def lefts(svg: str) -> list[float]:
    return [float(left) for left in re.findall(r"M([\d.]+) 20v", svg)]


def test_the_highest_count_is_as_high_as_the_drawing_and_the_others_in_proportion() -> None:
    assert heights(drawn([5, 10, 20])) == [5, 10, 20]


def test_one_error_beside_thousands_is_still_seen() -> None:
    assert heights(drawn([1, 10_000])) == [1.5, 20]


@pytest.mark.parametrize("counts", [[], [0], [0] * 24])
def test_buckets_without_errors_have_no_bar_but_the_line_below(counts: list[int]) -> None:
    assert heights(drawn(counts)) == []
    assert 'd="M0 20.5H120"' in drawn(counts)


def test_bars_stand_at_their_bucket_s_place() -> None:
    assert lefts(drawn([0, 3, 0, 3], width=40)) == [10, 30]


def test_many_counts_stay_within_the_drawing() -> None:
    assert max(lefts(drawn([7] * 500, width=100))) < 100


def test_the_image_holds_the_drawing_and_its_label_is_text() -> None:
    found: list[dict[str, str | None]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append({"tag": tag, **dict(attrs)})

    Parser().feed(spark_image([1, 2], label='"><script>&', colour="#123456", ground="#eeeeee"))
    (image,) = found
    assert (image["tag"], image["alt"]) == ("img", '"><script>&')
    kind, _, source = (image["src"] or "").partition(",")
    assert kind == "data:image/svg+xml"
    drawing = ElementTree.fromstring(unquote(source))
    assert [child.tag.rpartition("}")[2] for child in drawing] == ["path", "path"]
