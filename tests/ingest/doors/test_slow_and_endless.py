"""Senders that never finish, against a listening server: each is cut off with an answer that says why."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from ingest.doors import bodies
from tests.listening import Project

LIMIT = 20 * 1024 * 1024  # the default of MESHHOOK_ERRORS_MAX_BODY_BYTES


def doors(project: Project) -> dict[str, list[str]]:
    sentry = [f"X-Sentry-Auth: Sentry sentry_key={project.key}", "Content-Type: application/x-sentry-envelope"]
    bearer = [f"Authorization: Bearer {project.key}", "Content-Type: application/json"]
    return {
        "/api/error-events": bearer,
        "/api/executions": bearer,
        "/v1/logs": bearer,
        f"/api/{project.number}/envelope/": sentry,
    }


def told(project: Project, path: str, framing: str, send: Callable[[socket.socket], None]) -> str:
    """The answer to a request whose body `send` sends for as long as it is taken."""
    address = urlsplit(project.url)
    head = [f"POST {path} HTTP/1.1", "Host: test", framing, *doors(project)[path]]
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        with suppress(OSError):  # the server closes: its answer is still to be read
            send(connection)
        connection.settimeout(10)
        return connection.recv(65_536).decode("latin-1")


@pytest.mark.parametrize("door", range(4))
def test_a_sender_that_dawdles_is_cut_off(project: Project, monkeypatch: pytest.MonkeyPatch, door: int) -> None:
    monkeypatch.setattr(bodies, "_READ_SECONDS", 0.5)
    path = list(doors(project))[door]

    def trickle(connection: socket.socket) -> None:
        for _ in range(8):
            connection.sendall(b" ")
            time.sleep(0.1)

    answer = told(project, path, "Content-Length: 1000", trickle)
    assert answer.startswith("HTTP/1.1 408 ")
    assert "connection: close" in answer
    assert "Send it faster" in answer


@pytest.mark.parametrize("door", range(4))
def test_a_body_without_an_end_is_cut_off_at_the_limit(project: Project, door: int) -> None:
    path = list(doors(project))[door]
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        while sent < 3 * LIMIT:
            connection.sendall(chunk)
            sent += 65_536

    answer = told(project, path, "Transfer-Encoding: chunked", endless)
    assert answer.startswith("HTTP/1.1 413 ")
    assert sent < 3 * LIMIT
