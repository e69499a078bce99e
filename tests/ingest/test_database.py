"""Migrations and partitions on a real Postgres."""

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
from ingest.exceptions import MigrationFailed, StoreUnavailable

INSERT = """insert into error_metrics (error_id, timestamp, source, error_type, severity, title, fingerprint,
    received_at)
values (gen_random_uuid(), %(at)s, 'worker', 'execution', 'high', 't', 'f', %(at)s)"""


def test_migrating_again_changes_nothing(connection: Connection) -> None:
    assert migrate(connection) == []


@pytest.mark.parametrize("url", ["postgres:/me:s3cret@host/db", "postgresql://me:s3cret%zz@host/db"])
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(StoreUnavailable) as error:
        connect(url, "tests")
    assert "s3cret" not in str(error.value)
    assert "DATABASE_URL" in str(error.value)


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


def test_the_cluster_has_a_name(connection: Connection) -> None:
    assert system_identifier(connection) == system_identifier(connection) != ""
