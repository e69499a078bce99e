"""A receiver that the client reports to, and a spool for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import client
from tests.ingest.receiver import Receiver, receiving


@pytest.fixture(autouse=True)
def spool_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where clients spool, also those in processes that a test starts: ports come back, and with them old files."""
    monkeypatch.setenv("MESHHOOK_ERRORS_CLIENT_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def receiver(spool_dir: Path) -> Iterator[Receiver]:
    with receiving() as receiver:
        client.init(receiver.url.replace("://", "://the-key@") + "/1", release="1.2.3")
        yield receiver
        client.close(1)
        client._sender = None
