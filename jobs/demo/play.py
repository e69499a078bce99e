"""The whole play: Postgres, upstreams, engine, web layer and traffic, along the script's time."""

import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
from psycopg_pool import PoolTimeout

from ingest import client
from jobs.demo.clock import Clock
from jobs.demo.engine import Engine
from jobs.demo.script import Script
from jobs.demo.steps import Caller
from jobs.demo.store import Store
from jobs.demo.traffic import Traffic
from jobs.demo.truth import Ledger, Truth
from jobs.demo.upstream import Upstreams
from jobs.demo.web import Receiver, Web
from jobs.demo.workflows import BLUEPRINTS, BY_SLUG, PROJECTS, careless
from jobs.exceptions import JobError

_LONGEST_RUN = 250.0  # seconds of the script
_TICK = 0.04  # real seconds
Watch = Callable[[float], None]


class PlayBroken(JobError):
    """Something of the play itself failed that the script doesn't know of."""

    def __init__(self, reason: Exception) -> None:
        told = str(reason).strip().splitlines() or [""]
        super().__init__(f"The demo broke off: {type(reason).__name__}: {told[0]}. What it had written stays.")


class Play:
    """One play on a database in which `create_tables` has made the tables. `speed` is how many times faster than the
    wall clock the script's time passes; the hour is laid over `seconds_of_script`. With a DSN, refused webhooks are
    reported. `sets_failed` imitates a MeshHook that sets the status of failed runs."""

    def __init__(
        self,
        database_url: str,
        *,
        speed: float = 10.0,
        seconds_of_script: float = 3600.0,
        seed: int = 7,
        dsn: str | None = None,
        sets_failed: bool = False,
    ) -> None:
        self.script = Script(seconds_of_script, seed)
        self.clock = Clock(speed)
        self._database_url = database_url
        self._dsn = dsn
        self._sets_failed = sets_failed
        self._ledger = Ledger()
        self._deployed: set[str] = set()
        self._played: float | None = None  # the second at which it ended

    def run(self, stop: threading.Event, watch: Watch | None = None) -> Truth:
        """Play until the script or `stop` ends it; `watch` is told the second of the script now and then.

        Raises PlayBroken when Postgres goes away; `truth` answers what had happened by then.
        """
        try:
            with ExitStack() as stack:
                store = stack.enter_context(Store(self._database_url))
                for blueprint in BLUEPRINTS:
                    store.ensure(blueprint)
                if self._dsn:
                    client.init(self._dsn, source="webhook", spool_dir=False, hooks=False)
                    stack.callback(client.close, 5.0)
                self._play(store, stop, watch or (lambda _: None))
        except (psycopg.Error, PoolTimeout) as error:
            raise PlayBroken(error) from error
        return self.truth()

    def truth(self) -> Truth:
        """What has happened by now."""
        return self._ledger.truth(
            seed=self.script.seed,
            speed=self.clock.speed,
            began=self.clock.at(0),
            ended=datetime.now(UTC),
            script_seconds=min(self.clock.now() if self._played is None else self._played, self.script.seconds),
        )

    def _play(self, store: Store, stop: threading.Event, watch: Watch) -> None:
        signing = {project: secrets.token_hex(16) for project in PROJECTS}
        upstreams = Upstreams(self.script, self.clock)
        upstreams.follow(0)
        engine = Engine(
            store, Caller(upstreams, self.clock), self.script, self.clock, self._ledger, sets_failed=self._sets_failed
        )
        receiver = Receiver(store, engine, self._ledger, signing)
        web = Web(receiver)
        traffic = Traffic(self.script, self.clock, web.port, signing)
        self.clock.start()
        traffic.start()
        try:
            while self.clock.now() < self.script.seconds and not stop.wait(_TICK):
                second = self.clock.now()
                upstreams.follow(second)
                self._deploy(store, second)
                watch(second)
                if reason := engine.failure or receiver.failure or traffic.failure:
                    raise PlayBroken(reason)
            upstreams.follow(self.script.seconds)
            self._deploy(store, self.script.seconds)
        finally:
            self._played = self.clock.now()
            traffic.stop()
            engine.wait_until_idle(2.0 if stop.is_set() else self.clock.real(_LONGEST_RUN) + 5)
            web.close()
            upstreams.close()
            engine.close()

    def _deploy(self, store: Store, second: float) -> None:
        """Publish the broken version when its time has come, and the good one when it is over."""
        for blueprint in BY_SLUG.values():
            is_bad = self.script.active("deploy", blueprint.slug, second) is not None
            if is_bad == (blueprint.slug in self._deployed):
                continue
            store.publish(blueprint, careless(blueprint.definition) if is_bad else blueprint.definition)
            self._deployed ^= {blueprint.slug}
