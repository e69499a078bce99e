"""The jobs process: waits for the leader's lock, and while it holds it, runs all scheduled work.

The lock belongs to a session of Postgres. When that session ends, for whatever reason, the lock is gone with it, and
what the former leader still tries on that session fails. Any number of processes may stand by.
"""

import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from analytics.catalog import refresh_catalog
from analytics.store import Store
from ingest.database import Connection, connect, require_prepared
from ingest.exceptions import StoreUnavailable, Unprepared
from ingest.hall import hall_of
from ingest.settings import Settings, settings
from ingest.statements import load_statements
from jobs.alert_message import Composer
from jobs.delivery.desk import DeliveryDesk
from jobs.exceptions import JobError
from jobs.heartbeat import beat, forget_the_dead, instance_name
from jobs.housekeeping import keep_house
from jobs.installation import check_lake
from jobs.meshhook import MeshHookWatch
from jobs.mirror import Mirror
from jobs.pulse import Pulse

_SQL = load_statements(__file__)
LOCK = 0x6D65_7368_0002  # of the one leader
_STANDBY_SECONDS = 2.0
_MOST_BACK_OFF = 15.0
_MOST_SILENCE_SECONDS = 120  # far more than any pause between two statements of a healthy leader

log = structlog.get_logger("jobs")


def run(stop: threading.Event) -> None:
    """Work, or stand by, until `stop` is set. Outlives restarts of Postgres. Raises StartFailed for a useless lake."""
    options = settings()
    check_lake(options.lake_dir)
    started_at = datetime.now(UTC)
    back_off = 1.0
    while not stop.is_set():
        try:
            with connect(options.database_url.get_secret_value(), "jobs") as session:
                require_prepared(session)
                back_off = 1.0
                _limit_silence(session)
                _lead_or_stand_by(session, options, started_at, stop)
        except (Unprepared, psycopg.errors.UndefinedTable):
            log.warning("the work waits", reason=str(Unprepared()), seconds=back_off)
        except (psycopg.Error, StoreUnavailable) as error:
            log.warning("Postgres is away, the work waits", reason=str(error).splitlines()[0], seconds=back_off)
        except JobError as error:
            log.warning("the work can't go on", reason=str(error))
        if stop.wait(back_off):
            return
        back_off = min(back_off * 2, _MOST_BACK_OFF)


def _lead_or_stand_by(session: Connection, options: Settings, started_at: datetime, stop: threading.Event) -> None:
    while not stop.is_set():
        if session.execute(_SQL["try_lead"], {"key": LOCK}).fetchone() == (True,):
            log.info("leading")
            Leader(session, options, started_at).work(stop)
            return
        beat(session, "jobs", instance_name(), started_at, {"role": "standby"})
        stop.wait(_STANDBY_SECONDS)


def _limit_silence(session: Connection) -> None:
    """Let Postgres end the session, and free its lock, when this process is frozen: its kernel keeps the connection."""
    session.execute(_SQL["limit_silence"], {"seconds": f"{_MOST_SILENCE_SECONDS}s"})


def seconds_between_looks(max_lag: float) -> float:
    """How often the mirror looks whether something is due."""
    return max(0.25, min(10.0, max_lag / 10))


def due_after(max_lag: float) -> float:
    """The age in seconds at which a row is published, so that even after the wait for the next look there is as long
    left for the work itself."""
    return max(max_lag / 2, max_lag - 2 * seconds_between_looks(max_lag))


class Leader:
    """All scheduled work, for as long as the session lives."""

    def __init__(self, session: Connection, options: Settings, started_at: datetime) -> None:
        self._session = session
        self._options = options
        self._started_at = started_at
        self._failed = threading.Event()
        self._hall = hall_of(options)

    def work(self, stop: threading.Event) -> None:
        """Returns when `stop` is set or a part has failed; raises psycopg.Error when the session is gone."""
        url = self._options.database_url.get_secret_value()
        with ExitStack() as stack:
            house = stack.enter_context(connect(url, "housekeeping"))
            publishing = stack.enter_context(connect(url, "mirror"))
            _limit_silence(publishing)
            mirror = Mirror(
                publishing,
                self._options.lake_dir,
                max_rows=self._options.mirror_max_rows,
                max_lag_seconds=due_after(self._options.mirror_max_lag),
                seal_after=timedelta(hours=self._options.seal_after_hours),
                minute_days=self._options.minute_rollup_days,
                lake_days=self._options.lake_days,
            )
            desk = stack.enter_context(DeliveryDesk(self._options))
            store = Store(url, self._options.lake_dir, application="alerting", max_connections=2)
            stack.callback(store.close)
            composer = Composer(store, self._options.app_url)
            pulse = Pulse(self._session, self._options.evaluate_seconds, composer, desk.wake, self._beat)
            scheduler = self._scheduler(house, mirror)
            scheduler.add_listener(partial(self._note_failure, (house, publishing)), EVENT_JOB_ERROR)
            stack.callback(scheduler.shutdown, wait=True)
            stack.callback(mirror.stop)
            scheduler.start()
            meshhook = MeshHookWatch(url, self._hall)
            stack.callback(meshhook.stop)
            meshhook.start()
            pulse.run(stop, self._failed.is_set)

    def _scheduler(self, house: Connection, mirror: Mirror) -> BackgroundScheduler:
        scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
        at_once = datetime.now(UTC) + timedelta(seconds=0.1)
        look_every = seconds_between_looks(self._options.mirror_max_lag)
        scheduler.add_job(mirror.turn, "interval", seconds=look_every, next_run_time=at_once, id="mirror")
        scheduler.add_job(self._keep_catalog, "interval", seconds=60, next_run_time=at_once, id="catalog")
        scheduler.add_job(self._keep_house, "interval", args=[house], hours=1, next_run_time=at_once, id="housekeeping")
        return scheduler

    def _note_failure(self, sessions: tuple[Connection, ...], event: JobExecutionEvent) -> None:
        """A lost session ends the leadership; anything else (a lock that wasn't to be had, a full disk) is tried again
        at the job's next turn."""
        reason = str(event.exception).splitlines() or [type(event.exception).__name__]
        log.error("a job failed", job=event.job_id, reason=reason[0])
        if any(session.closed for session in sessions):
            self._failed.set()

    def _beat(self) -> None:
        beat(self._session, "jobs", instance_name(), self._started_at, {"role": "leader"})

    def _keep_catalog(self) -> None:
        if refresh_catalog(self._options.lake_dir):
            log.info("the catalogue was written anew")

    def _keep_house(self, connection: Connection) -> None:
        options = self._options
        keep_house(
            connection,
            options.lake_dir,
            datetime.now(UTC).date(),
            postgres_days=options.postgres_days,
            counts_days=options.counts_days,
            hall=self._hall,
        )
        forget_the_dead(connection)
