"""A load generator on plain sockets: as little work for each request as Python allows, the same for every server."""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.bench.envelopes import envelope

MESSAGES = (
    ("Error: HTTP 502", {"node": "createContact", "http_status": 502, "attempt": 2, "max_attempts": 5}),
    ("TypeError: Cannot read properties of undefined (reading 'email')", {"handled": False}),
    ("connect ECONNREFUSED 10.0.0.12:5432", {"node": "syncOrders"}),
    ("amount is required", {"http_status": 422}),
    ("run 8f14e45f-ceea-467f-a8d5-1d3c6c0f1a55 exceeded its time limit", {"node": "exportReport"}),
)


def event(number: int) -> dict[str, object]:
    """A typical error of about 1 KB."""
    rng = random.Random(number)
    message, facts = MESSAGES[number % len(MESSAGES)]
    frames = [
        {"file": f"/srv/app/steps/{name}.py", "line": rng.randrange(300), "function": name, "module": f"steps.{name}",
         "in_app": name != "client"}
        for name in ("run", "dispatch", "execute", "client", "send")
    ]  # fmt: skip
    return {
        "timestamp": datetime.now(UTC).isoformat(),
        "source": "worker",
        "message": message,
        "workflow_id": f"00000000-0000-4000-8000-{number % 40:012d}",
        "metadata": {**facts, "frames": frames, "tags": {"region": "eu-1", "queue": f"q{number % 7}"}},
    }


def requests(path: str, key: str, batch: int, count: int = 400) -> list[bytes]:
    """Whole HTTP requests, ready to be written to a socket."""
    made = []
    for number in range(count if batch == 1 else 20):
        items = [event(number * batch + index) for index in range(batch)]
        body = json.dumps(items[0] if batch == 1 else items).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        )
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


class Envelopes:
    """Endless requests of one envelope, each with an id of its own, by index like a list."""

    def __init__(self, path: str, key: str) -> None:
        body, event_id = envelope()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-Sentry-Auth: Sentry sentry_key={key}, sentry_version=7\r\n"
            f"Content-Type: application/x-sentry-envelope\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._parts = (head.encode() + body).split(event_id.encode())

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> bytes:
        return os.urandom(16).hex().encode().join(self._parts)


async def _connection(port: int, texts: Sequence[bytes] | Envelopes, until: float, answered: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = random.randrange(len(texts))
    while time.perf_counter() < until:
        writer.write(texts[number % len(texts)])
        number += 1
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(head.decode())
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        answered[0] += 1
    writer.close()


async def drive(port: int, texts: Sequence[bytes] | Envelopes, seconds: float, connections: int) -> float:
    """Requests a second."""
    answered = [0]
    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*(_connection(port, texts, until, answered) for _ in range(connections)))
    return answered[0] / (time.perf_counter() - began)


def main() -> None:
    """port, path, key, batch, seconds, connections → requests a second on standard output."""
    port, path, key, batch, seconds, connections = sys.argv[1:]
    import uvloop  # noqa: PLC0415

    texts = Envelopes(path, key) if path.endswith("/envelope/") else requests(path, key, int(batch))
    print(uvloop.run(drive(int(port), texts, float(seconds), int(connections))))


if __name__ == "__main__":
    main()
