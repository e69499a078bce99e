"""Takes MeshHook's failures and trials in, several times a second, for as long as this process leads."""

import threading
import time

import psycopg
import structlog

from ingest.classification.stored import RulesWatch
from ingest.database import Connection, connect
from ingest.doors.meshhook.intake import Intake
from ingest.doors.meshhook.names import refresh_names
from ingest.doors.meshhook.quiet import QuietRuns
from ingest.exceptions import StoreUnavailable
from ingest.hall import Hall, hall_of
from ingest.settings import Settings
from ingest.statements import load_statements

_SQL = load_statements(__file__)
_PAUSE_SECONDS = 0.25
_ASK_AGAIN_SECONDS = 2.0  # without a connected MeshHook
_MOST_BACK_OFF = 15.0
_TIDY_ABOVE_BYTES = 8 * 1024 * 1024

log = structlog.get_logger("meshhook")


def hall_with_rules(connection: Connection, options: Settings) -> Hall:
    """The hall of a command that takes in and ends: with the installation's own rules as they are now."""
    hall = hall_of(options)
    RulesWatch(hall.classifier).look(connection)
    return hall


class MeshHookWatch:
    """Runs in a thread and on a connection of its own. What fails is tried again: every step is one transaction."""

    def __init__(self, database_url: str, hall: Hall) -> None:
        self._url = database_url
        self._hall = hall
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meshhook", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        back_off = 1.0
        while not self._stop.is_set():
            try:
                with connect(self._url, "meshhook") as connection:
                    connection.execute("set lock_timeout = '5s'")
                    watch = Watch(connection, self._hall)
                    while not self._stop.is_set():
                        pause = watch.step()
                        back_off = 1.0
                        self._stop.wait(pause)
            except (psycopg.Error, StoreUnavailable) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                log.warning("MeshHook's tables can't be read", reason=reason, seconds=back_off)
            except Exception:  # the next try may go better, and none is the last
                log.exception("taking MeshHook's failures in failed", seconds=back_off)
            self._stop.wait(back_off)
            back_off = min(back_off * 2, _MOST_BACK_OFF)


class Watch:
    """One step after the other, each when it is due."""

    def __init__(self, connection: Connection, hall: Hall) -> None:
        self._connection = connection
        self._rules = RulesWatch(hall.classifier)
        self._intake = Intake(connection, hall=hall)
        self._quiet = QuietRuns(connection, self._intake)
        self._due: dict[str, float] = {}

    def step(self) -> float:
        """Take in what is there; answers the seconds until it is worth to look again."""
        if self._is_due("rules", 5):
            self._rules.look(self._connection)
        taken = self._intake.tick()
        if taken is None:
            return _ASK_AGAIN_SECONDS
        if self._is_due("names", 5):
            refresh_names(self._connection)
        if not taken.is_at_end:
            return 0
        if self._is_due("failed", 1):
            self._quiet.settle_failed()
        if self._is_due("idle", 5):
            self._quiet.look_after_idle()
        if self._is_due("forget", 600):
            self._quiet.forget()
        if self._is_due("tidy", 60):
            self._tidy()
        return _PAUSE_SECONDS

    def _tidy(self) -> None:
        """An inbox that was full is empty by now, but for Postgres it is as large as before."""
        row = self._connection.execute(_SQL["inbox_bytes"]).fetchone()
        if row is not None and row[0] > _TIDY_ABOVE_BYTES:
            self._connection.execute(_SQL["tidy_inbox"])

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + seconds
        return True
