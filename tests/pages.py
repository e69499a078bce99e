"""What the pages and the API show of an installation, for comparing two of them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from analytics.accounts import list_users
from analytics.alert_store import get_alert, list_alerts, list_channels, list_rules
from analytics.backtest import backtest
from analytics.classification_store import rulebook
from analytics.events import error_by_id
from analytics.filters import Filters
from analytics.groups import breakdown, group_details, list_groups
from analytics.latest import latest_errors
from analytics.names import names
from analytics.queries import error_series, filter_choices, has_errors, top_groups
from analytics.rule_history import rule_counts
from analytics.store import Store
from analytics.stuck import stuck_runs
from ingest.keys import list_keys
from ingest.projects import list_projects


def shown(store: Store, moment: datetime) -> dict[str, Any]:
    """By page, every number up to `moment`."""
    week, hour = moment - timedelta(days=9), moment - timedelta(hours=1)
    everything = Filters()
    with store.connection() as connection:
        settings: dict[str, Any] = {
            "rules": list_rules(connection),
            "channels": list_channels(connection),
            "alerts": [get_alert(connection, alert["id"]) for alert in list_alerts(connection)],
            "classification": rulebook(connection),
            "users": [(user.name, user.created_at) for user in list_users(connection)],
            "keys": list_keys(connection),
            "projects": list_projects(connection),
            "names": names(connection),
            "stuck": stuck_runs(connection, moment, everything),
        }
    history = [(view.rule, rule_counts(store, view.rule, hour, moment)) for view in settings["rules"]]
    groups = list_groups(store, week, moment, sort="errors", idle=True)
    events = latest_errors(store, week, moment, everything, 5000, with_metadata=True)
    return settings | {
        "overview": error_series(store, hour, moment, 60, everything).to_dicts(),
        "overview by source": error_series(store, hour, moment, 60, everything, "source").to_dicts(),
        "history": error_series(store, week, moment, 3600, everything).to_dicts(),
        "history by workflow": error_series(store, week, moment, 86_400, everything, "workflow_id").to_dicts(),
        "top groups": top_groups(store, week, moment, everything).to_dicts(),
        "top groups of the hour": top_groups(store, hour, moment, everything).to_dicts(),
        "groups": (groups.groups.to_dicts(), groups.matching, groups.by_state),
        "group": [group_details(store, name) for name in groups.groups["fingerprint"]],
        "by severity": breakdown(store, week, moment, everything, "severity").to_dicts(),
        "events": events.to_dicts(),
        "event": [error_by_id(store, UUID(event)) for event in events["error_id"].head(5)],
        "thresholds": [(counts.to_dicts(), backtest(rule, counts)) for rule, counts in history],
        "filters": filter_choices(store),
        "any": has_errors(store),
    }
