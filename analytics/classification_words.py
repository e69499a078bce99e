"""A rule of classification in words, for those who read it on a page."""

from collections.abc import Sequence
from typing import NamedTuple

from ingest.classification import Attempts, Conditions, Rule

LAST_TRY = {True: "last try, or given up", False: "will be tried again"}
HANDLED = {True: "handled", False: "not handled"}


class Condition(NamedTuple):
    """What is looked at, and the values of which any is meant; without values the words say it all."""

    words: str
    values: Sequence[str] = ()


def conditions(when: Conditions) -> list[Condition]:
    """All that must hold."""
    named = [
        ("source", when.source),
        ("exception", when.exception),
        ("message has", when.message),
        ("HTTP status", when.http_status),
        ("node type", when.node_type),
        ("logger", when.logger),
    ]
    found = [Condition(words, values) for words, values in named if values]
    found += [Condition(f"tag {name}", values) for name, values in when.tags.items()]
    if when.attempt is not None:
        found.append(Condition(_tries(when.attempt)))
    if when.last_try is not None:
        found.append(Condition(LAST_TRY[when.last_try]))
    if when.handled is not None:
        found.append(Condition(HANDLED[when.handled]))
    return found or [Condition("every error that no other rule holds for")]


def _tries(attempt: Attempts) -> str:
    if attempt.first == attempt.last:
        return f"try {attempt.first}"
    if attempt.last is None:
        return f"try {attempt.first} or later"
    if attempt.first is None:
        return f"try {attempt.last} or earlier"
    return f"try {attempt.first} to {attempt.last}"


def result(rule: Rule) -> tuple[str, str]:
    """Type and severity, or who decides on them."""
    return rule.error_type or "type as it was", rule.severity or "by its tries"
