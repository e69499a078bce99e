"""Groups as HTML: rows of the list with their spark lines, badges of their states, times told from now."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from analytics.charts import interval_name
from analytics.groups import STATES, GroupList
from analytics.names import Names
from analytics.pages.chrome import INKS, mode, severity_mark
from analytics.sparkline import spark_image

Json = dict[str, Any]
NEW = timedelta(days=1)  # a group is called new for so long
_DAYS = ((365, "year"), (30, "month"), (1, "day"))


def group_rows(
    listing: GroupList, picked: Sequence[str], *, link: Callable[[str], str], names: Names, zone: str, now: datetime
) -> str:
    """The table. `link` makes the address of a group's page from its fingerprint."""
    every = f"per {interval_name(listing.interval_seconds)}"
    rows = "".join(
        _row(group, group["fingerprint"] in picked, link(group["fingerprint"]), every, names, zone, now)
        for group in listing.groups.iter_rows(named=True)
    )
    head = (
        f'<th>Group</th><th class="mh-trend" title="One bar {every}">In this range</th>'
        '<th class="num mh-many">Errors</th><th class="num mh-many mh-roomy">Total</th>'
        '<th class="mh-when">Last seen</th><th class="mh-when mh-extra">First seen</th>'
        '<th class="mh-state">State</th><th class="mh-whose mh-roomy">Assigned to</th>'
    )
    return f'<div class="mh-groups"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(group: Json, is_picked: bool, link: str, every: str, names: Names, zone: str, now: datetime) -> str:
    title = escape(group["title"])
    highest = max(group["series"], default=0)
    line = spark_image(group["series"], label=f"at most {highest:,} {every}", **_colours())
    name = f'<a href="{escape(link)}" target="_self"><bdi>{title}</bdi></a>'
    classes = [kind for kind, holds in (("mh-picked", is_picked), ("mh-quieted", is_settled(group))) if holds]
    whose = group["assignee"]
    assignee = f'<bdi title="{escape(whose)}">{escape(whose)}</bdi>' if whose else ""
    return (
        f'<tr class="{" ".join(classes)}"><td><span class="mh-name" title="{title}">{severity_mark(group["severity"])}'
        f"{name}</span><small>{about(group, names)}</small></td>"
        f'<td title="At most {highest:,} {every}">{line}</td>'
        f'<td class="num">{group["errors"]:,}</td><td class="num mh-roomy">{group["total"]:,}</td>'
        f'<td class="mh-when">{ago(group["last_seen"], zone, now)}</td>'
        f'<td class="mh-when mh-extra">{ago(group["first_seen"], zone, now)}</td>'
        f'<td>{badge(group, zone, now)}</td><td class="mh-roomy">{assignee}</td></tr>'
    )


def _colours() -> dict[str, str]:
    inks = INKS[mode()]
    return {"colour": inks["accent"], "ground": inks["line"]}


def about(group: Json, names: Names) -> str:
    """Where the newest error comes from: workflow or project, source and type; how many members, if several."""
    texts = [
        names.workflow(group["workflow_id"]) if group["workflow_id"] else "",
        names.project(group["project_id"]) if group["project_id"] and not group["workflow_id"] else "",
        group["source"],
        group["error_type"],
        f"{len(group['members'])} members" if len(group["members"]) > 1 else "",
    ]
    return " · ".join(f"<bdi>{escape(text)}</bdi>" for text in texts if text)


def is_settled(group: Json) -> bool:
    """Whether nobody has to look at it now."""
    return group["state"] in ("resolved", "ignored")


def badge(group: Json, zone: str, now: datetime) -> str:
    """The state as a small label; the whole story in its tooltip."""
    state = group["state"]
    told = _since(group, zone)
    if state == "ignored":
        text, end = _ignored(group, zone, now)
        more = " · ".join(filter(None, (end, told)))
        return f'<span class="mh-badge" title="{escape(more)}">{escape(text)}</span>'
    if state == "open" and now - group["first_seen"] < NEW:
        first = f"{group['first_seen'].astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"
        return f'<span class="mh-badge new" title="First seen {first}">New</span>'
    label = next((words for known, words in STATES.items() if known == state), state)
    return f'<span class="mh-badge {escape(state)}" title="{escape(told)}">{escape(label)}</span>'


def _ignored(group: Json, zone: str, now: datetime) -> tuple[str, str]:
    """What the badge says, and its tooltip."""
    until, errors = group["ignored_until"], group["ignored_until_errors"]
    ends = []
    text = "Ignored"
    if errors is not None:
        left = max(0, errors - group["total"])
        text = f"Ignored, {left:,} more"
        ends.append(f"for {left:,} more errors")
    if until is not None:
        local = until.astimezone(ZoneInfo(zone))
        text = f"Ignored to {local:%H:%M}" if until - now < timedelta(hours=20) else f"Ignored to {local:%-d %b}"
        ends.append(f"until {local:%Y-%m-%d %H:%M %Z}")
    return text, "Ignored " + (" or ".join(reversed(ends)) if ends else "until somebody opens it")


def _since(group: Json, zone: str) -> str:
    if group["changed_at"] is None:
        return ""
    by = f" by {group['changed_by']}" if group["changed_by"] else ""
    return f"changed {group['changed_at'].astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}{by}"


def ago(moment: datetime, zone: str, now: datetime) -> str:
    """How long it is ago in one unit, with the time in the tooltip."""
    local = moment.astimezone(ZoneInfo(zone))
    return f'<time title="{local:%Y-%m-%d %H:%M:%S %Z}" datetime="{moment.isoformat()}">{_ago(now - moment)}</time>'


def _ago(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    if seconds < 5:
        return "now"
    for size, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds < 86_400 and seconds >= size:
            return f"{seconds // size} {unit} ago"
    days = seconds // 86_400
    size, unit = next(found for found in _DAYS if days >= found[0])
    number = days // size
    return f"{number} {unit}{'s' if number > 1 else ''} ago"


def address(parameters: Sequence[tuple[str, str]], **more: str) -> str:
    """The address of this page with these parameters; `more` replaces those of its names, an empty one takes it out."""
    kept = [(name, value) for name, value in parameters if name not in more]
    query = urlencode([*kept, *((name, value) for name, value in more.items() if value)])
    return f"/errors?{query}" if query else "/errors"
