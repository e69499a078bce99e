"""The tables of a backup: all that there are, but for a few; so what a later version adds is in it by itself."""

import gzip
import hashlib
import os
from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO

from psycopg import sql

from ingest.database import SCHEMA, Connection
from ingest.statements import load_statements
from jobs.backup.manifest import Stored, Table, table_path

# What means nothing elsewhere, or must not leave the database: sign-ins, signs of life, texts before their masking.
LEFT_OUT = frozenset(
    {"schema_migrations", "sessions", "components", "mirror_claims", "meshhook_inbox", "meshhook_connection"}
)
_LEVEL = 3  # of gzip: twice as fast as 6, and a tenth larger
_BLOCK = 1024 * 1024
_SQL = load_statements(__file__)


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, block: bytes) -> int:
        self._digest.update(block)
        self.bytes += len(block)
        return self._file.write(block)

    def flush(self) -> None:
        self._file.flush()

    def stored(self) -> Stored:
        return Stored(self.bytes, self._digest.hexdigest())


def known_tables(connection: Connection) -> list[str]:
    """The tables that are backed up, each after those that it refers to."""
    names = {name for (name,) in connection.execute(_SQL["tables"])} - LEFT_OUT
    graph: dict[str, set[str]] = {name: set() for name in sorted(names)}
    for child, parent in connection.execute(_SQL["references"]):
        if child in graph and parent in graph:
            graph[child].add(parent)
    return list(TopologicalSorter(graph).static_order())


def table_bytes(connection: Connection, tables: Iterable[str]) -> dict[str, int]:
    """What tables take in Postgres, without their indexes."""
    return dict(connection.execute(_SQL["bytes"], {"tables": list(tables)}).fetchall())


def write_table(
    connection: Connection, directory: Path, table: str, advance: Callable[[int], None] = lambda _: None
) -> Table:
    """Write a table as the connection's snapshot has it; `advance` is told of each number of bytes that came. Raises
    OSError."""
    columns = [name for (name,) in connection.execute(_SQL["columns"], {"table": table})]
    statement = sql.SQL("copy (select {} from {}) to stdout (format csv, header)").format(
        _names(columns), sql.Identifier(SCHEMA, table)
    )
    with table_path(directory, table).open("xb") as file, connection.cursor() as cursor:
        os.fchmod(file.fileno(), 0o600)
        hashed = _Hashed(file)
        with (
            gzip.GzipFile("", "wb", _LEVEL, hashed, mtime=0) as packed,
            cursor.copy(statement) as copy,
        ):
            untold = 0
            for block in copy:  # a row each
                packed.write(block)
                untold += len(block)
                if untold >= _BLOCK:
                    advance(untold)
                    untold = 0
        rows = cursor.rowcount
        file.flush()
        os.fsync(file.fileno())
    stored = hashed.stored()
    return Table(stored.bytes, stored.sha256, rows, columns)


def load_table(connection: Connection, directory: Path, name: str, table: Table) -> int:
    """Write what a backup holds of a table; answers how many rows that were. Raises psycopg.Error, OSError."""
    statement = sql.SQL("copy {} ({}) from stdin (format csv, header)").format(
        sql.Identifier(SCHEMA, name), _names(table.columns)
    )
    with gzip.open(table_path(directory, name), "rb") as file, connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            while block := file.read(_BLOCK):
                copy.write(block)
        return cursor.rowcount


def has_rows(connection: Connection, table: str) -> bool:
    """Whether anything stands in a table."""
    query = sql.SQL("select exists (select from {})").format(sql.Identifier(SCHEMA, table))
    return connection.execute(query).fetchone() == (True,)


def clear(connection: Connection, table: str) -> None:
    """Remove all rows of a table."""
    connection.execute(sql.SQL("delete from {}").format(sql.Identifier(SCHEMA, table)))


def go_on_counting(connection: Connection) -> None:
    """Let sequences begin after what was loaded."""
    for table, column, sequence in connection.execute(_SQL["identities"]).fetchall():
        query = sql.SQL("select setval({}, (select coalesce(max({}), 0) + 1 from {}), false)")
        connection.execute(query.format(sql.Literal(sequence), sql.Identifier(column), sql.Identifier(SCHEMA, table)))


def _names(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
