"""The rules of classification in Postgres: listed with where they come from, and changed by one person at a time.

Whoever changes a rule says which state of it was seen (`updated_at`): where somebody else was faster, nothing is
overwritten. Running processes take a change over within seconds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import psycopg

from analytics.exceptions import BadRequest, Conflict, NotFound
from ingest.classification import Rule, StoredRule, check_together, ordered, shipped_rules
from ingest.classification.stored import definition_of, understood
from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)
Origin = Literal["own", "shipped", "changed"]


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule in its place. `origin`: the installation's own, shipped, or shipped and changed. `reason` is why a shipped
    one is; `changed_by` and `updated_at` are None for one that is as it was shipped."""

    rule: Rule
    origin: Origin
    is_enabled: bool
    reason: str | None = None
    changed_by: str | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DamagedView:
    """A stored rule that can't be used, and why. Where it has a shipped rule's name, that one is in force as it is."""

    name: str
    problem: str
    changed_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules in the order in which they are asked. `movable` are the names of those that stand before the shipped
    ones, damaged ones included; `version` is that of their order."""

    rules: list[RuleView]
    damaged: list[DamagedView]
    movable: list[str]
    version: str

    def view(self, name: str) -> RuleView | None:
        """The rule of this name that is in force, or switched off."""
        return next((view for view in self.rules if view.rule.name == name), None)

    def own(self) -> list[StoredRule]:
        """What is stored, as the classifier takes it."""
        return [StoredRule(view.rule, view.is_enabled) for view in self.rules if view.updated_at is not None]


class _Stored(NamedTuple):
    name: str
    definition: str
    is_enabled: bool
    changed_by: str
    updated_at: datetime


def rulebook(connection: Connection) -> Rulebook:
    """All rules, with those that are stored and can't be used."""
    return _rulebook(_stored(connection))


def _stored(connection: Connection) -> list[_Stored]:
    return [_Stored(*row) for row in connection.execute(_SQL["rules"])]


def _rulebook(stored: Sequence[_Stored]) -> Rulebook:
    by_name = {row.name: row for row in stored}
    own = understood(row[:3] for row in stored)
    rules = []
    for entry in ordered(own.rules):
        row = None if entry.origin == "shipped" else by_name[entry.rule.name]
        who, when = (None, None) if row is None else (row.changed_by, row.updated_at)
        rules.append(RuleView(entry.rule, entry.origin, entry.is_enabled, entry.reason, who, when))
    damaged = [
        DamagedView(name, reason, by_name[name].changed_by, by_name[name].updated_at) for name, reason in own.damaged
    ]
    shipped = _shipped()
    movable = [row.name for row in stored if row.name not in shipped]
    return Rulebook(rules, damaged, movable, hashlib.sha256("\n".join(movable).encode()).hexdigest()[:16])


def _shipped() -> dict[str, Rule]:
    return {entry.rule.name: entry.rule for entry in shipped_rules()}


def create_rule(
    connection: Connection, rule: Rule, who: str, *, is_enabled: bool = True, position: int | None = None
) -> Rulebook:
    """Add a rule, as the `position`-th of the own ones (from 1; the last, if none is given). One with the name of a
    shipped rule stands in its place. Raises Conflict for a name that is taken, BadRequest for what can't be."""
    with _alone(connection) as stored:
        if rule.name in {row.name for row in stored}:
            raise Conflict(f"There is a rule {rule.name!r} already. Change that one, or choose another name.")
        _check([*_rulebook(stored).own(), StoredRule(rule, is_enabled)])
        _execute(connection, "create_rule", _values(rule, who, is_enabled=is_enabled) | {"position": len(stored) + 1})
        names = _rulebook(stored).movable
        if rule.name not in _shipped():
            names = placed(names, rule.name, position)
        _place(connection, names, stored)
    return rulebook(connection)


def placed(names: Sequence[str], name: str, position: int | None) -> list[str]:
    """`names` with `name` as the `position`-th of them; the last where that is None. Raises BadRequest."""
    others = [other for other in names if other != name]
    if position is None:
        return [*others, name]
    if not 1 <= position <= len(others) + 1:
        raise BadRequest(f"position: must be between 1 and {len(others) + 1}: there are {len(others)} other rules.")
    return [*others[: position - 1], name, *others[position - 1 :]]


def with_draft(
    book: Rulebook, draft: Rule, *, replaces: str | None = None, position: int | None = None
) -> list[StoredRule]:
    """The own rules as they would be with a draft among them, instead of the one of its name, or the one that it
    `replaces`: in its place, or at the `position`-th. Raises BadRequest."""
    gone = {draft.name, replaces}
    rules = {stored.rule.name: stored for stored in book.own() if stored.rule.name not in gone}
    rules[draft.name] = StoredRule(draft)
    if position is None:
        position = next((place for place, name in enumerate(book.movable, 1) if name in gone), None)
    names = placed([name for name in book.movable if name not in gone], draft.name, position)
    own = [rules.pop(name) for name in names if name in rules] + list(rules.values())
    _check(own)
    return own


