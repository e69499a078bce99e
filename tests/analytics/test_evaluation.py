"""When an alert fires, when it resolves, and when it stays as it is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.backtest import backtest, signal_series
from analytics.evaluation import (
    Reason,
    RuleState,
    State,
    Transition,
    WindowCounts,
    evaluate,
    initial_state,
    window_start,
)
from analytics.rules import RuleDraft

NOW = datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC)


def rule(**options: Any) -> RuleDraft:
    return RuleDraft(**{"name": "r", "threshold": 10, "window_seconds": 60, "keep_firing_seconds": 0} | options)


def counts(errors: int = 0, finished: int = 0, failed: int = 0, complete_to: datetime = NOW) -> WindowCounts:
    return WindowCounts(errors, finished, failed, complete_to)


def state(name: State, seconds_ago: float = 0, below: float | None = None) -> RuleState:
    below_since = None if below is None else NOW - timedelta(seconds=below)
    return RuleState(name, NOW - timedelta(seconds=seconds_ago), NOW - timedelta(seconds=1), below_since)


RATE = {"signal": "error_rate_percent", "threshold": 5}
CASES = [
    pytest.param(rule(), state(State.OK), counts(9), State.OK, None, Reason.BELOW, id="below-stays-ok"),
    pytest.param(rule(), state(State.OK), counts(10), State.FIRING, Transition.FIRED, Reason.BREACH, id="at-threshold"),
    pytest.param(
        rule(for_seconds=30), state(State.OK), counts(10), State.PENDING, None, Reason.BREACH_TOO_SHORT, id="for-begins"
    ),
    pytest.param(
        rule(for_seconds=30),
        state(State.PENDING, 29),
        counts(10),
        State.PENDING,
        None,
        Reason.BREACH_TOO_SHORT,
        id="29s",
    ),
    pytest.param(
        rule(for_seconds=30),
        state(State.PENDING, 30),
        counts(10),
        State.FIRING,
        Transition.FIRED,
        Reason.BREACH,
        id="30s",
    ),
    pytest.param(
        rule(for_seconds=30), state(State.PENDING, 20), counts(9), State.OK, None, Reason.BELOW, id="pending-forgets"
    ),
    pytest.param(rule(), state(State.FIRING), counts(10), State.FIRING, None, Reason.BREACH, id="fires-once"),
    pytest.param(rule(), state(State.FIRING), counts(9), State.OK, Transition.RESOLVED, Reason.BELOW, id="resolves"),
    pytest.param(
        rule(keep_firing_seconds=60),
        state(State.FIRING),
        counts(9),
        State.FIRING,
        None,
        Reason.KEEPS_FIRING,
        id="keeps",
    ),
    pytest.param(
        rule(keep_firing_seconds=60),
        state(State.FIRING, 90, below=60),
        counts(9),
        State.OK,
        Transition.RESOLVED,
        Reason.BELOW,
        id="kept-long-enough",
    ),
    pytest.param(
        rule(),
        state(State.FIRING),
        counts(0, complete_to=NOW - timedelta(seconds=61)),
        State.FIRING,
        None,
        Reason.STALE,
        id="stale-does-not-resolve",
    ),
    pytest.param(
        rule(),
        state(State.OK),
        counts(99, complete_to=NOW - timedelta(seconds=61)),
        State.OK,
        None,
        Reason.STALE,
        id="stale-does-not-fire",
    ),
    pytest.param(rule(**RATE), state(State.OK), counts(50), State.OK, None, Reason.UNKNOWN, id="no-trials-no-rate"),
    pytest.param(
        rule(**RATE), state(State.OK), counts(9, 9, 9), State.OK, None, Reason.UNKNOWN, id="too-few-trials-no-rate"
    ),
    pytest.param(
        rule(**RATE), state(State.FIRING), counts(), State.FIRING, None, Reason.UNKNOWN, id="unknown-does-not-resolve"
    ),
    pytest.param(
        rule(**RATE, no_data="resolve"),
        state(State.FIRING),
        counts(),
        State.OK,
        Transition.RESOLVED,
        Reason.BELOW,
        id="nd",
    ),
    pytest.param(
        rule(**RATE, no_data="fire"),
        state(State.OK),
        counts(),
        State.FIRING,
        Transition.FIRED,
        Reason.BREACH,
        id="nd-fire",
    ),
    pytest.param(
        rule(**RATE),
        state(State.OK),
        counts(0, 100, 5),
        State.FIRING,
        Transition.FIRED,
        Reason.BREACH,
        id="rate-breach",
    ),
    pytest.param(rule(**RATE), state(State.OK), counts(99, 100, 4), State.OK, None, Reason.BELOW, id="rate-below"),
    pytest.param(
        rule(signal="rate_per_minute", window_seconds=120),
        state(State.OK),
        counts(19),
        State.OK,
        None,
        Reason.BELOW,
        id="per-minute-below",
    ),
    pytest.param(
        rule(signal="rate_per_minute", window_seconds=120),
        state(State.OK),
        counts(20),
        State.FIRING,
        Transition.FIRED,
        Reason.BREACH,
        id="per-minute-breach",
    ),
]


@pytest.mark.parametrize(("given_rule", "before", "seen", "after", "transition", "reason"), CASES)
def test_it_decides(
    given_rule: RuleDraft,
    before: RuleState,
    seen: WindowCounts,
    after: State,
    transition: Transition | None,
    reason: Reason,
) -> None:
    decision = evaluate(given_rule, before, seen, NOW)
    assert (decision.state.state, decision.transition, decision.reason) == (after, transition, reason)


def test_a_clock_that_goes_backwards_decides_nothing_and_is_followed() -> None:
    earlier = NOW - timedelta(minutes=5)
    decision = evaluate(rule(), state(State.FIRING), counts(0), earlier)
    assert (decision.state.state, decision.transition, decision.reason) == (State.FIRING, None, Reason.CLOCK)
    again = evaluate(rule(), decision.state, counts(0), earlier + timedelta(seconds=2))
    assert again.transition is Transition.RESOLVED


def test_the_window_never_reaches_further_back_than_it_says() -> None:
    assert window_start(NOW, 60) == datetime(2026, 11, 24, 11, 59, 10, tzinfo=UTC)
    assert window_start(datetime(2026, 11, 24, 12, 0, 9, 999999, tzinfo=UTC), 10).second == 0


@given(st.lists(st.integers(0, 20), max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_messages_alternate_and_need_a_cause(values: list[int], for_seconds: int, keep_firing: int) -> None:
    tried = rule(for_seconds=for_seconds, keep_firing_seconds=keep_firing)
    current, told = initial_state(NOW), []
    for index, value in enumerate(values):
        now = NOW + timedelta(seconds=10 * index)
        decision = evaluate(tried, current, WindowCounts(value, 0, 0, now), now)
        current = decision.state
        if decision.transition is not None:
            told.append(decision.transition)
            assert (value >= 10) == (decision.transition is Transition.FIRED)
    assert told == [Transition.FIRED, Transition.RESOLVED][:2] * (len(told) // 2) + [Transition.FIRED] * (len(told) % 2)
    if not any(value >= 10 for value in values):
        assert told == []


def history(errors: list[int]) -> pl.DataFrame:
    start = datetime(2026, 11, 24, tzinfo=UTC)
    buckets = [start + timedelta(seconds=10 * index) for index in range(len(errors))]
    frame = pl.DataFrame({"bucket": buckets, "errors": errors})
    return frame.with_columns(finished=pl.lit(0), failed=pl.lit(0))


def test_the_backtest_tells_what_the_live_evaluator_would_have_told() -> None:
    told = backtest(rule(), history([0, 5, 5, 0, 0, 0, 0, 0, 0, 9, 0]))
    assert [(item.transition.value, item.value) for item in told] == [("firing", 10.0), ("resolved", 5.0)]


def test_the_preview_line_is_the_signal_of_the_trailing_window() -> None:
    assert signal_series(rule(window_seconds=20), history([1, 2, 3]))["value"].to_list() == [1.0, 3.0, 5.0]
    assert signal_series(rule(**RATE), history([1, 2]))["value"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window_seconds": 15}, "multiple of 10"),
        ({"threshold": 0}, "greater than 0"),
        ({"threshold": float("inf")}, "finite"),
        ({"name": " "}, "at least 1 character"),
        ({"signal": "error_rate_percent", "threshold": 101}, "above 100"),
        ({**RATE, "scope": {"severity": ["high"]}}, "Executions know no severity"),
        ({"scope": {"source": ["kitchen"]}}, "'worker', 'webhook' or 'system'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rule(**options)
