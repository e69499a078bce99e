"""Migrations and partitions on a real Postgres."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ingest.database import (
    Connection,
    connect,
    make_partitions,
    migrate,
    migrations,
    partition_name,
    system_identifier,
)
from ingest.exceptions import MigrationFailed

INSERT = """insert into error_metrics (error_id, timestamp, source, error_type, severity, title, fingerprint,
    received_at)
values (gen_random_uuid(), %(at)s, 'worker', 'execution', 'high', 't', 'f', %(at)s)"""


def test_migrating_again_changes_nothing(connection: Connection) -> None:
    assert migrate(connection) == []


def test_a_database_of_a_newer_version_is_refused(connection: Connection) -> None:
    connection.execute("insert into schema_migrations (version, name) values (9999, 'from the future')")
    with pytest.raises(MigrationFailed, match="Update meshhook-errors"):
        migrate(connection)


@pytest.mark.parametrize("version", [version for version, _, _ in migrations()])
def test_every_earlier_version_migrates_to_the_newest(connection: Connection, version: int) -> None:
    connection.execute("drop schema meshhook_errors cascade")
    migrate(connection, up_to=version)
    migrate(connection)
    applied = {row[0] for row in connection.execute("select version from schema_migrations")}
    assert applied == {version for version, _, _ in migrations()}


def test_partitions_stand_ready_for_today_and_the_next_days(connection: Connection) -> None:
    today = datetime.now(UTC).date()
    names = {row[0] for row in connection.execute("select relname from pg_class where relname like 'error_metrics_2%'")}
    assert {partition_name("error_metrics", today + timedelta(days=ahead)) for ahead in range(4)} <= names


def test_rows_without_a_partition_are_moved_out_of_the_default_one(connection: Connection) -> None:
    later = datetime.now(UTC) + timedelta(days=40)
    connection.execute(INSERT, {"at": later})
    assert connection.execute("select count(*) from only error_metrics_default").fetchone() == (1,)
    made = make_partitions(connection, datetime.now(UTC).date())
    assert made == [partition_name("error_metrics", later.date())]
    assert connection.execute("select count(*) from only error_metrics_default").fetchone() == (0,)
    assert connection.execute("select count(*) from error_metrics").fetchone() == (1,)


def until_waiting(connection: Connection, sessions: int) -> None:
    """Until so many others wait for a lock."""
    waiting = "select count(distinct pid) from pg_locks where not granted"
    deadline = time.monotonic() + 4
    while connection.execute(waiting).fetchone() != (sessions,) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_reader_finds_rows_that_are_moved_meanwhile(connection: Connection, database_url: str) -> None:
    connection.execute(INSERT, {"at": datetime.now(UTC) + timedelta(days=40)})
    with (
        connect(database_url, "house") as house,
        connect(database_url, "reader") as reader,
        connect(database_url, "holder", autocommit=False) as holder,
        ThreadPoolExecutor(2) as threads,
    ):
        holder.execute("select from only error_metrics_default")
        making = threads.submit(make_partitions, house, datetime.now(UTC).date())
        until_waiting(connection, 1)
        reading = threads.submit(lambda: reader.execute("select count(*) from error_metrics").fetchone())
        until_waiting(connection, 2)
        holder.commit()
        assert len(making.result()) == 1
        assert reading.result() == (1,)


def test_several_processes_make_partitions_at_once(connection: Connection, database_url: str) -> None:
    later = datetime.now(UTC).date() + timedelta(days=100)

    def make(_: int) -> list[str]:
        with connect(database_url, "maker") as maker:
            return make_partitions(maker, later)

    with ThreadPoolExecutor(4) as threads:
        made = [name for names in threads.map(make, range(4)) for name in names]
    assert len(made) == len(set(made)) == 8


def test_a_database_s_own_customs_don_t_reach_us(connection: Connection, database_url: str) -> None:
    """The mirror reads times as text."""
    name = connection.info.dbname
    connection.execute(f"alter database {name} set datestyle to 'SQL, DMY'".encode())
    connection.execute(f"alter database {name} set client_encoding to 'LATIN1'".encode())
    with connect(database_url, "another") as another:
        moment = another.execute("select '2026-11-24 01:02:03+01'::timestamptz::text").fetchone()
        assert moment == ("2026-11-24 00:02:03+00",)
        assert another.execute("show client_encoding").fetchone() == ("UTF8",)


def test_the_cluster_has_a_name(connection: Connection) -> None:
    assert system_identifier(connection) == system_identifier(connection) != ""
