"""Counts over time as a drawing of the size of a word: one bar for each bucket, as inline SVG."""

from collections.abc import Sequence
from html import escape

_LEAST = 1.5  # pixels of the lowest bar: one error beside thousands is still seen


def sparkline(counts: Sequence[int], *, label: str, width: int = 120, height: int = 24) -> str:
    """Bars from the oldest to the newest count, the highest as high as the drawing, in the colour of the text around.

    A bucket without errors has no bar: the line below them shows that time went on. `label` is what a screen reader
    says, as plain text. Empty for no counts at all.
    """
    if not counts:
        return ""
    highest = max(1, *counts)
    room = width / len(counts)
    gap = 1.0 if room >= 3 else 0.0
    floor = height - 1
    bars = "".join(
        _bar(index * room, floor, room - gap, max(_LEAST, floor * count / highest))
        for index, count in enumerate(counts)
        if count > 0
    )
    return (
        f'<svg class="mh-spark" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}"><path class="mh-ground" d="M0 {height - 0.5}H{width}"></path>'
        f'<path class="mh-bars" d="{bars}"></path></svg>'
    )


def _bar(left: float, floor: float, width: float, height: float) -> str:
    return f"M{_short(left)} {_short(floor)}v{_short(-height)}h{_short(width)}v{_short(height)}z"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
