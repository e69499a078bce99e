"""A web application, watched: what escapes it is reported, and each request counts as an execution.

Of a request, its method and path are sent, and of the headers user-agent and content-type: never the query string,
cookies, authorization or a body.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from typing import Any

from . import _capture_once, _count

_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_LONGEST_HEADER = 300


class _Watching:
    """What both kinds have in common."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        source: str = "webhook",
        failed_statuses: Collection[int] = range(500, 600),
        **context: Any,
    ) -> None:
        self.app = app
        self._failed_statuses = failed_statuses
        self._context = {"source": source, **context}

    def _report(self, error: BaseException, request: dict[str, Any]) -> None:
        _capture_once(error, None, {**self._context, "handled": False, "request": request})

    def _count(self, status: int | None) -> None:
        # Without a status nothing was answered, which servers make a 500 of.
        _count(self._context, failed=(500 if status is None else status) in self._failed_statuses)

    def _count_failed(self) -> None:
        _count(self._context, failed=True)


class AsgiMiddleware(_Watching):
    """Wraps an ASGI application. `context` goes along with each error, as in `capture_exception`.

    A request has failed where an exception escapes, or where its status is one of `failed_statuses`; one that is
    cancelled isn't counted. Exceptions of other connections (websockets) are reported; the lifespan is left alone.
    """

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """As any ASGI application."""
        kind = scope.get("type")
        if kind == "http":
            await self._request(scope, receive, send)
        elif kind == "lifespan":
            await self.app(scope, receive, send)
        else:
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                self._report(error, _of_scope(scope))
                raise

    async def _request(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        status: int | None = None

        async def send_and_note(message: _Message) -> None:
            nonlocal status
            if message.get("type") == "http.response.start":
                status = message.get("status")
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            self._report(error, _of_scope(scope))
            self._count_failed()
            raise
        self._count(status)


class WsgiMiddleware(_Watching):
    """Wraps a WSGI application. `context` goes along with each error, as in `capture_exception`.

    A request has failed where an exception escapes, also while its body is made, or where its status is one of
    `failed_statuses`.
    """

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """As any WSGI application."""
        status: list[int | None] = [None]

        def start_and_note(line: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            status[0] = _status_of(line)
            return start_response(line, headers, *exc_info)

        try:
            body: Iterable[bytes] = self.app(environ, start_and_note)
        except Exception as error:
            self._report(error, _of_environ(environ))
            self._count_failed()
            raise
        # Servers look at what these are: for a length, or to hand a file to the system. And they don't fail.
        if type(body) in (list, tuple) or _is_file(body, environ):
            self._count(status[0])
            return body
        return _Body(body, self, environ, status)


class _Body:
    """The body of an answer while it is made."""

    def __init__(
        self, body: Iterable[bytes], watching: WsgiMiddleware, environ: dict[str, Any], status: list[int | None]
    ) -> None:
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        self._watching = watching
        self._environ = environ
        self._status = status
        self._is_counted = False

    def __iter__(self) -> "_Body":
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except StopIteration:
            self._count(failed=False)
            raise
        except Exception as error:
            self._watching._report(error, _of_environ(self._environ))
            self._count(failed=True)
            raise

    def close(self) -> None:
        """Called by the server at the end, also where the reader went away before."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except Exception as error:
            self._watching._report(error, _of_environ(self._environ))
            self._count(failed=True)
            raise
        self._count(failed=False)

    def _count(self, *, failed: bool) -> None:
        if self._is_counted:
            return
        self._is_counted = True
        if failed:
            self._watching._count_failed()
        else:
            self._watching._count(self._status[0])


def _is_file(body: object, environ: dict[str, Any]) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _status_of(line: object) -> int | None:
    try:
        return int(str(line)[:3])
    except ValueError:
        return None


def _of_scope(scope: _Message) -> dict[str, Any]:
    try:
        found = {"method": scope.get("method"), "path": scope.get("path")}
        for name, value in scope.get("headers") or ():
            if name in (b"user-agent", b"content-type"):
                found[name.decode().replace("-", "_")] = value.decode("latin-1")[:_LONGEST_HEADER]
        return {name: value for name, value in found.items() if value is not None}
    except Exception:  # a server of another mind about scopes
        return {}


def _of_environ(environ: dict[str, Any]) -> dict[str, Any]:
    try:
        found = {
            "method": environ.get("REQUEST_METHOD"),
            "path": f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}",
            "user_agent": environ.get("HTTP_USER_AGENT"),
            "content_type": environ.get("CONTENT_TYPE"),
        }
        return {name: str(value)[:_LONGEST_HEADER] for name, value in found.items() if value}
    except Exception:
        return {}
