"""The one evaluator, pure: a rule, its state and the counts of its window in; the next state, and why, out.

                    breach, `for` 0
          ┌──────────────────────────────────┐
          │                                  ▼
        ┌────┐ breach ┌─────────┐ `for` over ┌────────┐
        │ ok │───────▶│ pending │───────────▶│ firing │──┐ below for less than
        └────┘◀───────└─────────┘            └────────┘◀─┘ `keep_firing`: stays
          ▲     below                            │
          └──────────────────────────────────────┘
              below for `keep_firing`: resolved

Stale counts and an unknown rate (unless the rule says otherwise) freeze the state; so does a clock that runs backwards,
for that one evaluation.

The window is made of whole 10-second buckets, the current one included: it covers between `window - 10 s` and `window`
of time. So a value may be a moment too small, and is never too large.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from analytics.rules import GROUP_EVENTS, RuleDraft

BUCKET = timedelta(seconds=10)
STALE_AFTER = timedelta(seconds=60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """Where a rule stands."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Reason(StrEnum):
    """Why a decision is what it is."""

    BELOW = "below_threshold"
    BREACH = "breach"
    BREACH_TOO_SHORT = "breach_shorter_than_for"
    KEEPS_FIRING = "below_threshold_not_long_enough"
    STALE = "stale_data"
    UNKNOWN = "unknown_rate"
    CLOCK = "clock_went_backwards"
    RULE_CHANGED = "rule_changed"
    RULE_DISABLED = "rule_disabled"
    RULE_DELETED = "rule_deleted"


class Transition(StrEnum):
    """What is told to people."""

    FIRED = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What the window holds, and up to when it is complete."""

    errors: int
    finished: int
    failed: int
    complete_to: datetime
    events: int = 0  # of groups, of the kind that the rule counts


@dataclass(frozen=True, slots=True)
class RuleState:
    """`since` is when the state began; `below_since` when a firing rule last fell below its threshold."""

    state: State
    since: datetime
    evaluated_at: datetime
    below_since: datetime | None = None
    alert_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, what to tell (if anything), the signal's value (None: unknown), and why."""

    state: RuleState
    transition: Transition | None
    value: float | None
    reason: Reason


def initial_state(now: datetime) -> RuleState:
    """A rule that nobody has evaluated yet."""
    return RuleState(State.OK, now, now)


def window_start(now: datetime, window_seconds: int) -> datetime:
    """The start of the first bucket in the window that ends now."""
    current = _EPOCH + (now - _EPOCH) // BUCKET * BUCKET
    return current + BUCKET - timedelta(seconds=window_seconds)


def signal_value(rule: RuleDraft, counts: WindowCounts) -> float | None:
    """The value that is compared with the threshold; None where it is unknown."""
    if rule.signal == "count":
        return float(counts.errors)
    if rule.signal in GROUP_EVENTS:
        return float(counts.events)
    if rule.signal == "rate_per_minute":
        return counts.errors * 60 / rule.window_seconds
    if counts.finished < rule.min_executions:
        return None
    return 100 * counts.failed / counts.finished


def evaluate(rule: RuleDraft, state: RuleState, counts: WindowCounts, now: datetime) -> Decision:
    """Decide. Deterministic: the clock comes in as `now`."""
    value = signal_value(rule, counts)
    if now < state.evaluated_at:
        return Decision(_set_back(state, now), None, value, Reason.CLOCK)
    seen = replace(state, evaluated_at=now)
    if now - counts.complete_to > STALE_AFTER:
        return Decision(seen, None, value, Reason.STALE)
    if value is None:
        if rule.no_data == "keep":
            return Decision(seen, None, None, Reason.UNKNOWN)
        is_breach = rule.no_data == "fire"
        return _breach(rule, seen, None, now) if is_breach else _below(rule, seen, None, now)
    if value >= rule.threshold:
        return _breach(rule, seen, value, now)
    return _below(rule, seen, value, now)


def _set_back(state: RuleState, now: datetime) -> RuleState:
    """The state by the clock as it is now: one that was ahead for a moment must not freeze it until it is caught up."""
    below_since = None if state.below_since is None else min(state.below_since, now)
    return replace(state, evaluated_at=now, since=min(state.since, now), below_since=below_since)


def _breach(rule: RuleDraft, state: RuleState, value: float | None, now: datetime) -> Decision:
    if state.state is State.FIRING:
        return Decision(replace(state, below_since=None), None, value, Reason.BREACH)
    if state.state is State.OK:
        state = replace(state, state=State.PENDING, since=now)
    if now - state.since >= timedelta(seconds=rule.for_seconds):
        return Decision(replace(state, state=State.FIRING, below_since=None), Transition.FIRED, value, Reason.BREACH)
    return Decision(state, None, value, Reason.BREACH_TOO_SHORT)


def _below(rule: RuleDraft, state: RuleState, value: float | None, now: datetime) -> Decision:
    if state.state is not State.FIRING:
        since = state.since if state.state is State.OK else now
        return Decision(replace(state, state=State.OK, since=since), None, value, Reason.BELOW)
    below_since = state.below_since or now
    if now - below_since >= timedelta(seconds=rule.keep_firing_seconds):
        resolved = replace(state, state=State.OK, since=now, below_since=None)
        return Decision(resolved, Transition.RESOLVED, value, Reason.BELOW)
    return Decision(replace(state, below_since=below_since), None, value, Reason.KEEPS_FIRING)
