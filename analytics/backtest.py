"""A rule against history: the same evaluator as the live one, over a frame of counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analytics.evaluation import BUCKET, Transition, WindowCounts, evaluate, initial_state
from analytics.rules import GROUP_EVENTS, RuleDraft

_MEASURES = ("errors", "finished", "failed")


@dataclass(frozen=True, slots=True)
class Told:
    """A message that the rule would have caused."""

    at: datetime
    transition: Transition
    value: float | None


def _windows(rule: RuleDraft, counts: pl.DataFrame) -> pl.DataFrame:
    """Each bucket with the sums of the window that ends with it."""
    measures = ("events",) if rule.signal in GROUP_EVENTS else _MEASURES
    sums = [pl.col(name).rolling_sum(rule.window_seconds // 10, min_samples=1) for name in measures]
    return counts.sort("bucket").select("bucket", *sums)


def signal_series(rule: RuleDraft, counts: pl.DataFrame) -> pl.DataFrame:
    """`bucket` and `value`: the signal of the window that ends with each bucket, null where it is unknown.

    `counts` has one row for each 10-second bucket, without gaps: bucket, errors, finished, failed; for a rule on groups
    bucket and events.
    """
    sums = _windows(rule, counts)
    if rule.signal in GROUP_EVENTS:
        return sums.select("bucket", pl.col("events").cast(pl.Float64).alias("value"))
    if rule.signal == "error_rate_percent":
        value = pl.when(pl.col("finished") >= rule.min_executions).then(100 * pl.col("failed") / pl.col("finished"))
    else:
        per = 1 if rule.signal == "count" else 60 / rule.window_seconds
        value = pl.when(True).then(pl.col("errors") * per)
    return sums.select("bucket", value.otherwise(None).cast(pl.Float64).alias("value"))


def backtest(rule: RuleDraft, counts: pl.DataFrame) -> list[Told]:
    """What the rule would have told, evaluated at the end of each bucket of `counts` (as for `signal_series`)."""
    frame = _windows(rule, counts)
    told: list[Told] = []
    if frame.is_empty():
        return told
    state = initial_state(frame["bucket"][0])
    for bucket, *sums in frame.iter_rows():
        now = bucket + BUCKET - timedelta(microseconds=1)
        errors, finished, failed, events = (0, 0, 0, *sums) if rule.signal in GROUP_EVENTS else (*sums, 0)
        decision = evaluate(rule, state, WindowCounts(errors, finished, failed, now, events), now)
        state = decision.state
        if decision.transition is not None:
            told.append(Told(now, decision.transition, decision.value))
    return told
