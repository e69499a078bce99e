"""Groups as HTML: rows of the list with their spark lines, badges of their states, times told from now."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from analytics.charts import interval_name
from analytics.groups import STATES, GroupList
from analytics.names import Names
from analytics.pages.chrome import severity_mark
from analytics.sparkline import sparkline

Json = dict[str, Any]
NEW = timedelta(days=1)  # a group is called new for so long
_DAYS = ((365, "year"), (30, "month"), (1, "day"))

LOOK = """<style>
.st-key-group_list { gap: 0; flex-wrap: nowrap; align-items: flex-start; }
.st-key-picks { gap: 0; width: 2rem; flex: none; }
.st-key-picks [data-testid="stElementContainer"] { height: 3.1rem; display: flex; align-items: center; }
.st-key-picks [data-testid="stElementContainer"]:first-child { height: 2rem; }
.st-key-picks label { margin: 0; padding: 0.5rem 0.3rem; }
.mh-groups { container-type: inline-size; }
.mh-groups table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 0.88rem; }
.mh-groups th { height: 2rem; padding: 0 0.8rem 0 0; text-align: left; font-weight: 500; font-size: 0.78rem;
  color: var(--mh-soft); white-space: nowrap; }
.mh-groups td { height: 3.1rem; padding: 0 0.8rem 0 0; border-top: 1px solid var(--mh-line); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; vertical-align: middle; line-height: 1.3; }
.mh-groups .num { text-align: right; font-variant-numeric: tabular-nums; }
.mh-groups .mh-name { display: block; overflow: hidden; text-overflow: ellipsis; }
.mh-groups .mh-name a { color: inherit; text-decoration: none; font-weight: 560; }
.mh-groups .mh-name a:hover, .mh-groups .mh-name a:focus-visible { text-decoration: underline; }
.mh-groups small { display: block; overflow: hidden; text-overflow: ellipsis; font-size: 0.8rem;
  color: var(--mh-soft); }
.mh-groups tr.mh-picked td { background: color-mix(in srgb, var(--mh-accent) 9%, transparent); }
.mh-groups tr:hover td { background: color-mix(in srgb, var(--mh-accent) 6%, transparent); }
.mh-groups tr.mh-quieted .mh-name a { font-weight: 450; }
.mh-groups th.mh-line { width: 9rem; } .mh-groups th.mh-many { width: 5rem; } .mh-groups th.mh-when { width: 7.6rem; }
.mh-groups th.mh-state { width: 8.4rem; } .mh-groups th.mh-whose { width: 7rem; }
.mh-spark { display: block; color: var(--mh-accent); } .mh-spark .mh-bars { fill: currentColor; }
.mh-spark .mh-ground { stroke: var(--mh-line); stroke-width: 1; }
.mh-badge { display: inline-block; max-width: 100%; overflow: hidden; text-overflow: ellipsis; vertical-align: middle;
  border-radius: 999px; padding: 0.06rem 0.6rem; font-size: 0.76rem; font-weight: 560; line-height: 1.5;
  border: 1px solid var(--mh-line); color: var(--mh-soft); white-space: nowrap; box-sizing: border-box; }
.mh-badge.new { color: var(--mh-accent); border-color: currentColor; }
.mh-badge.regressed { color: var(--mh-high); border-color: currentColor; }
.mh-badge.resolved { color: var(--mh-good); border-color: currentColor; }
@container (max-width: 1000px) { .mh-groups .mh-extra { display: none; } }
@container (max-width: 760px) { .mh-groups .mh-roomy { display: none; } .mh-groups th.mh-line { width: 7rem; }
  .mh-groups th.mh-when { width: 5.6rem; } .mh-groups th.mh-many { width: 3.8rem; }
  .mh-groups th.mh-state { width: 7rem; } }
.st-key-group_bar { min-height: 2.5rem; margin: 0.2rem 0 0; }
[class*="st-key-tab_"] button { padding: 0.25rem 0.1rem; margin-right: 0.7rem; color: var(--mh-soft); border-radius: 0;
  border-bottom: 2px solid transparent; min-height: 2rem; font-variant-numeric: tabular-nums; }
[class*="st-key-tab_"][class*="_now"] button { color: inherit; font-weight: 600;
  border-bottom-color: var(--mh-accent); }
