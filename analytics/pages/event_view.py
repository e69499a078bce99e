"""One error, readable: what, where, and the stack with our own frames open."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from analytics.pages.chrome import severity_mark, zone

_SHOWN_ELSEWHERE = frozenset(("message", "exception", "frames", "causes", "stack", "tags"))


def event_view(event: dict[str, Any]) -> None:
    """Draw an event as `error_by_id` answers it. Everything in it was masked before it was stored."""
    metadata = event["metadata"]
    st.html(
        f'<h3 style="margin:0;overflow-wrap:anywhere">{severity_mark(event["severity"])}{escape(event["title"])}</h3>'
    )
    facts, details = st.columns([1, 1.4], gap="large")
    with facts:
        st.html(_facts(event, metadata))
    with details:
        message = metadata.get("message")
        if isinstance(message, str) and message and message not in event["title"]:
            st.code(message, language=None, wrap_lines=True)
        if isinstance(metadata.get("frames"), list):
            _frames(metadata.get("exception"), metadata["frames"])
        for cause in _dicts(metadata.get("causes")):
            st.caption("Caused by")
            _frames(cause, cause.get("frames", []))
        if isinstance(metadata.get("stack"), str):
            st.code(metadata["stack"], language=None)
    with st.expander("Raw"):
        st.code(json.dumps(event, indent=2, default=str, ensure_ascii=False), language="json")


def _facts(event: dict[str, Any], metadata: dict[str, Any]) -> str:
    local = event["timestamp"].astimezone(ZoneInfo(zone()))
    rows = [
        ("Time", f"{local:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {local:%Z}"),
        ("Severity", event["severity"]),
        ("Type", event["error_type"]),
        ("Source", event["source"]),
    ]
    rows += [(name, event[key]) for name, key in _IDS if event[key]]
    rows += [(key, value) for key, value in metadata.items() if key not in _SHOWN_ELSEWHERE and _is_plain(value)]
    tags = metadata.get("tags")
    if isinstance(tags, dict):
        rows += [(str(name), value) for name, value in tags.items() if _is_plain(value)]
    cells = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in rows)
    return f'<dl class="mh-facts">{cells}</dl>'


_IDS = (
    ("Workflow", "workflow_id"),
    ("Run", "run_id"),
    ("Project", "project_id"),
    ("Group", "fingerprint"),
    ("Id", "error_id"),
)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and str(value) != ""


def _dicts(value: object) -> Iterable[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _frames(exception: object, frames: object) -> None:
    if isinstance(exception, dict):
        st.html(
            f'<p class="mh-code" style="margin:0"><b>{escape(str(exception.get("type") or ""))}</b>: '
            f"{escape(str(exception.get('value') or ''))}</p>"
        )
    known = list(_dicts(frames))
    ours = [frame for frame in known if frame.get("in_app")] or known
    st.html("".join(map(_frame, ours)))
    if len(ours) < len(known):
        with st.expander(f"All {len(known)} frames"):
            st.html("".join(map(_frame, known)))


def _frame(frame: dict[str, Any]) -> str:
    place = f"{escape(str(frame.get('file') or ''))}:{escape(str(frame.get('line') or ''))}"
    code = escape(str(frame.get("context_line") or ""))
    kind = "mh-frame app" if frame.get("in_app") else "mh-frame"
    return (
        f'<div class="{kind}"><span class="mh-code"><b>{escape(str(frame.get("function") or ""))}</b></span> '
        f'<span class="mh-dim mh-code">{place}</span>'
        + (f'<div class="mh-code">{code}</div>' if code else "")
        + "</div>"
    )
