"""An exception and its frames as HTML: the failing call first, our own frames open, those of libraries folded."""

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import Any

Json = dict[str, Any]


def stack_html(exception: object, frames: object) -> str:
    """What was raised, and how the program came there. Empty where there is neither."""
    known = list(reversed(dicts(frames)))
    heading = _heading(exception) if isinstance(exception, dict) else ""
    has_ours = any(frame.get("in_app") for frame in known)
    blocks = "".join(_blocks(known)) if has_ours else "".join(map(_frame, known))
    return heading + blocks


def dicts(value: object) -> list[Json]:
    """The objects of a list; nothing for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _heading(exception: Json) -> str:
    kind, value = escape(str(exception.get("type") or "")), escape(str(exception.get("value") or ""))
    module = exception.get("module")
    prefix = f'<span class="mh-dim">{escape(str(module))}.</span>' if module and module != "builtins" else ""
    return f'<p class="mh-code mh-raised">{prefix}<b>{kind}</b>{": " if kind and value else ""}{value}</p>'


def _blocks(frames: Iterable[Json]) -> Iterator[str]:
    for is_ours, members in groupby(frames, key=lambda frame: bool(frame.get("in_app"))):
        run = list(members)
        inner = "".join(map(_frame, run))
        if is_ours:
            yield inner
        else:
            count = f"{len(run)} frames of libraries" if len(run) > 1 else "1 frame of a library"
            yield f'<details class="mh-fold"><summary>{count}</summary>{inner}</details>'


def _frame(frame: Json) -> str:
    function = escape(str(frame.get("function") or "?"))
    place = escape(":".join(str(frame[name]) for name in ("file", "line", "column") if frame.get(name)))
    kind = "mh-frame app" if frame.get("in_app") else "mh-frame"
    return (
        f'<div class="{kind}"><span class="mh-code"><b>{function}</b></span> '
        f'<span class="mh-dim mh-code">{place}</span>{_source(frame)}</div>'
    )


def _source(frame: Json) -> str:
    line = frame.get("context_line")
    if not isinstance(line, str) or not line:
        return ""
    before, after = _texts(frame.get("pre_context")), _texts(frame.get("post_context"))
    number = frame.get("line")
    first = number - len(before) if isinstance(number, int) else None
    rows = []
    for offset, text in enumerate([*before, line, *after]):
        label = "" if first is None else str(first + offset)
        mark = ' class="mh-here"' if offset == len(before) else ""
        rows.append(f'<div{mark}><span class="mh-line">{label}</span>{escape(text)}</div>')
    return f'<div class="mh-source">{"".join(rows)}</div>'


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
