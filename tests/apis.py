"""The API in this process on a real database, with a key for each role."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ingest.database import Connection
from ingest.keys import create_key
from ingest.settings import Settings
from jobs.api import create_app

SECRET_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Api:
    """A client for each role."""

    def __init__(self, client: TestClient, keys: dict[str, str]) -> None:
        self.client = client
        self.keys = keys

    def send(self, body: Any, role: str = "ingest", path: str = "/api/error-events", **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        all_headers = {"Authorization": f"Bearer {self.keys[role]}", "Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.client.post(path, content=content, headers=all_headers)

    def get(self, path: str, role: str = "read", **parameters: Any) -> Any:
        return self.client.get(path, params=parameters, headers={"Authorization": f"Bearer {self.keys[role]}"})


@pytest.fixture
def options(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,  # type: ignore[arg-type]  # pydantic wraps the secret
        lake_url=str(tmp_path / "lake"),
        data_dir=tmp_path,
        secret_key=SECRET_KEY,  # type: ignore[arg-type]
        max_body_bytes=100_000,
        max_batch=500,
    )


@pytest.fixture
def api(options: Settings, connection: Connection) -> Iterator[Api]:
    keys = {role: create_key(connection, role, role) for role in ("ingest", "read", "admin")}  # type: ignore[arg-type]
    with TestClient(create_app(options)) as client:
        yield Api(client, keys)


def stored(connection: Connection) -> int:
    row = connection.execute("select count(*) from error_metrics").fetchone()
    assert row is not None
    return int(row[0])
