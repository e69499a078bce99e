"""What the rules' windows hold, kept up to date by what changed: the cost of a tick follows the changed series, not the
number of rules times the number of series."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from analytics.evaluation import WindowCounts, window_start
from analytics.filters import EXECUTION_COLUMNS
from analytics.rules import GROUP_EVENTS, AlertRule


class CountRow(NamedTuple):
    """A series of errors in one 10-second bucket, with its total."""

    bucket: datetime
    project_id: UUID | None
    workflow_id: UUID | None
    source: str
    error_type: str
    severity: str
    fingerprint: str
    errors: int


class ExecutionRow(NamedTuple):
    """A series of trials in one 10-second bucket, with its totals."""

    bucket: datetime
    project_id: UUID | None
    workflow_id: UUID | None
    source: str
    finished: int
    failed: int


class GroupEventRow(NamedTuple):
    """A group that is `new` or has `regressed`, in its 10-second bucket. One above the horizon has the number 0."""

    number: int
    bucket: datetime
    project_id: UUID | None
    workflow_id: UUID | None
    source: str
    error_type: str
    severity: str
    fingerprint: str
    kind: str


Row = CountRow | ExecutionRow | GroupEventRow
_Totals = tuple[int, int, int]  # errors (in the window of a rule on groups: events), finished, failed
_Series = tuple[object, ...]


def _totals(row: Row) -> _Totals:
    if isinstance(row, GroupEventRow):
        return 1, 0, 0
    return (row.errors, 0, 0) if isinstance(row, CountRow) else (0, row.finished, row.failed)


def _series(row: Row) -> _Series:
    """What tells rows of the same bucket apart."""
    if isinstance(row, GroupEventRow):
        return row[2:]
    return row[1:-1] if isinstance(row, CountRow) else row[1:-2]


class _Window:
    """The buckets of one rule and their sum."""

    __slots__ = ("buckets", "size", "start", "sums")

    def __init__(self, size: int, start: datetime) -> None:
        self.size = size
        self.start = start
        self.buckets: dict[datetime, list[int]] = {}
        self.sums = [0, 0, 0]

    def add(self, bucket: datetime, delta: _Totals) -> None:
        if bucket >= self.start:
            kept = self.buckets.setdefault(bucket, [0, 0, 0])
            for index, change in enumerate(delta):
                kept[index] += change
                self.sums[index] += change

    def advance(self, start: datetime) -> None:
        if start > self.start:
            self.start = start
            for bucket in [bucket for bucket in self.buckets if bucket < start]:
                for index, gone in enumerate(self.buckets.pop(bucket)):
                    self.sums[index] -= gone


class RuleWindows:
    """The windows of all rules. Rows below the tally's watermark come with absolute totals (`apply`); those above it
    replace each other as a whole (`replace_pending`)."""

    def __init__(self, rules: Iterable[AlertRule], now: datetime) -> None:
        self._rules = list(rules)
        self._windows = [_Window(rule.window_seconds, window_start(now, rule.window_seconds)) for rule in self._rules]
        self._position = {rule.id: index for index, rule in enumerate(self._rules)}
        self._matching: dict[_Series, list[int]] = {}
        self._known: dict[tuple[_Series, datetime], _Totals] = {}
        self._pending: dict[int, list[tuple[datetime, _Totals]]] = {}
        self._groups: dict[int, list[tuple[datetime, str]]] = {}
        self._pending_groups: dict[int, list[tuple[datetime, str]]] = {}
        self._oldest = now
        self.longest = max((rule.window_seconds for rule in self._rules), default=60)

    def apply(self, rows: Iterable[Row]) -> None:
        """Take over new totals."""
        for row in rows:
            series, totals = _series(row), _totals(row)
            known = row if isinstance(row, GroupEventRow) else series  # of events each stands for itself
            before = self._known.get((known, row.bucket), (0, 0, 0))
            self._known[known, row.bucket] = totals
            delta = (totals[0] - before[0], totals[1] - before[1], totals[2] - before[2])
            matching = self._matches(series, row)
            for index in matching:
                self._windows[index].add(row.bucket, delta)
            if isinstance(row, GroupEventRow) and not before[0]:
                for index in matching:
                    self._groups.setdefault(index, []).append((row.bucket, row.fingerprint))

    def replace_pending(self, rows: Iterable[Row]) -> None:
        """What is visible above the watermark, instead of what was there before."""
        self._pending, self._pending_groups = {}, {}
        for row in rows:
            for index in self._matches(_series(row), row):
                self._pending.setdefault(index, []).append((row.bucket, _totals(row)))
                if isinstance(row, GroupEventRow):
                    self._pending_groups.setdefault(index, []).append((row.bucket, row.fingerprint))

    def counts(self, rule: AlertRule, now: datetime, complete_to: datetime) -> WindowCounts:
        """What the window of `rule` that ends now holds."""
        index = self._position[rule.id]
        window = self._windows[index]
        window.advance(window_start(now, rule.window_seconds))
        errors, finished, failed = window.sums
        for bucket, totals in self._pending.get(index, ()):
            if bucket >= window.start:
                errors, finished, failed = errors + totals[0], finished + totals[1], failed + totals[2]
        if rule.signal in GROUP_EVENTS:
            return WindowCounts(0, 0, 0, complete_to, events=errors)
        return WindowCounts(errors, finished, failed, complete_to)

    def groups(self, rule: AlertRule) -> list[str]:
        """Which groups the window of a rule on groups holds, the newest first."""
        index = self._position[rule.id]
        start = self._windows[index].start
        told = [*self._pending_groups.get(index, ()), *reversed(self._groups.get(index, ()))]
        return list(dict.fromkeys(fingerprint for bucket, fingerprint in told if bucket >= start))

    def forget_before(self, now: datetime) -> None:
        """Give back the memory of totals that no window reaches."""
        oldest = now - timedelta(seconds=self.longest + 60)
        if oldest - self._oldest > timedelta(seconds=60):
            self._oldest = oldest
            self._known = {key: totals for key, totals in self._known.items() if key[1] >= oldest}
            for index, told in self._groups.items():
                self._groups[index] = [event for event in told if event[0] >= oldest]
            if len(self._matching) > 100_000:
                self._matching.clear()

    def _matches(self, series: _Series, row: Row) -> list[int]:
        found = self._matching.get(series)
        if found is None:
            found = [index for index, rule in enumerate(self._rules) if _is_in_scope(rule, row)]
            self._matching[series] = found
        return found


def _is_in_scope(rule: AlertRule, row: Row) -> bool:
    """Trials know fewer columns: a filter on another one leaves them out of scope only where it makes no rate. A rule
    on groups looks at their events of one kind, and at nothing else."""
    kind = row.kind if isinstance(row, GroupEventRow) else None
    if kind != GROUP_EVENTS.get(rule.signal):
        return False
    is_trial = isinstance(row, ExecutionRow)
    return all(
        getattr(row, column) in accepted
        for column, accepted in rule.scope.filters().active().items()
        if not is_trial or column in EXECUTION_COLUMNS
    )
