"""A real Postgres for the whole run, and a fresh, migrated database for each test that asks for one."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from analytics.store import Store
from ingest.database import Connection, connect, migrate
from jobs.postgres import EmbeddedPostgres

pytest_plugins = ["tests.apis", "tests.listening", "tests.meshhook", "tests.installations"]


@pytest.fixture(scope="session", autouse=True)
def client_spool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """So that no client of a test leaves anything in the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHHOOK_ERRORS_CLIENT_SPOOL", str(tmp_path_factory.mktemp("spool")))
        yield


def with_database(url: str, name: str) -> str:
    return psycopg.conninfo.make_conninfo(url, dbname=name)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server for the whole run: TEST_DATABASE_URL where it is set, else an embedded one. Not in pytest's own folder,
    which another run of pytest closes to the user that Postgres runs as."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedPostgres(Path(directory))
        url = server.start()
        with psycopg.connect(url, autocommit=True) as admin:  # nobody needs these databases after a crash
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                admin.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
            admin.execute("select pg_reload_conf()")
        yield url
        server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """A migrated database that the others are cloned from."""
    name = f"template_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with connect(with_database(postgres_url, name), "tests") as connection:
        migrate(connection)
    return name


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """The URL of a fresh, migrated database, dropped after the test."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(  # by copying files: a fifth faster than through the log
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template_database)
            )
        )
        yield with_database(postgres_url, name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """An autocommit connection to the fresh database."""
    with connect(database_url, "tests") as connection:
        yield connection


@pytest.fixture
def lake_dir(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def store(database_url: str, lake_dir: Path) -> Iterator[Store]:
    """What the pages and the API read from."""
    opened = Store(database_url, lake_dir)
    yield opened
    opened.close()
