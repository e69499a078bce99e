"""The writer with a real Postgres and a real spool: what waits on disk gets in, what can't is kept aside."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from ingest.database import Connection
from ingest.doors.gate import Turns
from ingest.rows import Row
from ingest.spool import Spool
from ingest.writer import Writer
from tests.ingest.test_lane import an_error, counts

PLENTY = 10_000_000


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.02)


def drained(url: str, spool: Spool) -> None:
    async def run() -> None:
        writer = Writer(url, spool)
        await writer.start()
        await until(lambda: not spool.segments())
        await writer.stop()

    asyncio.run(run())


def test_damaged_lines_of_a_spool_are_kept_aside_and_hold_nothing_back(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    good = [an_error(), an_error()]
    damage = [b"no tab at all\n", b"\x00\xff\x00\t\n", f"{uuid4()}\ttoo few\n".encode(), b"', '); drop table x; --\t\n"]
    spool = Spool(tmp_path, PLENTY)
    spool.append([good[0], *(Row("errors", "damaged", line) for line in damage), good[1]])
    drained(database_url, spool)
    assert counts(connection) == (2, 0)
    assert sorted((tmp_path / "refused-errors.txt").read_bytes().splitlines(keepends=True)) == sorted(damage)


def test_a_stopped_writer_leaves_its_segments_to_others(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    async def run() -> None:
        writer = Writer("postgresql://127.0.0.1:1/away", Spool(tmp_path, PLENTY))
        await writer.start()
        await writer.write([an_error()])
        await writer.stop()

    asyncio.run(run())
    drained(database_url, Spool(tmp_path, PLENTY))
    assert counts(connection) == (1, 0)


def test_a_request_with_many_items_is_written_while_the_next_ones_are_worked_through(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    async def run() -> int:
        writer = Writer(database_url, Spool(tmp_path, PLENTY))
        await writer.start()
        await writer.write([an_error()])  # connected
        before = writer.transactions

        async def request() -> None:
            await Turns(writer).pass_on()
            time.sleep(0.02)
            await writer.write([an_error()])

        await asyncio.gather(*(request() for _ in range(6)))
        await writer.stop()
        return writer.transactions - before

    assert asyncio.run(run()) > 1  # the first didn't wait for the last
    assert counts(connection) == (7, 0)
