"""The installation's own rules as Postgres has them, and their way into the hall of a process that runs."""

from collections.abc import Iterable
from typing import NamedTuple

import structlog
from psycopg.rows import TupleRow
from pydantic import ValidationError
from pydantic_core import from_json

from ingest.classification.classifier import Classifier
from ingest.classification.rules import Rule, StoredRule, check_together
from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)

log = structlog.get_logger("classification")


class Damaged(NamedTuple):
    """A stored rule that can't be used, and why: somebody wrote it by hand, or a newer version did."""

    name: str
    reason: str


class OwnRules(NamedTuple):
    """In their order; `damaged` ones decide nothing."""

    rules: list[StoredRule]
    damaged: list[Damaged]


def definition_of(rule: Rule) -> str:
    """A rule as it is stored beside its name: JSON, without what it leaves open."""
    return rule.model_dump_json(exclude={"name"}, exclude_defaults=True)


def rule_of(name: str, definition: str) -> Rule:
    """The rule that is stored so, as JSON. Raises ValueError."""
    entries = from_json(definition)
    if not isinstance(entries, dict):
        raise ValueError("The definition is no object.")  # noqa: TRY004 - as what else is wrong with one
    return Rule.model_validate({**entries, "name": name})


def understood(rows: Iterable[tuple[str, str, bool]]) -> OwnRules:
    """Of `(name, definition, is_enabled)` those that can be used: whatever is stored, no process stops."""
    own = OwnRules([], [])
    for name, definition, is_enabled in rows:
        try:
            rule = rule_of(name, definition)
            check_together([*(stored.rule for stored in own.rules), rule])
        except ValueError as error:
            own.damaged.append(Damaged(name, _reason(error)))
        else:
            own.rules.append(StoredRule(rule, is_enabled))
    return own


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)[:300]
    problem = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    is_newer = problem["type"] == "extra_forbidden"
    says = "isn't known to this version." if is_newer else problem["msg"].removeprefix("Value error, ")
    return f"{field}: {says}"[:300] if field else says[:300]


def read_rules(connection: Connection) -> OwnRules:
    """The installation's own rules. Raises psycopg.Error."""
    return understood(connection.execute(_SQL["own_rules"]).fetchall())


class RulesWatch:
    """Takes rules that have changed over into a classifier, each time that somebody has it look."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._taken: list[TupleRow] = []  # what a classifier begins with
        self._said: set[Damaged] = set()

    def look(self, connection: Connection) -> None:
        """Raises psycopg.Error."""
        rows = connection.execute(_SQL["own_rules"]).fetchall()
        if rows == self._taken:
            return
        self._taken = rows
        own = understood(rows)
        for damaged in own.damaged:
            if damaged not in self._said:
                log.warning(
                    "a classification rule can't be used and is left aside", rule=damaged.name, reason=damaged.reason
                )
        self._said = set(own.damaged)
        self._classifier.replace(own.rules)
        log.info("classification rules are taken over", own=len(own.rules), left_aside=len(own.damaged))
