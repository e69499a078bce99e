"""A real HTTP server on loopback that records what a client sends and answers as a test tells it."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DROP = 0  # as a status: close the connection without a word
HANG = -1  # as a status: say nothing until the test is over
TAKEN = b'{"accepted":1,"duplicates":0,"rejected":[]}'


class Receiver:
    """`answers` are used up one by one (status, headers); then `judge` decides on each batch, by default 202."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.keys: set[str] = set()
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.judge: Callable[[list[dict[str, Any]]], int] = lambda _items: 202
        self.answer = TAKEN
        self.over = threading.Event()
        self.connections = 0
        self.idle_seconds: float | None = None  # after which a kept-open connection is closed
        self.url = ""

    def taken(self, path: str = "/api/error-events") -> list[dict[str, Any]]:
        return [item for where, body in list(self.bodies) if where.split("?")[0] == path for item in json.loads(body)]

    def messages(self) -> list[str]:
        return [event["message"] for event in self.taken()]

    def wait_for(self, count: int, path: str = "/api/error-events", seconds: float = 10) -> list[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while len(self.taken(path)) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.taken(path)

    def wait_for_requests(self, count: int, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while len(self.times) < count and time.monotonic() < deadline:
            time.sleep(0.01)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def setup(self) -> None:
        self.timeout = self.receiver.idle_seconds
        self.receiver.connections += 1
        super().setup()

    def do_POST(self) -> None:
        receiver = self.receiver
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        receiver.headers.append(dict(self.headers))
        receiver.times.append(time.monotonic())
        status, headers = receiver.answers.pop(0) if receiver.answers else (receiver.judge(json.loads(body)), {})
        if status in (HANG, DROP):
            if status == HANG:
                receiver.over.wait(30)
            self.close_connection = True
            return
        if status == 202:
            receiver.keys.add(self.headers["Authorization"])
            receiver.bodies.append((self.path, body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(receiver.answer)))
        self.end_headers()
        self.wfile.write(receiver.answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        server.server_close()
