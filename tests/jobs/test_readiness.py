"""The API's signs of life."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import analytics.store
import jobs.api
from ingest.database import Connection
from ingest.settings import Settings
from jobs.api import create_app


def test_it_lives_also_while_slow_questions_use_up_its_connections(
    database_url: str, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Settings(database_url=database_url, data_dir=tmp_path)  # type: ignore[arg-type]
    monkeypatch.setattr(jobs.api, "_BEAT_SECONDS", 0.1)
    monkeypatch.setattr(analytics.store, "_WAIT_SECONDS", 1)
    with TestClient(create_app(options)) as client, ExitStack() as questions:
        store = client.app._behind.state.store  # type: ignore[attr-defined]
        for _ in range(8):
            questions.enter_context(store.connection())
        connection.execute("delete from components")
        deadline = time.monotonic() + 3
        while connection.execute("select 1 from components where component = 'api'").fetchone() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
