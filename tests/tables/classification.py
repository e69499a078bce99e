"""The tables of docs/classification.md."""

from ingest.classification import Conditions, ShippedRule, shipped_rules
from ingest.classification.reading import CODE_TAGS
from ingest.classification.titles import PLACEHOLDERS


def rules() -> list[str]:
    """The shipped rules in their order."""
    lines = ["| | rule | says | looks at | because |", "|---|---|---|---|---|"]
    for number, entry in enumerate(shipped_rules(), start=1):
        rule = entry.rule
        says = f"{rule.error_type}, {rule.severity}" if rule.severity else str(rule.error_type)
        lines.append(f"| {number} | `{rule.name}` | {says} | {_looked_at(rule.when)} | {_reason(entry)} |")
    return lines


def placeholders() -> list[str]:
    """What a title may hold."""
    return [", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)]


def codes() -> list[str]:
    """The tags that are searched like a message."""
    return [", ".join(f"`{name}`" for name in sorted(CODE_TAGS))]


def _reason(entry: ShippedRule) -> str:
    return f"{entry.reason} *A last resort.*" if entry.is_last_resort else entry.reason


def _looked_at(when: Conditions) -> str:
    parts = []
    if when.source:
        parts.append(f"source {', '.join(when.source)}")
    if when.http_status:
        parts.append(f"status {', '.join(when.http_status)}")
    if when.node_type:
        parts.append(f"node type {', '.join(when.node_type)}")
    if when.handled is not None:
        parts.append("handled" if when.handled else "not handled")
    if when.exception:
        one = when.exception == ("*",)
        parts.append("any exception" if one else f"{len(when.exception)} exceptions")
    if when.message:
        parts.append("message")
    return "; ".join(parts) or "nothing"
