"""The rules that come along, in `shipped.toml`."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ingest.classification.rules import Rule
from ingest.models import JsonObject

_FILE = Path(__file__).with_name("shipped.toml")


class ShippedRule(NamedTuple):
    """A rule that comes along: why it is, and errors that it decides. `is_last_resort`: it knows so little that an
    error's causes are asked before it."""

    rule: Rule
    reason: str
    examples: tuple[JsonObject, ...]
    is_last_resort: bool


@cache
def shipped_rules() -> tuple[ShippedRule, ...]:
    """In their order; the last one decides what no other does."""
    with _FILE.open("rb") as file:
        document = tomllib.load(file)
    return tuple(_entry(dict(table)) for table in document["rule"])


@cache
def last_resorts() -> frozenset[str]:
    """The names of the rules before which an error's causes are asked."""
    return frozenset(entry.rule.name for entry in shipped_rules() if entry.is_last_resort)


def _entry(table: dict[str, Any]) -> ShippedRule:
    reason, examples = table.pop("reason"), table.pop("examples")
    is_last_resort = table.pop("last_resort", False)
    return ShippedRule(Rule.model_validate(table), reason, tuple(examples), is_last_resort)
