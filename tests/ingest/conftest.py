"""A receiver that the client reports to."""

from collections.abc import Iterator

import pytest

from ingest import client
from tests.ingest.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        client.init(receiver.url.replace("://", "://the-key@") + "/1", release="1.2.3")
        yield receiver
        client.close(1)
        client._sender = None
