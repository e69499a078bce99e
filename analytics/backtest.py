"""A rule against history: the same evaluator as the live one, over a frame of counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analytics.evaluation import BUCKET, Transition, WindowCounts, evaluate, initial_state
from analytics.rules import RuleDraft


@dataclass(frozen=True, slots=True)
class Told:
    """A message that the rule would have caused."""

    at: datetime
    transition: Transition
    value: float | None


def signal_series(rule: RuleDraft, counts: pl.DataFrame) -> pl.DataFrame:
    """`bucket` and `value`: the signal of the window that ends with each bucket, null where it is unknown.

    `counts` has one row for each 10-second bucket, without gaps: bucket, errors, finished, failed.
    """
    size = rule.window_seconds // 10
    sums = counts.sort("bucket").select(
        "bucket", *[pl.col(name).rolling_sum(size, min_samples=1) for name in ("errors", "finished", "failed")]
    )
    if rule.signal == "error_rate_percent":
        value = pl.when(pl.col("finished") >= rule.min_executions).then(100 * pl.col("failed") / pl.col("finished"))
    else:
        per = 1 if rule.signal == "count" else 60 / rule.window_seconds
        value = pl.when(True).then(pl.col("errors") * per)
    return sums.select("bucket", value.otherwise(None).cast(pl.Float64).alias("value"))


def backtest(rule: RuleDraft, counts: pl.DataFrame) -> list[Told]:
    """What the rule would have told, evaluated at the end of each bucket of `counts` (as for `signal_series`)."""
    size = rule.window_seconds // 10
    frame = counts.sort("bucket").select(
        "bucket", *[pl.col(name).rolling_sum(size, min_samples=1) for name in ("errors", "finished", "failed")]
    )
    told: list[Told] = []
    if frame.is_empty():
        return told
    state = initial_state(frame["bucket"][0])
    for bucket, errors, finished, failed in frame.iter_rows():
        now = bucket + BUCKET - timedelta(microseconds=1)
        decision = evaluate(rule, state, WindowCounts(errors, finished, failed, now), now)
        state = decision.state
        if decision.transition is not None:
            told.append(Told(now, decision.transition, decision.value))
    return told
