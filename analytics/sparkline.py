"""Counts over time as a drawing of the size of a word: one bar for each bucket, as SVG."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

_LEAST = 1.5  # pixels of the lowest bar: one error beside thousands is still seen
WIDTH, HEIGHT = 124, 24


def sparkline(counts: Sequence[int], *, colour: str, ground: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """An SVG document: bars from the oldest to the newest count, the highest as high as the drawing.

    A bucket without errors has no bar: the line below them, in the colour `ground`, shows that time went on.
    """
    highest = max(1, *counts) if counts else 1
    room = width / max(1, len(counts))
    gap = 1.0 if room >= 3 else 0.0
    floor = height - 1
    bars = "".join(
        _bar(index * room, floor, room - gap, max(_LEAST, floor * count / highest))
        for index, count in enumerate(counts)
        if count > 0
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<path d="M0 {height - 0.5}H{width}" stroke="{escape(ground)}"/>'
        f'<path d="{bars}" fill="{escape(colour)}"/></svg>'
    )


def spark_image(counts: Sequence[int], *, label: str, colour: str, ground: str) -> str:
    """The drawing as an HTML image, which pages let through where they take out SVG; `label` is what it says to those
    who can't see it, as plain text."""
    source = quote(sparkline(counts, colour=colour, ground=ground), safe=" =:/'")
    return (
        f'<img class="mh-spark" width="{WIDTH}" height="{HEIGHT}" alt="{escape(label)}" '
        f'src="data:image/svg+xml,{source}">'
    )


def _bar(left: float, floor: float, width: float, height: float) -> str:
    return f"M{_short(left)} {_short(floor)}v{_short(-height)}h{_short(width)}v{_short(height)}z"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
