"""An installation that has lived, an empty place, and the way from the one to the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from starlette.testclient import TestClient

from analytics.accounts import add_user
from analytics.alert_store import create_channel, create_rule
from analytics.classification_store import create_rule as create_classification_rule
from analytics.group_store import add_note, assign, merge, resolve
from analytics.lake import list_parts
from analytics.rules import ChannelDraft, RuleDraft
from analytics.store import Store
from ingest.classification.rules import Conditions, Rule
from ingest.database import Connection, connect, make_partitions
from ingest.keys import create_key
from ingest.projects import create_project
from ingest.settings import Settings
from ingest.vault import Vault
from jobs.alert_message import Composer
from jobs.api import create_app
from jobs.backup.making import make_backup
from jobs.backup.manifest import Manifest, read_manifest
from jobs.backup.progress import Tell, tell_nobody
from jobs.backup.restoring import restore
from jobs.mirror import Mirror
from tests.apis import SECRET_KEY
from tests.conftest import with_database
from tests.jobs.test_alerting import Watch
from tests.pages import shown
from tests.seeding import insert_error, insert_many, insert_report, now

VAULT = Vault(SECRET_KEY)
WORKFLOW = UUID("00000000-0000-0000-0000-000000000001")


def number_from(connection: Connection, offset: int) -> None:
    """As if the cluster had had so many more transactions."""
    connection.execute(
        f"""create or replace function numbered(xact_id xid8) returns xid8 language sql immutable parallel safe
        as 'select ($1::text::bigint + {offset})::text::xid8'""".encode()  # type: ignore[arg-type]
    )


def mirror_of(connection: Connection, lake_dir: Path) -> Mirror:
    return Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300)


def watch_of(connection: Connection, url: str, lake_dir: Path) -> Watch:
    return Watch(connection, Composer(Store(url, lake_dir), "http://app.example"))  # nothing is opened before it fires


def seed(connection: Connection, url: str, lake_dir: Path) -> dict[str, Any]:
    """An installation that has lived: days of errors, sealed ones, decisions, a firing alert, people and keys."""
    today = now().date()
    for back in (2, 1):
        make_partitions(connection, today - timedelta(days=back), ahead=0)
    mirror = mirror_of(connection, lake_dir)
    project = create_project(connection, "shop")
    for hours in (50, 26, 1):
        insert_many(connection, 300, over=timedelta(hours=hours))
        insert_report(connection, 100, 7, timestamp=now() - timedelta(hours=hours), workflow_id=WORKFLOW)
        connection.execute(
            "update error_metrics set received_at = received_at - interval '1 day'"
            " where title = 'failure 3' and xact_id >= %s::text::xid8",
            (list_parts(lake_dir, "errors").watermark,),
        )
        mirror.tick(everything=True)
    mirror.seal()
    watch = watch_of(connection, url, lake_dir)
    watch.tick()
    channel = create_channel(
        connection, ChannelDraft(name="team", kind="slack", webhook_url="https://hooks.example/services/x"), VAULT
    )
    create_rule(
        connection,
        RuleDraft(name="too many", threshold=3, window_seconds=3600, keep_firing_seconds=60, channel_ids=(channel.id,)),
    )
    create_classification_rule(
        connection, Rule(name="crm", when=Conditions(exception=("Crm*",)), severity="high"), "anna"
    )
    add_user(connection, "anna", "a long enough password")
    keys = {
        role: create_key(connection, role, role, vault=VAULT if role == "ingest" else None)  # type: ignore[arg-type]
        for role in ("ingest", "read", "admin")
    }
    for number in range(4):
        insert_error(connection, project_id=project.id, workflow_id=WORKFLOW, fingerprint=f"1-{number}")
    watch.evaluator.load(now())
    watch.tick()
    merge(connection, "1-1", ["1-2"], "anna")
    resolve(connection, "1-3", "anna")
    assign(connection, "1-1", "anna", "anna")
    add_note(connection, "1-1", "anna", 'looks like «DNS»,\n"again"')
    insert_error(connection, title="waits for the tally")  # above all watermarks
    insert_report(connection, 5, 1)
    return keys


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    name = f"restored_{uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield with_database(server, name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    with empty_database(postgres_url) as url:
        yield url


def back_up(connection: Connection, lake_dir: Path, directory: Path, tell: Tell = tell_nobody) -> Manifest:
    return make_backup(connection, lake_dir, directory, secret_key=SECRET_KEY, tell=tell)


def load(url: str, lake_dir: Path, directory: Path, **options: Any) -> None:
    with connect(url, "restore") as connection:
        restore(connection, lake_dir, directory, read_manifest(directory), **options)


def numbers(url: str, lake_dir: Path, moment: datetime) -> dict[str, Any]:
    store = Store(url, lake_dir)
    try:
        return shown(store, moment)
    finally:
        store.close()


def api_of(url: str, lake_dir: Path, directory: Path) -> TestClient:
    options = Settings(
        database_url=url,  # type: ignore[arg-type]
        lake_url=str(lake_dir),
        data_dir=directory,
        secret_key=SECRET_KEY,  # type: ignore[arg-type]
    )
    return TestClient(create_app(options))
