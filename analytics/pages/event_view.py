"""One error, readable: what and where, the stack with our own frames open, tags, request, and all of it raw."""

import json
from html import escape
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

import streamlit as st

from analytics.names import Names
from analytics.pages.chrome import known_names, severity_mark, zone
from analytics.pages.stack_view import dicts, stack_html
from analytics.pages.tables import group_link

Json = dict[str, Any]
_SHOWN_ELSEWHERE = frozenset(
    """counted message exception frames causes stack tags request user contexts extra breadcrumbs attributes
    resource""".split()
)
_SECTIONS = (
    ("User", "user"),
    ("Contexts", "contexts"),
    ("Extra", "extra"),
    ("Attributes", "attributes"),
    ("Resource", "resource"),
)
_RELATIONS = {"cause": "Caused by", "context": "While handling", "member": "With it"}


def event_view(event: Json, *, has_title: bool = True) -> None:
    """Draw an event as `error_by_id` answers it. Everything in it was masked before it was stored."""
    metadata = event["metadata"]
    if has_title:
        title = f"{severity_mark(event['severity'])}<bdi>{escape(event['title'])}</bdi>"
        st.html(f'<h3 style="margin:0;overflow-wrap:anywhere">{title}</h3>')
    if metadata.get("counted"):
        st.info(_counted(event["stands_for"]))
    if chips := _chips(metadata.get("tags")):
        st.html(chips)
    with st.container(key="lists_event"):
        facts, details = st.columns([1, 1.7], gap="large")
    with facts:
        st.html(_facts(event, metadata, known_names()))
    with details:
        _what_happened(event, metadata)
        _request(metadata.get("request"))
        _breadcrumbs(metadata.get("breadcrumbs"))
        for label, name in _SECTIONS:
            if isinstance(metadata.get(name), dict) and metadata[name]:
                with st.expander(label):
                    st.html(_definitions(_flat(metadata[name])))
    with st.expander("Raw"):
        st.code(json.dumps(event, indent=2, default=str, ensure_ascii=False), language="json")


def _counted(number: int) -> str:
    what = "This error was" if number == 1 else f"These {number:,} errors were"
    return f"{what} counted without details: its group was in a flood, or its sender above a limit."


def _what_happened(event: Json, metadata: Json) -> None:
    message = metadata.get("message")
    exception = metadata.get("exception")
    value = exception.get("value") if isinstance(exception, dict) else None
    if isinstance(message, str) and message and message != value and message not in event["title"]:
        st.code(message, language=None, wrap_lines=True)
    if stack := stack_html(exception, metadata.get("frames")):
        st.html(stack)
    for cause in dicts(metadata.get("causes")):
        st.caption(_RELATIONS.get(str(cause.get("relation")), "Caused by"))
        st.html(stack_html(cause, cause.get("frames")))
    stack_text = metadata.get("stack")
    if isinstance(stack_text, str) and stack_text:
        if metadata.get("frames"):
            with st.expander("Stack as it was sent"):
                st.code(stack_text, language=None)
        else:
            st.code(stack_text, language=None)


def _request(request: object) -> None:
    if not isinstance(request, dict) or not request:
        return
    line = " ".join(str(request[name]) for name in ("method", "url") if request.get(name))
    rest = {name: value for name, value in request.items() if name not in ("method", "url")}
    with st.expander(f"Request {line}"[:160].replace("[", r"\["), expanded=False):
        st.html(_definitions(_flat(rest)) if rest else '<p class="mh-dim">Nothing else was sent.</p>')


def _breadcrumbs(crumbs: object) -> None:
    known = dicts(crumbs)
    if not known:
        return
    rows = []
    for crumb in known:
        what = " · ".join(str(crumb[name]) for name in ("category", "level") if crumb.get(name))
        said = crumb.get("message") or (json.dumps(crumb["data"], default=str) if crumb.get("data") else "")
        rows.append((what or "-", said))
    with st.expander(f"What happened before ({len(known)})"):
        st.html(_definitions(rows))


def _facts(event: Json, metadata: Json, names: Names) -> str:
    local = event["timestamp"].astimezone(ZoneInfo(zone()))
    rows = [
        ("Time", escape(f"{local:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {local:%Z}")),
        ("Severity", escape(event["severity"])),
        ("Type", escape(event["error_type"])),
        ("Source", escape(event["source"])),
    ]
    if workflow := event["workflow_id"]:
        rows.append(("Workflow", _named(names.workflow(workflow), names.displayed.get(workflow, ""), workflow)))
    if project := event["project_id"]:
        rows.append(("Project", _named(names.project(project), "", project)))
    if event["run_id"]:
        rows.append(("Run", escape(event["run_id"])))
    group = escape(group_link(event["fingerprint"]))
    rows.append(("Group", f'<a href="{group}" target="_self">{escape(event["fingerprint"])}</a>'))
    rows.append(("Id", escape(event["error_id"])))
    plain = {key: value for key, value in metadata.items() if key not in _SHOWN_ELSEWHERE and _is_plain(value)}
    if link := _step_error_link(plain.get("step_error_id")):
        del plain["step_error_id"]
        rows.append(("Cause", link))
    return _listed(rows + [(escape(key), escape(str(value))) for key, value in plain.items()])


def _named(name: str, displayed: str, identity: str) -> str:
    """The name, with what else there is to tell below it, smaller."""
    more = "".join(f"<small>{escape(text)}</small>" for text in (displayed, identity) if text and text != name)
    return escape(name) + more


def _step_error_link(step_error_id: object) -> str:
    """From a run that failed to the error of the step that it failed at."""
    try:
        error_id = UUID(str(step_error_id))
    except ValueError:
        return ""
    return f'<a href="/history?{urlencode({"error_id": error_id})}" target="_self">The step\'s error</a>'


def _definitions(rows: list[tuple[str, object]]) -> str:
    return _listed([(escape(name), escape(str(value))) for name, value in rows])


def _listed(rows: list[tuple[str, str]]) -> str:
    """Rows of HTML."""
    cells = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return f'<dl class="mh-facts">{cells}</dl>'


def _flat(value: Json, prefix: str = "") -> list[tuple[str, object]]:
    """Nested objects as dotted names; lists as JSON."""
    rows: list[tuple[str, object]] = []
    for name, item in value.items():
        if isinstance(item, dict) and item and prefix.count(".") < 3:
            rows += _flat(item, f"{prefix}{name}.")
        elif isinstance(item, list | dict):
            rows.append((f"{prefix}{name}", json.dumps(item, default=str, ensure_ascii=False)))
        elif item is not None:
            rows.append((f"{prefix}{name}", item))
    return rows


def _chips(tags: object) -> str:
    if not isinstance(tags, dict):
        return ""
    chips = "".join(
        f'<span class="mh-chip"><span class="mh-dim">{escape(str(name))}</span> {escape(str(value))}</span>'
        for name, value in tags.items()
        if _is_plain(value)
    )
    return f'<div class="mh-chips">{chips}</div>' if chips else ""


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and str(value) != ""
