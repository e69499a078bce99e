"""Rows as a table for a terminal: one line each, numbers to the right."""

import io
import unicodedata
from typing import IO

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analytics.formats import plain

_LONGEST_CELL = 200
_WIDE = 10_000  # where nothing is wrapped


def table_of(frame: pl.DataFrame, terminal: IO[str] | None) -> str:
    """The table as text: as wide as `terminal`, with cells cut to fit, or as wide as it needs without one."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in frame.schema.items():
        table.add_column(Text(_visible(name)), justify="right" if kind.is_numeric() else "left", no_wrap=True)
    for row in plain(frame, keep_parts=False).iter_rows():
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console(file=terminal) if terminal is not None else None
    wide = Console(file=io.StringIO(), width=_WIDE if console is None else console.width)
    with wide.capture() as captured:
        wide.print(table)
    lines = [line[1:].rstrip() for line in captured.get().split("\n")]  # the box has an edge of one blank
    return "\n".join(lines).strip("\n")


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    shown = _visible(text[: _LONGEST_CELL + 1])
    return shown if len(shown) <= _LONGEST_CELL else f"{shown[:_LONGEST_CELL]}…"


def _visible(text: str) -> str:
    """Without characters that would move the cursor or turn the direction."""
    return "".join("␣" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character for character in text)
