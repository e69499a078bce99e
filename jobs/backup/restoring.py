"""Making an installation of a backup, in an empty database and an empty lake.

Transactions of the new cluster are numbered so that they follow those of the backup: `numbered()` in the database adds
the difference. Rows, watermarks, and the lake's ranges stay as they are, and whatever holds for them goes on holding.
See docs/decisions/0017-numbers-go-on.md.

The tables are loaded in one transaction, and the lake appears right before it is committed.
"""

from datetime import date
from pathlib import Path

import psycopg
from psycopg import sql

from ingest.database import SCHEMA, Connection, make_partitions, migrate, migrations, system_identifier
from ingest.statements import filled, load_statements
from jobs.backup.lake_files import LakeArrival
from jobs.backup.making import key_mark
from jobs.backup.manifest import BackupRefused, Manifest, check_files
from jobs.backup.tables import clear, go_on_counting, has_rows, load_table
from jobs.installation import ADMIN
from jobs.mirror import LOCK as MIRROR_LOCK
from jobs.preparation import MADE_BY_UP
from jobs.scheduler import LOCK as LEADER_LOCK

_SQL = load_statements(__file__)
# What every prepared database has; its rows give way to those of the backup.
_REPLACED = ("sessions", "api_keys", "users", "projects", "tally_watermark", "mirror_claims")


def check_key(manifest: Manifest, secret_key: str) -> None:
    """Raises BackupRefused where what is encrypted couldn't be read."""
    if manifest.secret_key_mark and manifest.secret_key_mark != key_mark(secret_key):
        raise BackupRefused(
            "Secrets in this backup are encrypted with another MESHHOOK_ERRORS_SECRET_KEY. Set that of the former "
            "installation (`up` keeps it in secrets.json), or restore --without-secrets and enter them again."
        )


def restore(
    connection: Connection, lake_dir: Path, directory: Path, manifest: Manifest, *, with_secrets: bool = True
) -> None:
    """Load a backup. `connection` is in autocommit mode. Raises BackupRefused, MigrationFailed; nothing is left of the
    backup in the database or the lake then."""
    check_files(directory, manifest)
    arrival = LakeArrival(lake_dir, manifest.lake)
    _lock(connection)
    _prepare(connection, manifest)
    try:
        arrival.copy(directory)
        with connection.transaction():
            _empty(connection, manifest)
            _load(connection, directory, manifest)
            _adopt(connection, manifest, with_secrets=with_secrets)
            arrival.appear()
    except OSError as error:
        arrival.vanish()
        raise BackupRefused(
            f"Can't restore {error.filename or 'the lake'}: {error.strerror}. Check space and permissions."
        ) from error
    except BaseException:
        arrival.vanish()
        raise
    arrival.end()
    migrate(connection)
    connection.execute("analyze")


def _lock(connection: Connection) -> None:
    for key in (LEADER_LOCK, MIRROR_LOCK):
        if connection.execute(_SQL["try_lock"], {"key": key}).fetchone() != (True,):
            raise BackupRefused("The jobs are running on this database. Stop them, then restore.")


def _prepare(connection: Connection, manifest: Manifest) -> None:
    """Bring an unprepared database to the version of the backup."""
    newest = max(version for version, _, _ in migrations())
    if manifest.schema_version > newest:
        raise BackupRefused(
            f"This backup is of schema version {manifest.schema_version}, this program knows {newest}. Update "
            "meshhook-errors, then restore."
        )
    if connection.execute(_SQL["is_prepared"]).fetchone() != (True,):
        migrate(connection, up_to=manifest.schema_version)
    row = connection.execute(_SQL["versions"]).fetchone()
    if row != (manifest.schema_version,):
        raise BackupRefused(
            f"This database is at schema version {row and row[0]}, the backup at {manifest.schema_version}. Restore "
            "into a database that wasn't prepared; it is brought up to date afterwards."
        )


def _empty(connection: Connection, manifest: Manifest) -> None:
    """Make room. Raises BackupRefused where somebody would lose something."""
    connection.execute(_SQL["keep_out"])
    for name in manifest.tables:
        if name not in _REPLACED and has_rows(connection, name):
            raise BackupRefused(f"This database isn't empty: {name} has rows. Restore into a new one.")
    people = connection.execute(_SQL["people"], {"admin": ADMIN, "ours": MADE_BY_UP}).fetchone()
    if people != (0, 0):
        raise BackupRefused("This database has users or keys of its own. Restore into a new one.")
    for name in _REPLACED:
        clear(connection, name)


def _load(connection: Connection, directory: Path, manifest: Manifest) -> None:
    for day in manifest.days:
        make_partitions(connection, date.fromisoformat(day), ahead=0)
    for name, table in manifest.tables.items():
        try:
            rows = load_table(connection, directory, name, table)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            raise BackupRefused(
                f"{name} can't be loaded: {str(error).splitlines()[0]}. Nothing was restored."
            ) from error
        if rows != table.rows:
            raise BackupRefused(f"{name} has {rows} rows, {table.rows} were backed up. Nothing was restored.")
    go_on_counting(connection)


def _adopt(connection: Connection, manifest: Manifest, *, with_secrets: bool) -> None:
    """Let tally, mirror and outbox go on from what was loaded."""
    row = connection.execute(_SQL["horizon"]).fetchone()
    assert row is not None
    # The locks are taken: who writes a row later is in this snapshot, or begins after it.
    if (offset := manifest.numbered_to - row[0]) > 0:
        connection.execute(filled(_SQL["number_from"], offset=str(int(offset))))
    identifier = system_identifier(connection)
    for (table,) in connection.execute(_SQL["tables_of_a_cluster"]).fetchall():
        statement = sql.SQL("update {} set system_identifier = %s").format(sql.Identifier(SCHEMA, table))
        connection.execute(statement, (identifier,))
    for dataset, watermark in manifest.watermarks.items():
        if watermark:
            values = {"dataset": dataset, "watermark": watermark, "system_identifier": identifier}
            connection.execute(_SQL["adopt_claim"], values)
    connection.execute(_SQL["free_messages"])
    if not with_secrets:
        connection.execute(_SQL["forget_channel_secrets"])
        connection.execute(_SQL["forget_sealed_keys"])
