"""A real HTTP server on loopback that records what a client sends and answers as a test tells it."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """`answers` are used up one by one (status, headers); then everything is 202."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.times: list[float] = []
        self.keys: set[str] = set()
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.url = ""

    def taken(self, path: str = "/api/error-events") -> list[dict[str, Any]]:
        return [item for where, body in self.bodies if where == path for item in json.loads(body)]

    def wait_for(self, count: int, path: str = "/api/error-events", seconds: float = 10) -> list[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while len(self.taken(path)) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.taken(path)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.times.append(time.monotonic())
            status, headers = receiver.answers.pop(0) if receiver.answers else (202, {})
            if status == 202:
                receiver.keys.add(self.headers["Authorization"])
                receiver.bodies.append((self.path, gzip.decompress(body)))
            answer = b'{"accepted":1,"duplicates":0,"rejected":[]}'
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
