"""The dashboard's server: Streamlit behind a sign-in. Without a session nothing of it can be reached."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote

import psycopg
import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analytics.accounts import (
    COOKIE,
    SESSION_LENGTH,
    User,
    begin_session,
    check_password,
    end_session,
    user_of_session,
)
from ingest.database import Connection, connect
from ingest.exceptions import StoreUnavailable, Unprepared
from ingest.settings import Settings, settings

_ROOT = Path(__file__).parents[1]
_PAGE = Template((Path(__file__).parent / "sign_in.html").read_text(encoding="utf-8"))
_OPEN = frozenset(("/sign-in", "/_stcore/health"))
_LARGEST_FORM = 4096
_REMEMBER_SECONDS = 10.0
_MOST_FAILURES = 5
_FAILURE_SECONDS = 60.0
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}

Clock = Callable[[], datetime]
Answer = TypeVar("Answer")


class Gatekeeper:
    """Knows who is signed in. Answers are remembered for some seconds."""

    def __init__(self, database_url: str, clock: Clock) -> None:
        self._url = database_url
        self._clock = clock
        self._known: dict[str, tuple[User | None, float]] = {}
        self._failures: dict[str, deque[float]] = defaultdict(deque)

    async def user(self, connection: HTTPConnection) -> User | None:
        """Who sends this request. Raises StoreUnavailable."""
        token = connection.cookies.get(COOKIE)
        if not token:
            return None
        user, until = self._known.get(token, (None, 0.0))
        if until < time.monotonic():
            user = await asyncio.to_thread(self._ask, lambda c: user_of_session(c, token, self._clock()))
            if len(self._known) > 1000:
                self._known.clear()
            self._known[token] = (user, time.monotonic() + _REMEMBER_SECONDS)
        return user

    async def sign_in(self, name: str, password: str) -> str | None:
        """A session's token, or None for a wrong name or password."""

        def check(connection: Connection) -> str | None:
            user = None if "\0" in name else check_password(connection, name, password)
            return None if user is None else begin_session(connection, user, self._clock())

        return await asyncio.to_thread(self._ask, check)

    async def sign_out(self, token: str) -> None:
        """End a session."""
        self._known.pop(token, None)
        await asyncio.to_thread(self._ask, lambda connection: end_session(connection, token))

    def is_throttled(self, address: str) -> bool:
        """Whether this address has guessed too often in the last minute."""
        failures = self._failures[address]
        while failures and failures[0] < time.monotonic() - _FAILURE_SECONDS:
            failures.popleft()
        return len(failures) >= _MOST_FAILURES

    def note_attempt(self, address: str) -> None:
        """A password that is wrong until it is found to be right."""
        if len(self._failures) > 10_000:
            self._failures.clear()
        self._failures[address].append(time.monotonic())

    def forgive(self, address: str) -> None:
        """The last attempt was right, or couldn't be checked."""
        if self._failures[address]:
            self._failures[address].pop()

    def _ask(self, question: Callable[[Connection], Answer]) -> Answer:
        try:
            with connect(self._url, "sign-in") as connection:
                return question(connection)
        except psycopg.errors.UndefinedTable:
            raise Unprepared from None
        except (psycopg.OperationalError, StoreUnavailable) as error:
            raise StoreUnavailable("Postgres can't be reached at the moment. Try again shortly.") from error


