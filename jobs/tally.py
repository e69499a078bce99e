"""The tally: folds newly committed rows into the 10-second rollup, each exactly once.

A row's transaction id is assigned before it commits, so "greater than the last one seen" would lose late commits. The
tally reads the range from its watermark up to the horizon, `pg_snapshot_xmin`: all transactions below it have ended,
and what they wrote is visible. The fold and the watermark's move are one transaction, so a crash repeats or keeps both.
Rows above the horizon aren't folded yet; readers and the evaluator add them as they are. Groups: jobs/group_tally.py.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.database import Connection, system_identifier
from ingest.statements import load_statements
from jobs.exceptions import ClusterChanged
from jobs.group_tally import end_ignoring, fold_groups, pending_events
from jobs.window_counts import CountRow, ExecutionRow, GroupEventRow, Row

_SQL = load_statements(__file__)
_MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Folded:
    """One tick: the touched series with their new totals and what groups have become, and the same for what is visible
    above the horizon."""

    errors: list[CountRow]
    executions: list[ExecutionRow]
    groups: list[GroupEventRow]
    pending_errors: list[CountRow]
    pending_executions: list[ExecutionRow]
    pending_groups: list[GroupEventRow]

    def rows(self) -> list[Row]:
        """What is folded."""
        return [*self.errors, *self.executions, *self.groups]

    def pending_rows(self) -> list[Row]:
        """What isn't yet."""
        return [*self.pending_errors, *self.pending_executions, *self.pending_groups]


class Tally:
    """Runs on one connection in autocommit mode, under the leader's lock."""

    def __init__(self, connection: Connection) -> None:
        """Raises ClusterChanged where the watermark was taken in another cluster."""
        self._connection = connection
        identifier = system_identifier(connection)
        connection.execute(_SQL["start_at_zero"], {"system_identifier": identifier})
        with connection.transaction():
            _, _, known = self._position()
        if known != identifier:
            raise ClusterChanged("The tally's watermark")

    def catch_up(self, stop: threading.Event) -> None:
        """Fold what has piled up while nobody led, in steps that fit into memory, until a tick can do the rest."""
        while not stop.is_set():
            with self._connection.transaction():
                watermark, horizon, _ = self._position()
                span = {"watermark": watermark, "horizon": horizon, "rows": _MOST_ROWS}
                cut = self._connection.execute(_SQL["cut"], span).fetchone()
                if cut is None or cut[0] is None:
                    return
                # A single transaction with more rows than that is folded whole.
                span["horizon"] = max(cut[0], watermark + 1)
                self._fold(span)
                self._connection.execute(_SQL["move_watermark"], span)

    def tick(self) -> Folded:
        """Fold what is new."""
        with self._connection.transaction():
            watermark, horizon, _ = self._position()
            span = {"watermark": watermark, "horizon": horizon}
            errors, executions, groups = self._fold(span)
            end_ignoring(self._connection)
            if errors or executions:
                self._connection.execute(_SQL["move_watermark"], span)
            pending = [CountRow(*row) for row in self._connection.execute(_SQL["pending_errors"], span)]
            pending_executions = [
                ExecutionRow(*row) for row in self._connection.execute(_SQL["pending_executions"], span)
            ]
            seen = sorted({row.fingerprint for row in pending})
            pending_groups = pending_events(self._connection, horizon, seen)
        return Folded(errors, executions, groups, pending, pending_executions, pending_groups)

    def _fold(self, span: Mapping[str, int]) -> tuple[list[CountRow], list[ExecutionRow], list[GroupEventRow]]:
        errors = [CountRow(*row) for row in self._connection.execute(_SQL["fold_errors"], span)]
        executions = [ExecutionRow(*row) for row in self._connection.execute(_SQL["fold_executions"], span)]
        groups = fold_groups(self._connection, span) if errors else []
        return errors, executions, groups

    def _position(self) -> tuple[int, int, str]:
        row = self._connection.execute(_SQL["position"]).fetchone()
        assert row is not None
        return row[0], row[1], row[2]
