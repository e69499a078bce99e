"""Connections to Postgres, migrations, and the daily partitions of the two facts."""

import re
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from ingest.exceptions import MigrationFailed, StoreUnavailable, Unprepared
from ingest.settings import environment_name
from ingest.statements import load_statements

SCHEMA = "meshhook_errors"
FACTS = ("error_metrics", "execution_metrics")
_MIGRATION_FILE = re.compile(r"^(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql$")
_MIGRATION_LOCK = 0x6D65_7368_0001
_PARTITION_LOCK = 0x6D65_7368_0004
_SQL = load_statements(__file__)

Connection = psycopg.Connection[TupleRow]


def connection_options(application: str) -> dict[str, Any]:
    """What every connection of ours sets: schema, UTC, the form in which times and text are read, that each
    statement sees what has committed, a name to recognise
    it by, and keep-alives from both ends: a vanished server is noticed, and a vanished leader's lock becomes free."""
    session = {
        "search_path": SCHEMA,
        "timezone": "UTC",
        "datestyle": "ISO",
        "default_transaction_isolation": r"read\ committed",
        "tcp_keepalives_idle": 10,
        "tcp_keepalives_interval": 5,
        "tcp_keepalives_count": 3,
    }
    return {
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        "client_encoding": "utf8",
        "application_name": f"meshhook-errors {application}",
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,  # keep-alives say nothing while something sent is unanswered
    }


def connect(url: str, application: str, *, autocommit: bool = True) -> Connection:
    """Open a connection. Raises StoreUnavailable with the driver's reason and what to check."""
    try:
        return psycopg.connect(url, autocommit=autocommit, **connection_options(application))
    except psycopg.OperationalError as error:
        setting = environment_name("database_url")
        raise StoreUnavailable(
            f"Can't reach Postgres: {_reason(error)}. Check {setting} and that the server runs."
        ) from error
    except psycopg.Error:  # its words may repeat the address, and with it the password
        raise StoreUnavailable(
            f"{environment_name('database_url')} can't be understood. Write it as "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE."
        ) from None


def _reason(error: psycopg.Error) -> str:
    """The driver's first line, which names host and port; advice and further attempts follow it."""
    lines = str(error).strip().splitlines()
    return lines[0].removeprefix("connection failed: ").rstrip(".") if lines else type(error).__name__


def migrations() -> list[tuple[int, str, str]]:
    """All migrations as (version, name, SQL), oldest first."""
    found = []
    for entry in resources.files("ingest.migrations").iterdir():
        if match := _MIGRATION_FILE.match(entry.name):
            found.append((int(match["version"]), match["name"], entry.read_text(encoding="utf-8")))
    return sorted(found)


def migrate(connection: Connection, *, up_to: int | None = None) -> list[int]:
    """Apply what is missing, each migration in its own transaction; answers the versions applied.

    Safe to call from several processes at once. Raises MigrationFailed, also for a database that a newer
    version of the product has migrated.
    """
    known = migrations()
    applied: list[int] = []
    connection.execute("select pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
    try:
        done = _applied_versions(connection)
        if newer := done - {version for version, _, _ in known}:
            raise MigrationFailed(
                f"This database is at version {max(newer)}, newer than this program. Update meshhook-errors."
            )
        for version, name, text in known:
            if version in done or (up_to is not None and version > up_to):
                continue
            try:
                with connection.transaction():
                    connection.execute(text.encode())
            except psycopg.Error as error:
                raise MigrationFailed(f"Migration {version:04}_{name} failed: {error}") from error
            connection.execute(f"set search_path to {SCHEMA}")
            applied.append(version)
    finally:
        connection.execute("select pg_advisory_unlock(%s)", (_MIGRATION_LOCK,))
    make_partitions(connection, datetime.now(UTC).date())
    return applied


def require_prepared(connection: Connection) -> None:
    """Raises Unprepared for a database that lacks a migration."""
    if {version for version, _, _ in migrations()} - _applied_versions(connection):
        raise Unprepared


def _applied_versions(connection: Connection) -> set[int]:
    exists = connection.execute("select to_regclass('meshhook_errors.schema_migrations')").fetchone()
    if exists is None or exists[0] is None:
        return set()
    return {row[0] for row in connection.execute(_SQL["applied_versions"])}


def partition_name(fact: str, day: date) -> str:
    """The name of the partition of `fact` that holds `day` (UTC)."""
    return f"{fact}_{day:%Y%m%d}"


def partitions(connection: Connection, fact: str) -> list[str]:
    """The names of the partitions of `fact`, the default one included."""
    return [row[0] for row in connection.execute(_SQL["partitions"], {"fact": fact})]


def make_partitions(connection: Connection, today: date, ahead: int = 3) -> list[str]:
    """Make the partitions of today and `ahead` further days; answers the names of the new ones.

    Rows that went into the default partition because a day had none are moved to where they belong, in the
    same transaction. Safe to call from several processes at once.
    """
    made = []
    for fact in FACTS:
        strays = _stray_days(connection, fact)
        existing = set(partitions(connection, fact))
        for day in sorted({today + timedelta(days=offset) for offset in range(ahead + 1)} | strays):
            name = partition_name(fact, day)
            if name not in existing and _make_partition(
                connection, fact, name, day, moves_rows=day in strays or day <= today
            ):
                made.append(name)
    return made


def _stray_days(connection: Connection, fact: str) -> set[date]:
    query = sql.SQL("select distinct (received_at at time zone 'UTC')::date from {}")
    return {row[0] for row in connection.execute(query.format(sql.Identifier(f"{fact}_default")))}


def _make_partition(connection: Connection, fact: str, name: str, day: date, *, moves_rows: bool) -> bool:
    """Attach a filled table: Postgres refuses a partition whose rows stand in the default one. False where somebody
    else has made it meanwhile."""
    names = {
        "partition": sql.Identifier(name),
        "parent": sql.Identifier(fact),
        "default": sql.Identifier(f"{fact}_default"),
        "start": sql.Literal(datetime(day.year, day.month, day.day, tzinfo=UTC)),
        "end": sql.Literal(datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)),
    }
    with connection.transaction():
        connection.execute("set local lock_timeout = '5s'")
        connection.execute("select pg_advisory_xact_lock(%s)", (_PARTITION_LOCK,))
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() != (None,):
            return False
        if moves_rows:
            # A reader that planned before the attach and read after it would find the rows in neither partition, and
            # a writer could add to the default one after the move.
            connection.execute(sql.SQL("lock table only {parent} in access exclusive mode").format(**names))
        connection.execute(sql.SQL("create table {partition} (like {parent} including all)").format(**names))
        connection.execute(
            sql.SQL(
                "with moved as (delete from {default} where received_at >= {start} and received_at < {end}"
                " returning *) insert into {partition} select * from moved"
            ).format(**names)
        )
        connection.execute(
            sql.SQL("alter table {parent} attach partition {partition} for values from ({start}) to ({end})").format(
                **names
            )
        )
    return True


def system_identifier(connection: Connection) -> str:
    """Names the cluster behind `connection`: transaction ids of another one mean nothing here.

    Falls back to the database's oid and name where the role may not read the control file.
    """
    try:
        row = connection.execute("select system_identifier::text from pg_control_system()").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        row = connection.execute(_SQL["database_identity"]).fetchone()
    assert row is not None
    return str(row[0])
