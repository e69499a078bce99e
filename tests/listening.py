"""The API as clients meet it: really listening on loopback, on a database of its own, with a project for each test."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID, uuid4

import psycopg
import pytest
import uvicorn
from psycopg import sql

from ingest.database import Connection, connect
from ingest.keys import create_key, dsn_of
from ingest.projects import create_project
from ingest.settings import Settings
from jobs.api import create_app
from tests.apis import SECRET_KEY
from tests.ports import free_port


class Reply(NamedTuple):
    """What the API answered, whatever it was."""

    status: int
    headers: Message
    body: bytes


class Project(NamedTuple):
    """A place of its own in the shared API: what one test sends, no other sees."""

    url: str
    number: int
    project_id: UUID
    key: str
    read_key: str

    @property
    def dsn(self) -> str:
        return dsn_of(self.url, self.key, str(self.number))

    def get(self, path: str, **parameters: str) -> Any:
        query = urlencode({"project_id": str(self.project_id)} | parameters)
        return self._asked(f"{path}?{query}")

    def event(self, error_id: str) -> Any:
        """One error, whole."""
        return self._asked(f"/api/error-events/{error_id}")

    def _asked(self, target: str) -> Any:
        request = urllib.request.Request(self.url + target, headers={"Authorization": f"Bearer {self.read_key}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def events(self) -> list[dict[str, Any]]:
        """All errors of the project, the oldest first."""
        return list(reversed(self.get("/api/error-events", limit="1000")["events"]))

    def counts(self) -> dict[str, int]:
        """Errors, and finished and failed trials, as the metrics have them."""
        buckets = self.get("/api/error-metrics", interval="1d")["buckets"]
        return {name: sum(bucket[name] for bucket in buckets) for name in ("errors", "finished", "failed")}

    def post(
        self, body: bytes, door: str = "envelope/", headers: dict[str, str] | None = None, method: str = "POST"
    ) -> Reply:
        """Send what an SDK sends; without `headers` with the key as most SDKs name it."""
        given = {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={self.key}"} if headers is None else headers
        url = f"{self.url}/api/{self.number}/{door}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/x-sentry-envelope"} | given)
        request.method = method
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Reply(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read())


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The test run keeps its own."""


@pytest.fixture(scope="session")
def listening(
    postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The address of the API and the URL of its database."""
    name = f"listening_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template_database))
        )
    directory: Path = tmp_path_factory.mktemp("listening")
    database_url = psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    options = Settings(
        database_url=database_url,  # type: ignore[arg-type]  # pydantic wraps the secret
        lake_url=str(directory / "lake"),
        data_dir=directory,
        secret_key=SECRET_KEY,  # type: ignore[arg-type]
    )
    port = free_port()
    server = _Server(uvicorn.Config(create_app(options), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{port}", database_url
    server.should_exit = True
    thread.join(20)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def listening_connection(listening: tuple[str, str]) -> Iterator[Connection]:
    with connect(listening[1], "tests") as connection:
        yield connection


@pytest.fixture
def project(listening: tuple[str, str], listening_connection: Connection) -> Project:
    found = create_project(listening_connection, f"test {uuid4().hex}")
    assert found.number is not None and found.id is not None
    key = create_key(listening_connection, "sdk", "ingest", project_number=found.number)
    read_key = create_key(listening_connection, "reader", "read")
    return Project(listening[0], found.number, found.id, key, read_key)


def until(question: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is truthy."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.05)
    return answer
