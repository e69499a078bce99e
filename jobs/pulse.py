"""The pulse of the leader: each commit wakes it, it folds what is new into the rollup and evaluates the rules.

A first commit after silence is taken at once, further ones are gathered over a tenth of a second; without any, the
rules are evaluated by the clock, so that an alert also resolves in silence.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from analytics.freshness import complete_to
from ingest.database import Connection
from jobs.alert_message import Composer
from jobs.alerting import Evaluator
from jobs.exceptions import ClockSetBack
from jobs.tally import Tally

ROWS = "meshhook_errors"
RULES = "meshhook_errors_rules"
OUTBOX = "meshhook_errors_outbox"

_GATHER_SECONDS = 0.1
_LOOK_UP_SECONDS = 0.25  # how soon a request to stop is noticed
_BEAT_SECONDS = 5.0
_MOST_SET_BACK = timedelta(seconds=5)


class Pulse:
    """Runs on the leader's connection, in one thread."""

    def __init__(
        self,
        connection: Connection,
        evaluate_seconds: float,
        composer: Composer,
        wake_delivery: Callable[[], None],
        give_sign_of_life: Callable[[], None],
    ) -> None:
        self._give_sign_of_life = give_sign_of_life
        self._connection = connection
        self._evaluate_seconds = evaluate_seconds
        self._wake_delivery = wake_delivery
        self._tally = Tally(connection)
        self._evaluator = Evaluator(connection, composer)
        self._last_tick = 0.0
        self._last_beat = float("-inf")
        self._last_now = datetime.now(UTC)
        self._rules_changed = False

    def run(self, stop: threading.Event, should_stop: Callable[[], bool]) -> None:
        """Beat until `stop`, or until `should_stop` says that the leader's other work has failed.

        Raises psycopg.Error when the session, and with it the leadership, is gone, and ClockSetBack.
        """
        for channel in (ROWS, RULES, OUTBOX):
            self._connection.execute(f"listen {channel}".encode())
        self._give_sign_of_life()
        self._tally.catch_up(stop)
        self._evaluator.load(datetime.now(UTC))
        self.tick()
        while not stop.is_set() and not should_stop():
            if time.monotonic() - self._last_beat >= _BEAT_SECONDS:
                self._last_beat = time.monotonic()
                self._give_sign_of_life()
            if self._wait_for_news() or time.monotonic() - self._last_tick >= self._evaluate_seconds:
                pause = self._last_tick + _GATHER_SECONDS - time.monotonic()
                if pause > 0:
                    stop.wait(pause)
                self.tick()

    def _wait_for_news(self) -> bool:
        """Whether rows or rules have come; wakes the delivery for its own news."""
        news = False
        for notification in self._connection.notifies(timeout=_LOOK_UP_SECONDS, stop_after=1):
            if notification.channel == OUTBOX:
                self._wake_delivery()
            else:
                news = True
                self._rules_changed |= notification.channel == RULES
        return news

    def tick(self) -> int:
        """Fold and evaluate once; answers how many alerts changed their state."""
        self._last_tick = time.monotonic()
        folded = self._tally.tick()
        now = self._now()
        if self._rules_changed:
            self._rules_changed = False
            self._evaluator.load(now)
        self._evaluator.apply(folded.rows())
        self._evaluator.pending(folded.pending_rows())
        transitions = self._evaluator.tick(now, complete_to(self._connection, now))
        if transitions:
            self._wake_delivery()
        return transitions

    def _now(self) -> datetime:
        """Windows only move on, and the scheduler's next turns are set by the clock: when it was set back, all of the
        work has to begin again."""
        before, self._last_now = self._last_now, datetime.now(UTC)
        if self._last_now < before - _MOST_SET_BACK:
            raise ClockSetBack(before - self._last_now)
        return self._last_now
