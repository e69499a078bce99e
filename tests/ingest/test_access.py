"""Who may do what, while Postgres answers and while it doesn't."""

import asyncio
import time

import pytest

from ingest.access import Access
from ingest.database import Connection, connect
from ingest.doors.problems import Problem
from ingest.keys import create_key


class Clock:
    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_was_good_waits_for_no_postgres_that_hangs(connection: Connection, database_url: str) -> None:
    keys = [create_key(connection, name, "ingest") for name in ("one", "two", "three")]
    clock = Clock()
    access = Access(database_url, clock)

    async def require_all() -> None:
        await asyncio.gather(*(access.require(key, "ingest") for key in keys * 20))

    asyncio.run(require_all())
    clock.now = 60
    with connect(database_url, "lock", autocommit=False) as locking:
        locking.execute("lock table api_keys in access exclusive mode")
        began = time.monotonic()
        loop_threads_are_free = asyncio.run(_with_a_free_thread(require_all))
        assert time.monotonic() - began < 4
        with pytest.raises(Problem) as problem:
            asyncio.run(access.require("mh_ingest_unknown", "ingest"))
        assert problem.value.status == 503
        locking.rollback()
    assert loop_threads_are_free


def test_many_tried_keys_make_no_good_one_forgotten(
    connection: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.access._MOST_REMEMBERED", 5)
    key = create_key(connection, "one", "ingest")
    clock = Clock()
    access = Access(database_url, clock)
    access.require_now(key, "ingest")
    for number in range(20):
        with pytest.raises(Problem):
            access.require_now(f"mh_ingest_{number}", "ingest")
    clock.now = 60
    access._url, access._connection = "postgresql://127.0.0.1:1/away", None
    access.require_now(key, "ingest")


async def _with_a_free_thread(work: object) -> bool:
    """Whether a thread of asyncio's own, as the spool uses one, was free during `work`."""
    working = asyncio.ensure_future(work())  # type: ignore[operator]
    await asyncio.sleep(0.2)
    async with asyncio.timeout(1):
        await asyncio.to_thread(lambda: None)
    is_under_way = not working.done()
    await working
    return is_under_way
