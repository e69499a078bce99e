"""The rules that come along, in `shipped.toml`."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ingest.classification.rules import Rule
from ingest.models import JsonObject

_FILE = Path(__file__).with_name("shipped.toml")


class ShippedRule(NamedTuple):
    """A rule that comes along: why it is, and errors that it decides."""

    rule: Rule
    reason: str
    examples: tuple[JsonObject, ...]


@cache
def shipped_rules() -> tuple[ShippedRule, ...]:
    """In their order; the last one decides what no other does."""
    with _FILE.open("rb") as file:
        document = tomllib.load(file)
    return tuple(_entry(dict(table)) for table in document["rule"])


def _entry(table: dict[str, Any]) -> ShippedRule:
    reason, examples = table.pop("reason"), table.pop("examples")
    return ShippedRule(Rule.model_validate(table), reason, tuple(examples))
