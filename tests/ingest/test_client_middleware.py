"""Web applications, watched under real servers: what escapes is reported, each request counts, nothing else changes."""

import asyncio
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import FileWrapper

import pytest
import uvicorn

from ingest import client
from tests.ingest.receiver import Receiver
from tests.ingest.scripts import run_script

SECRETS = {
    "Cookie": "planted-cookie",
    "Authorization": "planted-key",
    "User-Agent": "probe/1",
    "Content-Type": "text/x",
}


def counted(receiver: Receiver) -> tuple[int, int]:
    """Finished and failed executions, of webhooks."""
    assert client.flush(5)
    reports = receiver.taken("/api/executions")
    assert {report["source"] for report in reports} <= {"webhook"}
    return sum(report["finished"] for report in reports), sum(report["failed"] for report in reports)


def ask(port: int, path: str, body: bytes = b"planted-body") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body, SECRETS)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


# --- ASGI ---


async def asgi_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        raise ValueError("in a websocket")
    path = scope["path"]
    if path == "/raises":
        raise ValueError("in a request")
    if path == "/silent":
        return
    await send({"type": "http.response.start", "status": int(path[1:] or 200), "headers": []})
    for part in (b"one ", b"two"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        if path == "/299":
            raise ValueError("while streaming")
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def asgi(app: Any) -> Iterator[int]:
    """A real server; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="critical", ws="auto", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def test_an_exception_of_an_asgi_application_is_reported_with_the_request(receiver: Receiver) -> None:
    with asgi(client.AsgiMiddleware(asgi_app, workflow_id="w")) as port:
        assert ask(port, "/raises?token=planted-query")[0] == 500  # as without the middleware
        assert ask(port, "/200") == (200, b"one two")
    assert counted(receiver) == (2, 1)
    (event,) = receiver.taken()
    assert (event["message"], event["source"], event["workflow_id"]) == ("in a request", "webhook", "w")
    assert event["metadata"]["request"] == {
        "method": "POST",
        "path": "/raises",
        "user_agent": "probe/1",
        "content_type": "text/x",
    }
    assert event["metadata"]["handled"] is False
    assert [frame["function"] for frame in event["metadata"]["frames"]][-1] == "asgi_app"
    assert all(b"planted" not in body for _, body in receiver.bodies)


@pytest.mark.parametrize(
    ("path", "failed"), [("/404", 0), ("/500", 1), ("/599", 1), ("/299", 1), ("/silent", 1), ("/200", 0)]
)
def test_the_status_or_an_exception_says_whether_an_asgi_request_failed(
    receiver: Receiver, path: str, failed: int
) -> None:
    with asgi(client.AsgiMiddleware(asgi_app)) as port, suppress(http.client.HTTPException, OSError):
        ask(port, path)
    assert counted(receiver) == (1, failed)
    assert receiver.messages() == (["while streaming"] if path == "/299" else [])


def test_other_statuses_can_be_failures(receiver: Receiver) -> None:
    with asgi(client.AsgiMiddleware(asgi_app, failed_statuses={429})) as port:
        for path in ("/429", "/500"):
            ask(port, path)
    assert counted(receiver) == (2, 1)


def test_a_websocket_passes_and_its_exception_is_reported(receiver: Receiver) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/live", "headers": [(b"cookie", b"planted")]}
    with pytest.raises(ValueError, match="in a websocket"):
        asyncio.run(client.AsgiMiddleware(asgi_app)(scope, None, send))
    assert sent == [{"type": "websocket.accept"}]
    assert counted(receiver) == (0, 0)
    (event,) = receiver.taken()
    assert event["metadata"]["request"] == {"path": "/live"}


def test_the_lifespan_is_left_alone(receiver: Receiver) -> None:
    async def failing(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise NotImplementedError(scope["type"])  # how an application says that it has none

    with pytest.raises(NotImplementedError, match="lifespan"):
        asyncio.run(client.AsgiMiddleware(failing)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert counted(receiver) == (0, 0)
    assert receiver.taken() == []


def test_a_cancelled_request_is_no_failure(receiver: Receiver) -> None:
    async def slow(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.ensure_future(client.AsgiMiddleware(slow)({"type": "http"}, None, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert counted(receiver) == (0, 0)


# --- WSGI ---

Start = Callable[..., Any]


class Streamed:
    """A body that is made while it is sent, and knows whether it was closed."""

    def __init__(self, parts: int, fails: bool) -> None:
        self.closed = 0
        self._parts = parts
        self._fails = fails

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._parts):
            yield b"part %d " % number
        if self._fails:
            raise ValueError("while streaming")

    def close(self) -> None:
        self.closed += 1


class Application:
    def __init__(self) -> None:
        self.bodies: list[Streamed] = []

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Any:
        path = environ["PATH_INFO"]
        if path == "/raises":
            raise ValueError("in a request")
        if path == "/lazy":
            return self._lazy(start_response)
        if path in ("/streams", "/breaks"):
            start_response("200 OK", [])
            self.bodies.append(Streamed(3, path == "/breaks"))
            return self.bodies[-1]
        start_response(f"{path[1:]} Said So", [("X-Kept", "yes")])
        return [b"whole"]

    def _lazy(self, start_response: Start) -> Iterator[bytes]:
        start_response("503 Later", [])
        yield b"lazy"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def get_stderr(self) -> Any:
        return io.StringIO()


@contextmanager
def wsgi(app: Any) -> Iterator[int]:
    """A real server, which closes what it iterates over; the port."""
    server: WSGIServer = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_exception_of_a_wsgi_application_is_reported_with_the_request(receiver: Receiver) -> None:
    with wsgi(client.WsgiMiddleware(Application())) as port:
        assert ask(port, "/raises?token=planted-query")[0] == 500
        assert ask(port, "/200") == (200, b"whole")
    assert counted(receiver) == (2, 1)
    (event,) = receiver.taken()
    assert (event["message"], event["source"]) == ("in a request", "webhook")
    assert event["metadata"]["request"] == {
        "method": "POST",
        "path": "/raises",
        "user_agent": "probe/1",
        "content_type": "text/x",
    }
    assert all(b"planted" not in body for _, body in receiver.bodies)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("path", "failed"), [("/404", 0), ("/500", 1), ("/lazy", 1), ("/streams", 0), ("/breaks", 1), ("/204", 0)]
)
def test_the_status_or_an_exception_says_whether_a_wsgi_request_failed(
    receiver: Receiver, path: str, failed: int
) -> None:
    application = Application()
    with wsgi(client.WsgiMiddleware(application)) as port:
        ask(port, path)
    assert counted(receiver) == (1, failed)
    assert receiver.messages() == (["while streaming"] if path == "/breaks" else [])
    assert [body.closed for body in application.bodies] == [1] * len(application.bodies)


def test_a_body_whose_reader_went_away_is_closed_and_counted_once(receiver: Receiver) -> None:
    application = Application()
    environ = {"PATH_INFO": "/streams"}
    body = client.WsgiMiddleware(application)(environ, lambda *_: None)
    assert next(iter(body)) == b"part 0 "
    body.close()  # type: ignore[attr-defined]
    assert application.bodies[0].closed == 1
    assert counted(receiver) == (1, 0)


def test_bodies_that_servers_know_are_left_as_they_are(receiver: Receiver) -> None:
    whole = [b"whole"]
    with Path(__file__).open("rb") as file:
        for body in (whole, FileWrapper(file)):

            def application(environ: dict[str, Any], start_response: Start, body: Any = body) -> Any:
                start_response("200 OK", [])
                return body

            environ = {"wsgi.file_wrapper": FileWrapper}
            assert client.WsgiMiddleware(application)(environ, lambda *_: None) is body
    assert counted(receiver) == (2, 0)


def test_what_an_application_says_of_its_error_reaches_the_server(receiver: Receiver) -> None:
    heard: list[tuple[object, ...]] = []

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("500 Oh", [("A", "b")], (ValueError, ValueError("handled"), None))("written")
        return []

    def start_response(*arguments: object) -> Callable[[str], None]:
        heard.append(arguments)
        return lambda text: heard.append((text,))

    client.WsgiMiddleware(application)({}, start_response)
    assert [heard[0][0], heard[0][1], len(heard[0]), heard[1]] == ["500 Oh", [("A", "b")], 3, ("written",)]
    assert counted(receiver) == (1, 1)


def test_before_init_the_middleware_only_passes_on() -> None:
    assert client.WsgiMiddleware(Application())({"PATH_INFO": "/200"}, lambda *_: None) == [b"whole"]


def test_workers_of_a_forking_server_report_for_themselves(receiver: Receiver) -> None:
    done = run_script(
        receiver.url,
        """
        import http.client, os, signal, socket
        from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

        class Quiet(WSGIRequestHandler):
            def log_message(self, *_): pass
            def get_stderr(self): return open(os.devnull, "w")

        def application(environ, start_response):
            if environ["PATH_INFO"] == "/raises":
                raise ValueError(f"in worker {os.getpid()}")
            start_response("200 OK", [])
            return [b"fine"]

        client.capture_message("of the master")  # whose thread the workers haven't
        server = WSGIServer(("127.0.0.1", 0), Quiet)
        server.set_app(client.WsgiMiddleware(application))
        workers = []
        for _ in range(2):
            if (worker := os.fork()) == 0:
                for _ in range(2):
                    server.handle_request()
                raise SystemExit
            workers.append(worker)
        for path in ("/", "/raises", "/raises", "/"):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            connection.request("GET", path)
            connection.getresponse().read()
            connection.close()
        for worker in workers:
            os.waitpid(worker, 0)
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    messages = sorted(receiver.messages())
    assert (len(messages), messages[-1]) == (3, "of the master")
    assert counted(receiver) == (4, 2)