.mh-place { font-size: 0.84rem; color: var(--mh-soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.mh-count { white-space: nowrap; padding-right: 0.5rem; }
.st-key-nothing { padding: 3.5rem 0; text-align: center; }
.mh-paused i { background: var(--mh-medium) !important; }
.mh-back { color: var(--mh-accent); text-decoration: none; font-size: 0.92rem; }
.mh-group h2 { font-size: 1.3rem; font-weight: 640; line-height: 1.35; margin: 0 0 0.35rem; padding: 0;
  overflow-wrap: anywhere; max-height: 8.2rem; overflow-y: auto; }
.mh-about { display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 0.8rem; font-size: 0.86rem;
  color: var(--mh-soft); } .mh-about code { font-size: 0.78rem; background: none; padding: 0; overflow-wrap: anywhere; }
.mh-figures { display: flex; flex-wrap: wrap; gap: 0.4rem 2.6rem; margin: 0.5rem 0 0.2rem !important; padding: 0; }
.mh-figures dt { font-size: 0.8rem; color: var(--mh-soft); font-weight: 400; }
.mh-figures dd { margin: 0; font-size: 1.35rem; font-weight: 500; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.mh-where { display: grid; gap: 0.9rem; } .mh-where h4 { font-size: 0.8rem; font-weight: 500; color: var(--mh-soft);
  margin: 0 0 0.2rem; padding: 0; } .mh-where ul { list-style: none; margin: 0; padding: 0; }
.mh-where li { position: relative; display: flex; justify-content: space-between; gap: 0.8rem; margin: 0 0 2px;
  padding: 0.16rem 0.5rem; font-size: 0.85rem; }
.mh-where .mh-bar { position: absolute; inset: 0 auto 0 0; border-radius: 3px;
  background: color-mix(in srgb, var(--mh-accent) 16%, transparent); }
.mh-where .mh-value { position: relative; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mh-where b { position: relative; font-weight: 500; font-variant-numeric: tabular-nums; white-space: nowrap; }
.mh-note { font-size: 0.88rem; padding: 0.5rem 0; border-top: 1px solid var(--mh-line); }
.mh-note p { margin: 0.15rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.mh-member { font-size: 0.88rem; min-width: 0; } .mh-member span { display: block; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.mh-member small, .mh-story small { display: block; font-size: 0.8rem; color: var(--mh-soft); overflow-wrap: anywhere; }
.mh-story { list-style: none; margin: 0; padding: 0; font-size: 0.87rem; }
.mh-story li { display: flex; justify-content: space-between; gap: 1rem; padding: 0.4rem 0; margin: 0;
  border-top: 1px solid var(--mh-line); } .mh-story li > span { min-width: 0; }
.mh-story time { color: var(--mh-soft); white-space: nowrap; font-size: 0.82rem; }
</style>"""


def group_rows(listing: GroupList, picked: Sequence[str], *, link: Any, names: Names, zone: str, now: datetime) -> str:
    """The table. `link` makes the address of a group's page from its fingerprint."""
    every = f"per {interval_name(listing.interval_seconds)}"
    rows = "".join(
        _row(group, group["fingerprint"] in picked, link(group["fingerprint"]), every, names, zone, now)
        for group in listing.groups.iter_rows(named=True)
    )
    head = (
        f'<th>Group</th><th class="mh-line" title="One bar {every}">In this range</th>'
        '<th class="num mh-many">Errors</th><th class="num mh-many mh-roomy">Total</th>'
        '<th class="mh-when">Last seen</th><th class="mh-when mh-extra">First seen</th>'
        '<th class="mh-state">State</th><th class="mh-whose mh-roomy">Assigned to</th>'
    )
    return f'<div class="mh-groups"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(group: Json, is_picked: bool, link: str, every: str, names: Names, zone: str, now: datetime) -> str:
    title = escape(group["title"])
    highest = max(group["series"], default=0)
    line = sparkline(group["series"], label=f"at most {highest:,} errors {every}", width=124)
    classes = [name for name, holds in (("mh-picked", is_picked), ("mh-quieted", is_settled(group))) if holds]
    whose = group["assignee"]
    assignee = f'<bdi title="{escape(whose)}">{escape(whose)}</bdi>' if whose else ""
    return (
        f'<tr class="{" ".join(classes)}"><td><span class="mh-name" title="{title}">{severity_mark(group["severity"])}'
        f'<a href="{escape(link)}" target="_self"><bdi>{title}</bdi></a></span><small>{about(group, names)}</small></td>'
        f'<td title="At most {highest:,} {every}">{line}</td>'
        f'<td class="num">{group["errors"]:,}</td><td class="num mh-roomy">{group["total"]:,}</td>'
        f'<td>{ago(group["last_seen"], zone, now)}</td><td class="mh-extra">{ago(group["first_seen"], zone, now)}</td>'
        f'<td>{badge(group, zone, now)}</td><td class="mh-roomy">{assignee}</td></tr>'
    )


def about(group: Json, names: Names) -> str:
    """Where the newest error comes from: project, workflow, source and type; how many fingerprints it is, if several."""
    texts = [
        names.workflow(group["workflow_id"]) if group["workflow_id"] else "",
        names.project(group["project_id"]) if group["project_id"] and not group["workflow_id"] else "",
        group["source"],
        group["error_type"],
        f"{len(group['members'])} merged" if len(group["members"]) > 1 else "",
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
        return f'<span class="mh-badge" title="{escape(" · ".join(filter(None, (end, told))))}">{escape(text)}</span>'
    if state == "open" and now - group["first_seen"] < NEW:
        first = f"{group['first_seen'].astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"
        return f'<span class="mh-badge new" title="First seen {first}">New</span>'
    return f'<span class="mh-badge {escape(state)}" title="{escape(told)}">{escape(STATES.get(state, state))}</span>'


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
