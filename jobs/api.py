"""The API server: the doors of `ingest` and the reading half of `analytics`, put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
from fastapi import FastAPI, Request
from starlette.types import ASGIApp

from analytics.alert_routes import alert_router
from analytics.classification_routes import classification_router
from analytics.group_routes import group_router
from analytics.routes import reading_router
from analytics.store import Store
from ingest.access import Access, bearer
from ingest.classification.stored import RulesWatch
from ingest.database import connect
from ingest.doors import error_events, executions, otlp, sentry
from ingest.doors.corridor import Corridor
from ingest.doors.gate import Gate
from ingest.doors.room import Room
from ingest.exceptions import StoreUnavailable
from ingest.hall import hall_of
from ingest.keys import Grant, Role
from ingest.limits import Limits, read_limits
from ingest.settings import Settings, settings
from ingest.spool import Spool
from ingest.vault import Vault
from ingest.writer import Writer
from jobs.heartbeat import beat, instance_name
from jobs.openapi import describe_doors
from jobs.problems import install_problems
from jobs.readiness import health_router
from jobs.reference import reference_router

_BEAT_SECONDS = 5.0
_RULES_SECONDS = 2.0  # to wait for at the start


def create_app(options: Settings | None = None) -> ASGIApp:
    """The ASGI application, with everything that it needs in `app.state`."""
    options = options or settings()
    url = options.database_url.get_secret_value()
    app = FastAPI(
        title="MeshHook Errors",
        version="0.1.0",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    spool = Spool(options.spool_dir, options.spool_max_bytes)
    app.state.options = options
    app.state.spool = spool
    app.state.store = Store(url, options.lake_dir, application="api")
    app.state.vault = Vault(options.secret_key.get_secret_value())
    room = Room(options.max_inflight_bytes)
    app.state.gate = Gate(
        Access(url),
        Writer(url, spool),
        room,
        options.max_body_bytes,
        options.max_batch,
        hall_of(options),
        Limits(options.key_events_per_minute, options.project_events_per_minute),
    )
    app.state.rules_watch = RulesWatch(app.state.gate.hall.classifier)
    app.include_router(health_router())
    _include_reading(app)
    app.include_router(reference_router())
    install_problems(app)
    describe_doors(app)
    doors = {
        error_events.PATH: error_events.take_errors,
        executions.PATH: executions.take_executions,
        otlp.PATH: otlp.take_logs,
    }
    patterns = [(sentry.PATH, sentry.take)]
    return Corridor(doors, patterns, app.state.gate, app, readable=[error_events.PATH])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await app.state.gate.writer.start()
    # Nothing is to be classified without the rules that people have made; but capture doesn't wait for Postgres.
    with contextlib.suppress(psycopg.Error, StoreUnavailable, TimeoutError):
        await asyncio.wait_for(asyncio.to_thread(_take_rules_over, app), _RULES_SECONDS)
    beating = asyncio.create_task(_keep_beating(app))
    try:
        yield
    finally:
        beating.cancel()
        await app.state.gate.writer.stop()
        app.state.store.close()


async def _keep_beating(app: FastAPI) -> None:
    """Every few seconds, say that this server lives and since when its spool holds rows back, and look for changed
    limits and rules."""
    started_at = datetime.now(UTC)
    while True:
        with contextlib.suppress(psycopg.Error, StoreUnavailable):
            await asyncio.to_thread(_beat_once, app, started_at)
        await asyncio.sleep(_BEAT_SECONDS)


def _take_rules_over(app: FastAPI) -> None:
    with connect(app.state.options.database_url.get_secret_value(), "rules") as connection:
        app.state.rules_watch.look(connection)


def _beat_once(app: FastAPI, started_at: datetime) -> None:
    oldest = app.state.spool.oldest()
    detail = {"spooled_since": None if oldest is None else datetime.fromtimestamp(oldest, UTC).isoformat()}
    # A connection of its own: slow questions that use up the pool must not look like a dead API, which freezes alerts.
    with connect(app.state.options.database_url.get_secret_value(), "heartbeat") as connection:
        beat(connection, "api", instance_name(app.state.options.api_port), started_at, detail)
        app.state.gate.limits.replace(read_limits(connection))
        app.state.rules_watch.look(connection)


def _include_reading(app: FastAPI) -> None:
    def authorise(role: Role) -> Callable[[Request], Grant]:
        def check(request: Request) -> Grant:
            access: Access = app.state.gate.access
            grant = access.require_now(bearer(request.headers.get("authorization")), role)
            request.state.grant = grant  # whose name stands in the history of what is changed
            return grant

        return check

    app.include_router(reading_router(authorise("read")))
    app.include_router(group_router(authorise("read"), authorise("admin")))
    app.include_router(alert_router(authorise("read"), authorise("admin")))
    app.include_router(classification_router(authorise("read"), authorise("admin")))
