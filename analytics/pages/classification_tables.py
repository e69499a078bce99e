"""Rules and what they would catch, as HTML: every cell escaped, long lists cut with the whole text at hand."""

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

from analytics.classification_preview import Change, Example
from analytics.classification_store import RuleView
from analytics.classification_words import Condition, conditions
from analytics.pages.chrome import severity_mark
from ingest.classification import Rule

_MOST_VALUES = 4
_LONGEST_VALUE = 60


def shipped_table(views: Sequence[RuleView]) -> str:
    """Shipped rules, each a link to its form."""
    rows = "".join(
        f'<tr><td>{rule_cell(view)}</td><td style="vertical-align: middle">{result_cell(view)}</td></tr>'
        for view in views
    )
    return (
        f'<table class="mh-table mh-rules"><tr><th>Rule</th><th style="width:50%">An error is</th></tr>{rows}</table>'
    )


def rule_cell(view: RuleView) -> str:
    """The name, why a shipped rule is, and what it looks for; who changed it stands in the tooltip."""
    about = "" if view.updated_at is None else f"Changed by {view.changed_by}, {view.updated_at:%Y-%m-%d %H:%M} UTC"
    looked_for = " <i>and</i> ".join(map(_condition, conditions(view.rule.when)))
    link = f"/classification?{urlencode({'rule': view.rule.name})}"
    name = f'<b><a href="{link}" target="_self">{escape(view.rule.name)}</a></b>'
    why = f' <span class="mh-reason">{escape(view.reason)}</span>' if view.reason else ""
    return (
        f'<div class="{_classes(view)}" title="{escape(about)}">{name}{_chip(view)}{why}'
        f'<div class="mh-when">{looked_for}</div></div>'
    )


def _chip(view: RuleView) -> str:
    """What has become of a shipped rule."""
    if view.origin != "changed":
        return ""
    return f'<span class="mh-chip">{"changed" if view.is_enabled else "off"}</span>'


def _classes(view: RuleView) -> str:
    return "mh-rule" if view.is_enabled else "mh-rule mh-dim"


def _condition(condition: Condition) -> str:
    values = condition.values
    shown = " or ".join(f"<code>{escape(_cut(value))}</code>" for value in values[:_MOST_VALUES])
    if len(values) > _MOST_VALUES:
        rest = escape(", ".join(values[_MOST_VALUES:]))
        shown += f' or <span title="{rest}">{len(values) - _MOST_VALUES} more</span>'
    return f"{escape(condition.words)} {shown}" if shown else escape(condition.words)


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"


def result_cell(view: RuleView) -> str:
    """What the rule says an error is."""
    rule = view.rule
    title = f'<div class="mh-when" title="{escape(rule.title)}">«{escape(rule.title)}»</div>' if rule.title else ""
    return f'<div class="{_classes(view)}">{_result(rule)}{title}</div>'


def _result(rule: Rule) -> str:
    kind = escape(rule.error_type) if rule.error_type else '<span class="mh-dim">type by the next rule</span>'
    if rule.severity:
        return f"{severity_mark(rule.severity)}{kind} · {rule.severity}"
    by = "tries" if rule.error_type else "the next rule"
    return f'{kind} <span class="mh-dim">· severity by {by}</span>'


def changes_table(changes: Sequence[Change]) -> str:
    """By what errors are classified as now, and what they would be."""
    rows = "".join(
        f'<tr><td class="num">{change.errors:,}</td>'
        f"<td>{_classified(change.error_type, change.severity)}</td>"
        f'<td class="mh-dim" title="{escape(change.classified_by)}">{escape(change.classified_by) or "–"}</td>'
        f"<td>{_becomes(change)}</td></tr>"
        for change in changes
    )
    head = '<tr><th class="num" style="width:5.5rem">Errors</th><th>Now</th><th>By</th><th>Would be</th></tr>'
    return f'<table class="mh-table">{head}{rows}</table>'


def _becomes(change: Change) -> str:
    if (change.error_type, change.severity) == (change.new_error_type, change.new_severity):
        return '<span class="mh-dim">the same</span>'
    return _classified(change.new_error_type, change.new_severity)


def _classified(error_type: str, severity: str) -> str:
    return f"{severity_mark(severity)}{escape(error_type)} · {escape(severity)}"


def examples_table(examples: Sequence[Example]) -> str:
    """Titles of errors that would be caught, each a link to the newest; with the new title where there is one."""
    has_titles = any(example.new_title for example in examples)
    rows = []
    for example in examples:
        title = escape(example.title)
        link = f"/history?{urlencode({'error_id': example.error_id})}"
        new = escape(example.new_title or "")
        more = f'<td title="{new}">{new}</td>' if has_titles else ""
        rows.append(
            f'<tr><td class="num">{example.errors:,}</td>'
            f'<td title="{title}"><a href="{link}" target="_blank">{title}</a></td>{more}</tr>'
        )
    head = '<tr><th class="num" style="width:5.5rem">Errors</th><th>For example</th>'
    head += "<th>New title</th>" if has_titles else ""
    return f'<table class="mh-table">{head}</tr>{"".join(rows)}</table>'
