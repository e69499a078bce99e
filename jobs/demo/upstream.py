"""The services that steps call: real HTTP servers on loopback that misbehave as the script says."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from typing import Any

from jobs.demo.clock import Clock
from jobs.demo.script import Kind, Script
from jobs.demo.workflows import CURRENCIES, UPSTREAMS

_HOST = "127.0.0.1"
_USUAL_SECONDS = (0.2, 1.0)  # of the script, as those below
_SLOW_SECONDS = (3.0, 5.0)
_HANGING_SECONDS = 30.0  # longer than any caller waits
_USUAL_FLAKINESS = 0.01
_REFUSALS: tuple[tuple[Kind, int], ...] = (("bad_gateway", 502), ("unavailable", 503))


class Behaviour:
    """How an upstream answers at this moment of the script."""

    def __init__(self, name: str, script: Script, clock: Clock, closing: threading.Event) -> None:
        self._name = name
        self._script = script
        self._clock = clock
        self._closing = closing

    def answer(self, delivery: str, attempt: str, body: dict[str, Any]) -> int | None:
        """A status, after a while; None for no answer at all. The same request meets the same luck in every play."""
        random = Random(f"{self._script.seed}/{self._name}/{delivery}/{attempt}")
        second = self._clock.now()
        if self._script.active("hang", self._name, second):
            self._wait(_HANGING_SECONDS)
            return None
        is_slow = self._script.active("slow", self._name, second)
        self._wait(random.uniform(*(_SLOW_SECONDS if is_slow else _USUAL_SECONDS)))
        for kind, status in _REFUSALS:
            trouble = self._script.active(kind, self._name, second)
            if trouble and random.random() < trouble.share:
                return status
        if random.random() < _USUAL_FLAKINESS:
            return 503
        return 422 if body.get("currency", "EUR") not in CURRENCIES else 201

    def _wait(self, seconds: float) -> None:
        self._closing.wait(self._clock.real(seconds))


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    behaviour: Behaviour

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that have stopped waiting are nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    wbufsize = -1  # head and body in one packet

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.behaviour.answer(self.headers["X-Delivery"], self.headers["X-Attempt"], body)
        if status is None:
            self.close_connection = True
            return
        answer = json.dumps({"accepted": status < 300, "delivery": self.headers["X-Delivery"]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class Upstream:
    """One service. Its port stays its own while it is down: connections are refused then."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._socket = _bound(0)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.port: int = self._socket.getsockname()[1]

    def up(self) -> None:
        """Listen on the socket that kept the port."""
        if self._server is not None:
            return
        server = _Server((_HOST, self.port), _Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = self._socket
        server.behaviour = self._behaviour
        server.server_activate()
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._server = server

    def down(self) -> None:
        """Connections are refused from now on."""
        if self._server is not None:
            self._stop()
            self._socket = _bound(self.port)

    def close(self) -> None:
        """For good."""
        self._stop()
        self._socket.close()

    def _stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None


class Upstreams:
    """All of them, by name."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self._script = script
        self._closing = threading.Event()
        self._all = {name: Upstream(Behaviour(name, script, clock, self._closing)) for name in UPSTREAMS}

    def port(self, name: str) -> int:
        return self._all[name].port

    def follow(self, second: float) -> None:
        """Go up and down as the script says at this moment."""
        for name, upstream in self._all.items():
            if self._script.active("refuse", name, second):
                upstream.down()
            else:
                upstream.up()

    def close(self) -> None:
        """Also whoever waits for an answer is let go, without one."""
        self._closing.set()
        for upstream in self._all.values():
            upstream.close()


def _bound(port: int) -> socket:
    """A socket that has a port and doesn't listen."""
    made = socket()
    made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.bind((_HOST, port))
    return made
