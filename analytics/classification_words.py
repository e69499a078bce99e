"""A rule of classification in words, for those who read it on a page."""

from collections.abc import Mapping, Sequence
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


def as_text(values: Sequence[str]) -> str:
    """Values as somebody edits them, one a line. A line's end in an expression is written as one writes it in one."""
    return "\n".join(value.replace("\n", r"\n") for value in values)


def from_text(text: str) -> list[str]:
    """The other way. Blanks around a value belong to it: an expression may ask for them."""
    return [line for line in text.split("\n") if line.strip()]


def tags_as_lines(tags: Mapping[str, Sequence[str]]) -> list[str]:
    """Each value of a tag as NAME = VALUE."""
    return [f"{name} = {value}" for name, values in tags.items() for value in values]


def tags_of_lines(lines: Sequence[str]) -> dict[str, list[str]]:
    """The other way; a line without a value asks for none, which no rule may."""
    tags: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition("=")
        tags.setdefault(name.strip(), []).extend([value.strip()] if value.strip() else [])
    return tags
