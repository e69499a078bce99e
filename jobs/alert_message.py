"""What an alert tells people, as plain data: every channel renders the same facts."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import structlog

from analytics.evaluation import Decision, Reason, window_start
from analytics.filters import Filters
from analytics.groups import GroupFilters, group_events, list_groups, whole_group
from analytics.queries import error_series, top_groups
from analytics.rules import GROUP_EVENTS, AlertRule
from analytics.store import Store

_HISTORY = timedelta(minutes=30)
_MOST_GROUPS = 3
_MOST_TOLD_GROUPS = 5  # where the alert is about groups
# The evaluator waits for the details: where many alerts fire at once, or reading is slow, the others go without.
_SPAN_SECONDS = 10.0
_MOST_SPENT_SECONDS = 2.0

log = structlog.get_logger("alerting")


class Composer:
    """Puts messages together; where the details can't be read, the message goes without them."""

    def __init__(self, store: Store, app_url: str) -> None:
        self._store = store
        self._app_url = app_url
        self._span_began = 0.0
        self._spent = 0.0

    def firing(
        self, rule: AlertRule, alert_id: UUID, decision: Decision, now: datetime, groups: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A breach; `groups` are the ones that a rule on groups is about."""
        message = self._facts(rule, alert_id, "firing", decision.value, decision.reason, now)
        message |= {"since": decision.state.since.isoformat(), "fired_at": now.isoformat()}
        return message | self._details(rule, window_start(now, rule.window_seconds), now, groups)

    def resolved(
        self,
        rule: AlertRule,
        alert_id: UUID,
        reason: Reason,
        value: float | None,
        peak: float | None,
        *,
        started_at: datetime,
        fired_at: datetime,
        now: datetime,
    ) -> dict[str, Any]:
        """The end of it."""
        message = self._facts(rule, alert_id, "resolved", value, reason, now)
        message |= {"since": started_at.isoformat(), "fired_at": fired_at.isoformat()}
        message |= {"resolved_at": now.isoformat(), "peak_value": peak}
        start = started_at - timedelta(seconds=rule.window_seconds)
        return message | self._details(rule, max(start, now - timedelta(hours=5)), now)

    def _facts(
        self, rule: AlertRule, alert_id: UUID, kind: str, value: float | None, reason: Reason, now: datetime
    ) -> dict[str, Any]:
        return {
            "kind": kind,
            "alert_id": str(alert_id),
            "rule_name": rule.name,
            "signal": rule.signal,
            "value": value,
            "threshold": rule.threshold,
            "window_seconds": rule.window_seconds,
            "scope": rule.scope.model_dump(mode="json", exclude_defaults=True),
            "reason": reason.value,
            "links": self._links(rule, now),
        }

    def _links(self, rule: AlertRule, now: datetime) -> dict[str, str]:
        filters = [(name, str(value)) for name, values in rule.scope.filters().active().items() for value in values]
        around = [("start", (now - timedelta(hours=1)).isoformat()), ("end", (now + timedelta(minutes=10)).isoformat())]
        return {
            "overview": f"{self._app_url}/?{urlencode([('range', '1h'), *filters])}",
            "history": f"{self._app_url}/history?{urlencode([*around, *filters])}",
        }

    def _details(self, rule: AlertRule, start: datetime, now: datetime, groups: Sequence[str] = ()) -> dict[str, Any]:
        began = time.monotonic()
        if began - self._span_began > _SPAN_SECONDS:
            self._span_began, self._spent = began, 0.0
        if self._spent > _MOST_SPENT_SECONDS:
            return {"top_groups": [], "series": []}
        try:
            return self._read_details(rule, start, now, groups)
        finally:
            self._spent += time.monotonic() - began

    def _read_details(self, rule: AlertRule, start: datetime, now: datetime, told: Sequence[str]) -> dict[str, Any]:
        filters = rule.scope.filters()
        end = now + timedelta(seconds=10)
        try:
            if kind := GROUP_EVENTS.get(rule.signal):
                told = told or group_events(self._store, start, end, kind, filters)
                filters = whole_group(self._store, Filters(fingerprint=tuple(told[:_MOST_TOLD_GROUPS])))
                if not told:
                    return {"top_groups": [], "series": []}
                asked = GroupFilters(dimensions=filters)
                groups = list_groups(self._store, start, end, asked, limit=_MOST_TOLD_GROUPS, idle=True).groups
            else:
                groups = top_groups(self._store, start, end, filters, _MOST_GROUPS)
            series = error_series(self._store, now - _HISTORY, end, 60, filters)
        except Exception as error:  # noqa: BLE001 - a damaged lake must not stop alerts
            log.warning("an alert goes out without details", reason=type(error).__name__)
            return {"top_groups": [], "series": []}
        points = [[bucket.isoformat(), errors] for bucket, errors in series.select("bucket", "errors").rows()]
        kept = [
            {"fingerprint": fingerprint, "title": title, "errors": errors, "link": self._group_link(fingerprint)}
            for fingerprint, title, errors in groups.select("fingerprint", "title", "errors").rows()
        ]
        return {"top_groups": kept, "series": points}

    def _group_link(self, fingerprint: str) -> str:
        return f"{self._app_url}/errors?{urlencode({'group': fingerprint})}"
