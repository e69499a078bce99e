"""Small tables as HTML: aligned, truncated with the whole text at hand, every cell escaped."""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from analytics.pages.chrome import severity_mark


def groups_table(groups: Iterable[dict[str, Any]], total: int, zone: str) -> str:
    """Rows of `top_groups`, each a link to its history."""
    rows = []
    for group in groups:
        link = f"/history?{urlencode({'fingerprint': group['fingerprint']})}"
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


def events_table(events: Iterable[dict[str, Any]], zone: str) -> str:
    """Rows of `latest_errors`, each a link to the whole event."""
    rows = []
    for event in events:
        title = escape(event["title"])
        link = f"/history?{urlencode({'error_id': event['error_id']})}"
        rows.append(
            f'<tr><td class="mh-dim">{clock(event["timestamp"], zone)}</td>'
            f'<td title="{title}">{severity_mark(event["severity"])}<a href="{link}" target="_self">{title}</a></td>'
            f'<td class="mh-dim">{escape(event["source"])} · {escape(event["error_type"])}</td></tr>'
        )
    head = '<tr><th style="width:5rem">Time</th><th>Error</th><th style="width:9.5rem">Source · type</th></tr>'
    return f'<table class="mh-table">{head}{"".join(rows)}</table>'


def clock(moment: datetime, zone: str) -> str:
    """The time of day where the reader is, with the date in the tooltip."""
    local = moment.astimezone(ZoneInfo(zone))
    return f'<span title="{local:%Y-%m-%d %H:%M:%S %Z}">{local:%H:%M:%S}</span>'