def change_rule(
    connection: Connection, name: str, rule: Rule, who: str, *, is_enabled: bool, seen: datetime | None
) -> Rulebook:
    """Replace the rule of this name by `rule`, which may have another one. `seen` is its `updated_at` as it was read,
    None for a shipped rule that nobody has changed. One that is as it was shipped again is a shipped one again.

    Raises NotFound, Conflict where somebody else has changed it meanwhile or the name is taken, and BadRequest.
    """
    shipped = _shipped()
    with _alone(connection) as stored:
        row = _seen(stored, name, seen)
        if rule.name != name and rule.name in {other.name for other in stored}:
            raise Conflict(f"There is a rule {rule.name!r} already. Choose another name.")
        if row is None and rule.name != name:
            raise BadRequest(f"name: a shipped rule keeps its name, {name}. Add a rule of your own for another one.")
        others = [stored for stored in _rulebook(stored).own() if stored.rule.name != name]
        _check([*others, StoredRule(rule, is_enabled)])
        values = _values(rule, who, is_enabled=is_enabled) | {"known_as": name, "position": len(stored) + 1}
        if is_enabled and shipped.get(rule.name) == rule:
            _execute(connection, "delete_rule", values)
        else:
            _execute(connection, "create_rule" if row is None else "change_rule", values)
    return rulebook(connection)


def delete_rule(connection: Connection, name: str, *, seen: datetime | None = None) -> Rulebook:
    """Take a rule out; one that was shipped is as it was shipped again. `seen` as for `change_rule`, None for whatever
    state it is in. Raises NotFound, and Conflict."""
    with _alone(connection) as stored:
        row = next((row for row in stored if row.name == name), None)
        if row is None and name in _shipped():
            raise Conflict(f"{name!r} is as it was shipped, and can't be deleted. Switch it off, or change it.")
        if row is None:
            raise _unknown(name)
        if seen is not None:
            _seen(stored, name, seen)
        _execute(connection, "delete_rule", {"known_as": name})
    return rulebook(connection)


def order_rules(connection: Connection, names: Sequence[str], *, version: str) -> Rulebook:
    """Put the own rules into this order; `version` is that of the order that was seen. Raises Conflict where it is
    another one meanwhile, BadRequest where `names` aren't those of all own rules."""
    with _alone(connection) as stored:
        book = _rulebook(stored)
        if version != book.version:
            raise Conflict("Somebody else has added, deleted or moved a rule meanwhile. Read the rules again.")
        if sorted(names) != sorted(book.movable):
            listed = ", ".join(book.movable) or "none"
            raise BadRequest(f"names: must be those of all rules of your own, each once: {listed}.")
        _place(connection, names, stored)
    return rulebook(connection)


def _place(connection: Connection, names: Sequence[str], stored: Sequence[_Stored]) -> None:
    """Number all rules: those that can be moved in this order, then the changed shipped ones, which stand in the places
    of those."""
    changed = [row.name for row in stored if row.name not in names]
    connection.execute(_SQL["place_rules"], {"names": [*names, *changed]})


def _seen(stored: Sequence[_Stored], name: str, seen: datetime | None) -> _Stored | None:
    """The stored rule in the state that was seen, None for a shipped one that isn't stored."""
    row = next((row for row in stored if row.name == name), None)
    if row is None:
        if name not in _shipped() or seen is not None:
            raise _unknown(name) if seen is None else Conflict(f"Somebody else has deleted {name!r} meanwhile.")
        return None
    if seen is None and name not in _shipped():
        raise BadRequest("updated_at: is missing. Send the one that was read with the rule.")
    if row.updated_at != seen:
        raise Conflict(f"{row.changed_by} has changed {name!r} meanwhile. Read it again, then change it.")
    return row


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no rule {name[:70]!r}.")


def _check(rules: Sequence[StoredRule]) -> None:
    try:
        check_together(stored.rule for stored in rules)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _values(rule: Rule, who: str, *, is_enabled: bool) -> dict[str, object]:
    return {"name": rule.name, "definition": definition_of(rule), "is_enabled": is_enabled, "changed_by": who}


def _execute(connection: Connection, statement: str, values: dict[str, object]) -> None:
    try:
        connection.execute(_SQL[statement], values)
    except psycopg.DataError as error:
        raise BadRequest(f"A value can't be stored: {str(error).splitlines()[0]}.") from None


@contextmanager
def _alone(connection: Connection) -> Iterator[list[_Stored]]:
    """A transaction in which nobody else changes rules, and what is stored."""
    with connection.transaction():
        connection.execute(_SQL["one_writer"])
        yield _stored(connection)


def key_name(connection: Connection, key_id: object) -> str:
    """What a key is called, for `changed_by`."""
    row = connection.execute(_SQL["key_name"], {"id": key_id}).fetchone()
    return "a key" if row is None else f"key {row[0]}"
