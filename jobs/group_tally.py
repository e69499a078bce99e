"""The tally's half that is about groups: what each has come to, which are new, which have regressed.

It runs inside the tally's transaction, so an event is written exactly when the errors that tell it are counted, once.
Above the horizon nothing is written; what will become an event is answered to the evaluator as if it were one.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from ingest.database import Connection
from ingest.statements import filled, load_statements
from jobs.window_counts import GroupEventRow

_EVENT = """id, date_bin('10 seconds', at, 'epoch'::timestamptz), project_id, workflow_id, source, error_type,
    severity::text, fingerprint, kind"""
_SQL = {name: filled(statement, event=_EVENT) for name, statement in load_statements(__file__).items()}
# An error that comes later than that is history being filled in: its group is new as of its own time.
_HISTORY = timedelta(days=1)


def fold_groups(connection: Connection, span: Mapping[str, int]) -> list[GroupEventRow]:
    """Take the errors between `span`'s watermark and horizon into their groups; answers the events for alert rules."""
    new: list[str] = []
    touched: list[str] = []
    for fingerprint, is_new in connection.execute(_SQL["fold_groups"], span):
        (new if is_new else touched).append(fingerprint)
    events: list[GroupEventRow] = []
    if new:
        values = {**span, "new": new, "history": _HISTORY}
        connection.execute(_SQL["carry_on"], values)
        events += [GroupEventRow(*row) for row in connection.execute(_SQL["tell_new"], values)]
        touched += new  # one that carries on a resolved group may regress it
    if touched:
        values = {**span, "touched": touched}
        events += [GroupEventRow(*row) for row in connection.execute(_SQL["regress"], values)]
        connection.execute(_SQL["end_by_count"], values)
    return events


def end_ignoring(connection: Connection) -> None:
    """Open the groups again whose time of being ignored is over."""
    connection.execute(_SQL["end_by_time"])


def pending_events(connection: Connection, horizon: int, fingerprints: Sequence[str]) -> list[GroupEventRow]:
    """What the visible errors above the horizon, which have these fingerprints, will tell once they are folded."""
    if not fingerprints:
        return []
    unknown: list[str] = []
    resolved: list[str] = []
    for fingerprint, since in connection.execute(_SQL["telling"], {"fingerprints": list(fingerprints)}):
        (unknown if since is None else resolved).append(fingerprint)
    values = {"horizon": horizon, "unknown": unknown, "resolved": resolved, "history": _HISTORY}
    names = [name for name, found in (("pending_new", unknown), ("pending_regressed", resolved)) if found]
    return [GroupEventRow(*row) for name in names for row in connection.execute(_SQL[name], values)]
