"""One transaction of the writer against a real Postgres: what it keeps, what it leaves out, and how it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ingest.database import Connection
from ingest.exceptions import StoreUnavailable
from ingest.hall import Hall
from ingest.lane import Lane, Unwritable
from ingest.models import ExecutionReport
from ingest.rows import Row, error_row, execution_row

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def an_error(text: str = "it broke") -> Row:
    return error_row(Hall().normalise({"error_id": str(uuid4()), "message": text}, NOW))


def a_report() -> Row:
    return execution_row(ExecutionReport(uuid4(), NOW, "worker", None, None, 10, 1))


def with_lane(url: str, work: Callable[[Lane], Awaitable[None]]) -> None:
    async def run() -> None:
        lane = Lane(url)
        try:
            await work(lane)
        finally:
            await lane.close()

    asyncio.run(run())


def counts(connection: Connection) -> tuple[int, int]:
    row = connection.execute(
        "select (select count(*) from error_metrics), (select count(*) from execution_metrics)"
    ).fetchone()
    assert row is not None
    return row


def backend(connection: Connection) -> list[int]:
    query = "select pid from pg_stat_activity where application_name = %s and datname = current_database()"
    return [row[0] for row in connection.execute(query, ("meshhook-errors writer",))]


def test_errors_and_reports_share_one_transaction(connection: Connection, database_url: str) -> None:
    async def work(lane: Lane) -> None:
        assert await lane.commit([a_report(), an_error(), an_error(), a_report()]) == set()

    with_lane(database_url, work)
    assert counts(connection) == (2, 2)
    written = [
        row[0]
        for table in ("error_metrics", "execution_metrics", "error_ids")
        for row in connection.execute(f"select xact_id from {table}")
    ]
    assert len(set(written)) == 1


def test_known_rows_are_left_out_and_named(connection: Connection, database_url: str) -> None:
    first, report, second = an_error(), a_report(), an_error("a\tb\nc \\ d")

    async def work(lane: Lane) -> None:
        assert await lane.commit([first, report]) == set()
        assert await lane.commit([report, first, second, second]) == {0, 1, 3}
        assert await lane.commit([second]) == {0}

    with_lane(database_url, work)
    assert counts(connection) == (2, 1)


def test_a_refused_value_keeps_nothing_and_the_connection_goes_on(connection: Connection, database_url: str) -> None:
    good = an_error()
    bad = Row("errors", str(uuid4()), good.line.replace(b"\tworker\t", b"\tworker\ttoo\tmany\t"))
    no_id = Row("errors", "x'); drop table error_ids; --", good.line)

    async def work(lane: Lane) -> None:
        await lane.commit([a_report()])
        pids = backend(connection)
        for refused in (bad, no_id):
            with pytest.raises(Unwritable):
                await lane.commit([good, a_report(), refused])
        assert await lane.commit([good]) == set()
        assert backend(connection) == pids

    with_lane(database_url, work)
    assert counts(connection) == (1, 1)


def test_more_than_a_socket_holds_arrives_whole(connection: Connection, database_url: str) -> None:
    rows = [error_row(Hall().normalise({"message": "x", "metadata": {"body": "y" * 200_000}}, NOW)) for _ in range(60)]

    async def work(lane: Lane) -> None:
        assert await lane.commit(rows) == set()

    with_lane(database_url, work)
    assert counts(connection) == (60, 0)


def test_a_cancelled_transaction_leaves_no_connection_that_is_in_the_middle_of_one(
    connection: Connection, database_url: str
) -> None:
    waiting, other = an_error(), an_error()

    async def work(lane: Lane) -> None:
        await lane.commit([an_error()])
        with connection.transaction():
            connection.execute("lock table error_metrics in exclusive mode")
            task = asyncio.create_task(lane.commit([waiting]))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await lane.commit([other]) == set()

    with_lane(database_url, work)
    assert counts(connection) in ((2, 0), (3, 0))  # whether the cancelled one committed is unknown: it is offered again


def test_a_lost_connection_is_said_and_the_next_transaction_opens_another(
    connection: Connection, database_url: str
) -> None:
    row = an_error()

    async def work(lane: Lane) -> None:
        await lane.commit([an_error()])
        for pid in backend(connection):
            connection.execute("select pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(StoreUnavailable):
            await lane.commit([row])
        assert await lane.commit([row]) == set()

    with_lane(database_url, work)
    assert counts(connection) == (2, 0)
