"""How the connection to MeshHook is doing."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from analytics.meshhook_state import MeshhookState, meshhook_state
from ingest.database import Connection
from tests.analytics.meshhook_rows import connect_meshhook, put_into_the_inbox
from tests.seeding import now

LIMIT = timedelta(seconds=30)


def test_there_is_no_state_before_a_meshhook_is_connected(connection: Connection) -> None:
    put_into_the_inbox(connection, now())
    assert meshhook_state(connection) is None


def test_a_connection_without_trouble(connection: Connection) -> None:
    since, read_at = now() - timedelta(days=1), now()
    connect_meshhook(connection, connected_at=since, read_at=read_at)
    assert meshhook_state(connection) == MeshhookState(since, None, read_at, 0, None, 0, 0)


@pytest.mark.parametrize("misses", [1, 3])
def test_what_waits_and_what_was_missed_is_counted(connection: Connection, misses: int) -> None:
    oldest = now() - timedelta(minutes=2)
    connect_meshhook(connection, read_at=now(), misses=misses, recovered=1)
    for written_at in (now(), oldest):
        put_into_the_inbox(connection, written_at)
    state = meshhook_state(connection)
    assert state is not None
    assert (state.waiting, state.oldest_waiting) == (2, oldest)
    assert (state.misses, state.recovered, state.lost) == (misses, 1, misses - 1)


def test_more_may_be_recovered_than_was_missed() -> None:
    assert MeshhookState(now(), None, now(), 0, None, misses=0, recovered=5).lost == 0


@pytest.mark.parametrize(
    ("connected", "read", "is_behind"),
    [
        pytest.param(1000, 29, False, id="read-a-moment-ago"),
        pytest.param(1000, 31, True, id="read-long-ago"),
        pytest.param(29, None, False, id="connected-a-moment-ago"),
        pytest.param(31, None, True, id="never-read"),
        pytest.param(10, 5000, False, id="connected-again-after-a-pause"),
    ],
)
def test_it_is_behind_when_nobody_reads_the_event_log(connected: int, read: int | None, is_behind: bool) -> None:
    moment = datetime.fromisoformat("2026-11-24T12:00:00Z")
    read_at = None if read is None else moment - timedelta(seconds=read)
    state = MeshhookState(moment - timedelta(seconds=connected), None, read_at, 0, None, 0, 0)
    assert state.is_behind(moment, LIMIT) is is_behind
    assert replace(state, disconnected_at=moment).is_behind(moment, LIMIT) is False
