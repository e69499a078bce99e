"""The live evaluator: evaluates every rule at each tick and writes down what changes.

A transition is one transaction: the conditional move of the rule's state (whoever moved it first wins), the alert, and
one outbox row for each channel. Sending is somebody else's work (jobs/delivery), so a crash loses no message.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import structlog

from analytics.alert_store import list_rules
from analytics.evaluation import (
    Decision,
    Reason,
    RuleState,
    State,
    Transition,
    evaluate,
    initial_state,
)
from analytics.rules import AlertRule
from ingest.database import Connection
from ingest.statements import load_statements
from jobs.alert_message import Composer
from jobs.window_counts import CountRow, ExecutionRow, GroupEventRow, Row, RuleWindows

_SQL = load_statements(__file__)
_REFRESH = timedelta(seconds=10)

log = structlog.get_logger("alerting")


@dataclass(slots=True)
class _Standing:
    """A rule's state as this process knows it, and as it was last stored."""

    state: RuleState
    version: int
    stored_at: datetime
    reason: Reason | None = None


class Evaluator:
    """Runs on the leader's connection, in one thread."""

    def __init__(self, connection: Connection, composer: Composer) -> None:
        self._connection = connection
        self._composer = composer
        self._rules: list[AlertRule] = []
        self._standings: dict[UUID, _Standing] = {}
        self._pending: Sequence[Row] = ()
        self._last_tick = datetime.min.replace(tzinfo=UTC)
        self._windows = RuleWindows([], self._last_tick)

    def load(self, now: datetime) -> None:
        """Read rules, states and counts. An alert whose rule is gone or switched off is resolved."""
        self._resolve_abandoned(now)
        self._connection.execute(_SQL["forget_disabled"])
        self._rules = [view.rule for view in list_rules(self._connection) if view.rule.enabled]
        self._standings = self._read_standings(now)
        self._windows = RuleWindows(self._rules, now)
        since = {"since": now - timedelta(seconds=self._windows.longest + 10)}
        self._windows.apply(CountRow(*row) for row in self._connection.execute(_SQL["errors_since"], since))
        self._windows.apply(ExecutionRow(*row) for row in self._connection.execute(_SQL["executions_since"], since))
        self._windows.apply(GroupEventRow(*row) for row in self._connection.execute(_SQL["groups_since"], since))

    def _read_standings(self, now: datetime) -> dict[UUID, _Standing]:
        standings = {rule.id: _Standing(initial_state(now), 0, now) for rule in self._rules}
        for rule_id, state, since, below_since, alert_id, evaluated_at, version in self._connection.execute(
            _SQL["states"]
        ):
            if rule_id in standings:
                known = RuleState(State(state), since, evaluated_at, below_since, alert_id)
                standings[rule_id] = _Standing(known, version, evaluated_at)
        return standings

    def apply(self, rows: Sequence[Row]) -> None:
        """Take over new totals of the rollup."""
        self._windows.apply(rows)

    def pending(self, rows: Sequence[Row]) -> None:
        """Take over what is visible above the tally's watermark, instead of what was there before."""
        self._pending = rows
        self._windows.replace_pending(rows)

    def tick(self, now: datetime, complete_to: datetime) -> int:
        """Evaluate every rule; answers how many alerts fired or were resolved."""
        if now < self._last_tick:
            self.load(now)  # the windows have moved on and forgotten what belongs to the present
            self._windows.replace_pending(self._pending)
        self._last_tick = now
        transitions = 0
        for rule in self._rules:
            standing = self._standings[rule.id]
            decision = evaluate(rule, standing.state, self._windows.counts(rule, now, complete_to), now)
            try:
                transitions += self._take_over(rule, standing, decision, now)
            except psycopg.errors.ForeignKeyViolation:  # deleted meanwhile: the next `load` resolves its alert
                log.info("a rule is gone", rule=rule.name)
        self._windows.forget_before(now)
        return transitions

    def _take_over(self, rule: AlertRule, standing: _Standing, decision: Decision, now: datetime) -> bool:
        """Answers whether an alert fired or was resolved."""
        if decision.transition is not None:
            return self._make_transition(rule, standing, decision, now)
        if self._is_worth_storing(standing, decision, now):
            self._store(rule, standing, decision, now)
        else:
            standing.state = decision.state
        return False

    @staticmethod
    def _is_worth_storing(standing: _Standing, decision: Decision, now: datetime) -> bool:
        """A state that moves, or one that isn't at rest and was stored a while ago."""
        if decision.state.state is not standing.state.state or decision.reason is not standing.reason:
            return standing.version > 0 or decision.reason is not Reason.BELOW
        return decision.state.state is not State.OK and now - standing.stored_at >= _REFRESH

    def _make_transition(self, rule: AlertRule, standing: _Standing, decision: Decision, now: datetime) -> bool:
        fires = decision.transition is Transition.FIRED
        alert_id = uuid4() if fires else decision.state.alert_id
        if alert_id is None:
            log.error("a firing rule without its alert starts again", rule=rule.name)
            return False
        state = replace(decision.state, alert_id=alert_id if fires else None)
        with self._connection.transaction():
            if not self._move(rule, standing, replace(decision, state=state), now):
                return False
            if fires:
                self._open(rule, alert_id, decision, now)
            else:
                self._close(rule, alert_id, decision.reason, decision.value, now)
        log.info(decision.transition, rule=rule.name, value=decision.value, threshold=rule.threshold)
        return True

    def _store(self, rule: AlertRule, standing: _Standing, decision: Decision, now: datetime) -> None:
        with self._connection.transaction():
            stored = self._move(rule, standing, decision, now)
            if stored and decision.state.alert_id is not None and decision.value is not None:
                values = {"alert_id": decision.state.alert_id, "value": decision.value}
                self._connection.execute(_SQL["raise_peak"], values)

    def _move(self, rule: AlertRule, standing: _Standing, decision: Decision, now: datetime) -> bool:
        """Store the state if it is still the one that was known; else take over what somebody else has stored."""
        state = decision.state
        values = {
            "rule_id": rule.id,
            "state": state.state.value,
            "since": state.since,
            "below_since": state.below_since,
            "alert_id": state.alert_id,
            "value": decision.value,
            "reason": decision.reason.value,
            "evaluated_at": now,
            "known_version": standing.version,
        }
        row = self._connection.execute(_SQL["move_state"], values).fetchone()
        if row is None:
            log.warning("another evaluator was first", rule=rule.name)
            current = self._read_standings(now).get(rule.id)
            if current is not None:
                self._standings[rule.id] = current
            return False
        standing.state, standing.version, standing.stored_at, standing.reason = state, row[0], now, decision.reason
        return True

    def _open(self, rule: AlertRule, alert_id: UUID, decision: Decision, now: datetime) -> None:
        message = self._composer.firing(rule, alert_id, decision, now, self._windows.groups(rule))
        values = {
            "alert_id": alert_id,
            "rule_id": rule.id,
            "rule_name": rule.name,
            "rule": rule.model_dump_json(),
            "started_at": decision.state.since,
            "fired_at": now,
            "value": decision.value,
        }
        self._connection.execute(_SQL["open_alert"], values)
        self._enqueue(alert_id, Transition.FIRED, rule.channel_ids, message)

    def _close(self, rule: AlertRule, alert_id: UUID, reason: Reason, value: float | None, now: datetime) -> None:
        closing = {"alert_id": alert_id, "resolved_at": now, "reason": reason.value}
        row = self._connection.execute(_SQL["close_alert"], closing).fetchone()
        if row is not None:
            fired_at, peak, started_at = row
            message = self._composer.resolved(
                rule, alert_id, reason, value, peak, started_at=started_at, fired_at=fired_at, now=now
            )
            told = [row[0] for row in self._connection.execute(_SQL["told_channels"], {"alert_id": alert_id})]
            self._enqueue(alert_id, Transition.RESOLVED, told, message)

    def _enqueue(self, alert_id: UUID, kind: Transition, channel_ids: Sequence[UUID], message: dict[str, Any]) -> None:
        values = {
            "alert_id": alert_id,
            "kind": kind.value,
            "message": json.dumps(message, default=str),
            "channel_ids": list(channel_ids),
        }
        self._connection.execute(_SQL["enqueue"], values)
        self._connection.execute(_SQL["tell_delivery"])

    def _resolve_abandoned(self, now: datetime) -> None:
        for alert_id, stored_rule, rule_id, reason in self._connection.execute(_SQL["abandoned"]).fetchall():
            rule = AlertRule.model_validate(stored_rule)
            with self._connection.transaction():
                self._close(rule, alert_id, Reason(reason), None, now)
                if rule_id is not None:
                    self._connection.execute(_SQL["forget_state"], {"rule_id": rule_id})
            log.info("resolved", rule=rule.name, reason=reason)