class Guard:
    """Middleware: a page without a session leads to the sign-in, anything else is refused."""

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper) -> None:
        self._app = app
        self._gatekeeper = gatekeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in _OPEN:
            await self._app(scope, receive, send)
            return
        try:
            user = await self._gatekeeper.user(HTTPConnection(scope))
        except StoreUnavailable as error:
            await _refuse(scope, receive, send, _page(str(error), "", 503))
            return
        if user is not None:
            is_socket = scope["type"] == "websocket"
            await self._app(scope, self._while_signed_in(scope, receive, send) if is_socket else receive, send)
            return
        wanted = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        await _refuse(scope, receive, send, RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", 303))

    def _while_signed_in(self, scope: Scope, receive: Receive, send: Send) -> Receive:
        """A page's socket lives as long as the page: it must not outlive the session that opened it."""
        connection = HTTPConnection(scope)

        async def receive_if_signed_in() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            try:
                is_signed_in = await self._gatekeeper.user(connection) is not None
            except StoreUnavailable:
                is_signed_in = True
            if is_signed_in:
                return message
            await send({"type": "websocket.close", "code": 1008})
            return {"type": "websocket.disconnect", "code": 1008}

        return receive_if_signed_in


async def _refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await response(scope, receive, send)


def create_app(options: Settings | None = None, clock: Clock = lambda: datetime.now(UTC)) -> ASGIApp:
    """The ASGI application."""
    options = options or settings()
    gatekeeper = Gatekeeper(options.database_url.get_secret_value(), clock)
    is_secure = options.app_url.startswith("https://")
    app: Any = st.App(
        _ROOT / "app.py",
        routes=[
            Route("/sign-in", _sign_in(gatekeeper, is_secure=is_secure), methods=["GET", "POST"]),
            Route("/sign-out", _sign_out(gatekeeper), methods=["GET", "POST"]),
        ],
        middleware=[Middleware(Guard, gatekeeper=gatekeeper)],
    )
    application: ASGIApp = app
    return application


Endpoint = Callable[[Request], Awaitable[Response]]


def _sign_in(gatekeeper: Gatekeeper, *, is_secure: bool) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        target = _safe_target(request.query_params.get("next"))
        if request.method == "GET":
            return _page("", _sign_in_form(target))
        if not _is_same_origin(request):
            return _page("This form was sent from another site.", _sign_in_form(target), 403)
        address = request.client.host if request.client else ""
        if gatekeeper.is_throttled(address):
            return _page("Too many attempts. Wait a minute, then try again.", _sign_in_form(target), 429)
        gatekeeper.note_attempt(address)  # before it is checked: many at once must not get through together
        form = await _form(request)
        try:
            token = await gatekeeper.sign_in(form.get("name", ""), form.get("password", ""))
        except StoreUnavailable as error:
            gatekeeper.forgive(address)
            return _page(str(error), _sign_in_form(target), 503)
        if token is None:
            return _page("Name and password don't belong together.", _sign_in_form(target), 401)
        gatekeeper.forgive(address)
        response = RedirectResponse(target, 303, _HEADERS)
        length = int(SESSION_LENGTH.total_seconds())
        response.set_cookie(COOKIE, token, max_age=length, httponly=True, samesite="lax", secure=is_secure)
        return response

    return endpoint


def _sign_out(gatekeeper: Gatekeeper) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method == "GET":
            return _page("", '<form method="post" action="/sign-out"><button>Sign out</button></form>')
        if not _is_same_origin(request):
            return _page("This form was sent from another site.", "", 403)
        await gatekeeper.sign_out(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", 303, _HEADERS)
        response.delete_cookie(COOKIE)
        return response

    return endpoint


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _is_same_origin(request: Request) -> bool:
    """Browsers say where a form comes from; a request without any such header comes from no browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _safe_target(target: str | None) -> str:
    """A path of this site, nothing else."""
    is_path = target is not None and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_path and target is not None and "\n" not in target and "\r" not in target else "/"


def _sign_in_form(target: str) -> str:
    action = f"/sign-in?next={quote(target, safe='')}"
    return (
        f'<form method="post" action="{escape(action)}">'
        '<label for="name">Name</label><input id="name" name="name" autocomplete="username" autofocus required>'
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required>'
        "<button>Sign in</button></form>"
        '<p class="note">Run with <code>up</code>, the first user is «admin»; the password was shown when it first '
        "started. Elsewhere <code>meshhook-errors users create NAME</code> adds a user.</p>"
    )


def _page(said: str, form: str, status: int = 200) -> HTMLResponse:
    notice = f'<p class="said" role="alert">{escape(said)}</p>' if said else ""
    return HTMLResponse(_PAGE.substitute(said=notice, form=form), status, _HEADERS)
