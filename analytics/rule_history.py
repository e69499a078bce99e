"""What happened by the scope of a rule: what its preview and a backtest are made of."""

from datetime import datetime

import polars as pl

from analytics.groups import group_event_series
from analytics.queries import SMALLEST_INTERVAL, error_series
from analytics.rules import GROUP_EVENTS, RuleDraft
from analytics.store import Store


def rule_counts(store: Store, rule: RuleDraft, start: datetime, end: datetime) -> pl.DataFrame:
    """Every 10-second bucket of the range, as `backtest` and `signal_series` take them: `bucket` with `errors`,
    `finished` and `failed`, or for a rule on groups with `events`."""
    filters = rule.scope.filters()
    if kind := GROUP_EVENTS.get(rule.signal):
        return group_event_series(store, start, end, kind, filters)
    return error_series(store, start, end, SMALLEST_INTERVAL, filters)
