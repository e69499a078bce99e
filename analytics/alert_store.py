"""Rules, channels and alerts in Postgres. Every change of a rule tells the evaluator, which takes it over at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from analytics.exceptions import BadRequest, Conflict, NotFound
from analytics.rules import AlertRule, Channel, ChannelDraft, RuleDraft
from ingest.database import Connection
from ingest.statements import load_statements
from ingest.vault import Vault

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule and where it stands. `since` is None for a rule that nobody has evaluated yet."""

    rule: AlertRule
    state: str
    since: datetime | None
    value: float | None
    reason: str | None


def list_rules(connection: Connection) -> list[RuleView]:
    """All rules, by name."""
    views = []
    for row in _dicts(connection, "rules"):
        state = {name: row.pop(name) for name in ("state", "since", "value", "reason")}
        views.append(RuleView(AlertRule.model_validate(row), **state))
    return views


def get_rule(connection: Connection, rule_id: UUID) -> RuleView:
    """One rule. Raises NotFound."""
    for view in list_rules(connection):
        if view.rule.id == rule_id:
            return view
    raise NotFound("No alert rule has this id.")


def create_rule(connection: Connection, draft: RuleDraft) -> AlertRule:
    """Raises Conflict for a name that is taken, BadRequest for a channel that isn't there."""
    rule_id = _write(connection, "create_rule", draft, {})
    return AlertRule(id=rule_id, **draft.model_dump())


def update_rule(connection: Connection, rule_id: UUID, draft: RuleDraft) -> AlertRule:
    """Raises as `create_rule`, and NotFound. A rule that fires goes on under its new terms."""
    _write(connection, "update_rule", draft, {"id": rule_id})
    return AlertRule(id=rule_id, **draft.model_dump())


def _write(connection: Connection, statement: str, draft: RuleDraft, more: dict[str, Any]) -> UUID:
    values = draft.model_dump() | {
        "scope": draft.scope.model_dump_json(exclude_defaults=True),
        "channel_ids": list(draft.channel_ids),
    }
    unknown = connection.execute(_SQL["unknown_channels"], {"ids": list(draft.channel_ids)}).fetchone()
    if unknown is not None:
        raise BadRequest(f"No channel has the id {unknown[0]}.")
    try:
        with connection.transaction():
            row = connection.execute(_SQL[statement], values | more).fetchone()
            connection.execute(_SQL["tell_evaluator"])
    except psycopg.errors.UniqueViolation:
        raise Conflict(f"There is a rule named {draft.name!r} already. Choose another name.") from None
    except psycopg.DataError as error:
        raise _unstorable(error) from None
    if row is None:
        raise NotFound("No alert rule has this id.")
    return UUID(str(row[0]))


def delete_rule(connection: Connection, rule_id: UUID) -> None:
    """Raises NotFound. An open alert of the rule is resolved by the evaluator, and people are told."""
    with connection.transaction():
        row = connection.execute(_SQL["delete_rule"], {"id": rule_id}).fetchone()
        connection.execute(_SQL["tell_evaluator"])
    if row is None:
        raise NotFound("No alert rule has this id.")


def list_channels(connection: Connection) -> list[Channel]:
    """All channels, by name, without their secrets."""
    return [_channel(row) for row in connection.execute(_SQL["channels"])]


def create_channel(connection: Connection, draft: ChannelDraft, vault: Vault) -> Channel:
    """Raises Conflict for a name that is taken, VaultClosed where no secret can be kept."""
    secret = draft.secret()
    values = {
        "name": draft.name,
        "kind": draft.kind,
        "settings": json.dumps(draft.settings()),
        "secret": None if secret is None else vault.encrypt(secret),
    }
    try:
        row = connection.execute(_SQL["create_channel"], values).fetchone()
    except psycopg.errors.UniqueViolation:
        raise Conflict(f"There is a channel named {draft.name!r} already. Choose another name.") from None
    except psycopg.DataError as error:
        raise _unstorable(error) from None
    assert row is not None
    return _channel(row)


def delete_channel(connection: Connection, channel_id: UUID) -> None:
    """Raises Conflict while a rule sends to it, and NotFound."""
    users = [row[0] for row in connection.execute(_SQL["rules_of_channel"], {"id": channel_id})]
    if users:
        raise Conflict(f"Rules send to this channel: {', '.join(users)}. Take it out of them first.")
    if connection.execute(_SQL["delete_channel"], {"id": channel_id}).fetchone() is None:
        raise NotFound("No channel has this id.")


def list_alerts(
    connection: Connection, *, open_only: bool = False, rule_id: UUID | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Alerts, the newest first."""
    return _dicts(connection, "alerts", {"open_only": open_only, "rule_id": rule_id, "limit": limit, "id": None})


def get_alert(connection: Connection, alert_id: UUID) -> dict[str, Any]:
    """One alert with its notifications and every attempt to deliver them. Raises NotFound."""
    found = _dicts(connection, "alerts", {"open_only": False, "rule_id": None, "limit": 1, "id": alert_id})
    if not found:
        raise NotFound("No alert has this id.")
    return found[0] | {"notifications": _dicts(connection, "notifications", {"id": alert_id})}


def _unstorable(error: psycopg.DataError) -> BadRequest:
    return BadRequest(f"A value can't be stored: {str(error).splitlines()[0]}.")


def _channel(row: Sequence[Any]) -> Channel:
    return Channel(id=row[0], name=row[1], kind=row[2], settings=row[3], has_secret=row[4])


def _dicts(connection: Connection, statement: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    cursor = connection.execute(_SQL[statement], values)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]
