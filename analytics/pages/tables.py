"""Small tables as HTML: aligned, truncated with the whole text at hand, every cell escaped."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from analytics.names import Names
from analytics.pages.chrome import severity_mark
from analytics.stuck import StuckRun

_REASONS = {
    "exhausted": "its last step failed for good and nothing followed",
    "too_long": "runs far longer than usual",
}


def groups_table(groups: Iterable[dict[str, Any]], total: int, zone: str) -> str:
    """Rows of `top_groups`, each a link to the group's page."""
    rows = []
    for group in groups:
        link = group_link(group["fingerprint"])
        title = escape(group["title"])
        share = f"{100 * group['errors'] / total:.0f} %" if total else ""
        rows.append(
            f'<tr><td title="{title}">{severity_mark(group["severity"])}'
            f'<a href="{link}" target="_self">{title}</a></td>'
            f'<td class="num">{group["errors"]:,}</td><td class="num mh-dim">{share}</td>'
            f'<td class="mh-dim">{clock(group["last_seen"], zone)}</td></tr>'
        )
    head = (
        '<tr><th>Group</th><th class="num" style="width:5rem">Errors</th><th class="num" style="width:4rem">Share</th>'
    )
    return f'<table class="mh-table">{head}<th style="width:5rem">Last</th></tr>{"".join(rows)}</table>'


def events_table(events: Sequence[dict[str, Any]], zone: str, names: Names) -> str:
    """Rows of `latest_errors`, each a link to the whole event; with the workflow where there is one, and room."""
    has_workflows = any(event["workflow_id"] for event in events)
    rows = []
    for event in events:
        title = escape(event["title"])
        link = escape(_event_link(event["error_id"], event["timestamp"]))
        workflow = workflow_cell(event["workflow_id"], names, "mh-dim mh-roomy") if has_workflows else ""
        rows.append(
            f'<tr><td class="mh-dim">{clock(event["timestamp"], zone)}</td>'
            f'<td title="{title}">{severity_mark(event["severity"])}'
            f'<a href="{link}" target="_self">{title}</a>{_times(event)}</td>{workflow}'
            f'<td class="mh-dim">{escape(event["source"])} · {escape(event["error_type"])}</td></tr>'
        )
    head = '<tr><th style="width:4.5rem">Time</th><th>Error</th>'
    head += '<th class="mh-roomy" style="width:25%">Workflow</th>' if has_workflows else ""
    head += '<th style="width:8.8rem">Source · type</th></tr>'
    return f'<div class="mh-fits"><table class="mh-table">{head}{"".join(rows)}</table></div>'


def _times(event: dict[str, Any]) -> str:
    """For how many errors a row stands that were counted without their details."""
    number = event["stands_for"]
    about = f"stands for {number:,} errors, which were counted without their details"
    return f' <span class="mh-dim" title="{about}">×{number:,}</span>' if number > 1 else ""


def stuck_table(runs: Sequence[StuckRun], names: Names, now: datetime, zone: str) -> str:
    """Runs that stand still, alike ones as a row with their number, each a link to its error; moved ones dimmed."""
    has_alike = any(run.alike > 1 for run in runs)
    rows = []
    for run in runs:
        label = escape("A run" if run.workflow_id is None else names.workflow(run.workflow_id))
        about = escape(f"{names.about_workflow(run.workflow_id)} · run {run.run_id}" if run.workflow_id else run.run_id)
        since = f"since {run.since.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"
        node = escape(run.node or "-")
        reason = _REASONS.get(run.reason, escape(run.reason))
        number = f'<td class="num">{run.alike:,}</td>' if has_alike else ""
        rows.append(
            f'<tr class="{"" if run.moved_at is None else "mh-dim"}">'
            f'<td title="{about}"><a href="{_event_link(run.error_id)}" target="_self">{label}</a></td>'
            f'<td title="{node}">{node}</td><td title="{reason}">{reason}</td>{number}'
            f'<td title="{since}">{_how_long(run, now)}</td></tr>'
        )
    head = '<tr><th>Workflow</th><th>Node</th><th class="mh-why">Why</th>'
    head += '<th class="num" style="width:3.6rem">Runs</th>' if has_alike else ""
    head += '<th style="width:12rem">Stuck</th></tr>'
    return f'<div class="mh-fits"><table class="mh-table">{head}{"".join(rows)}</table></div>'


def _how_long(run: StuckRun, now: datetime) -> str:
    lasted = in_words(run.lasts(now))
    if run.alike > 1:
        return f"newest for {lasted}" if run.moved_at is None else f"newest moved after {lasted}"
    return f"for {lasted}" if run.moved_at is None else f"moved again after {lasted}"


def workflow_cell(workflow_id: str | None, names: Names, classes: str) -> str:
    """A cell with the workflow's name, and what else is known of it in the tooltip."""
    if workflow_id is None:
        return f'<td class="{classes}"></td>'
    about = escape(names.about_workflow(workflow_id))
    return f'<td class="{classes}" title="{about}">{escape(names.workflow(workflow_id))}</td>'


def group_link(fingerprint: str) -> str:
    """The address of a group's page, also of a member's."""
    return f"/errors?{urlencode({'group': fingerprint})}"


def _event_link(error_id: str, happened_at: datetime | None = None) -> str:
    at = {} if happened_at is None else {"at": happened_at.astimezone(UTC).isoformat()}
    return f"/history?{urlencode({'error_id': error_id, **at})}"


def in_words(length: timedelta) -> str:
    """How long something takes: 45 s, 14 min, 3 h 10 min, 2 days."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return "1 day" if hours < 48 else f"{hours // 24} days"


def clock(moment: datetime, zone: str) -> str:
    """The time of day where the reader is, with the date in the tooltip."""
    local = moment.astimezone(ZoneInfo(zone))
    return f'<span title="{local:%Y-%m-%d %H:%M:%S %Z}">{local:%H:%M:%S}</span>'
