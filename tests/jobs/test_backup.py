"""A backup, and an installation made of it that shows the same numbers and goes on."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from starlette.testclient import TestClient

from analytics.accounts import add_user, check_password
from analytics.alert_store import create_channel, create_rule
from analytics.classification_store import create_rule as create_classification_rule
from analytics.group_store import add_note, assign, merge, resolve
from analytics.lake import list_parts
from analytics.rules import ChannelDraft, RuleDraft
from analytics.store import Store
from ingest.classification.rules import Conditions, Rule
from ingest.database import Connection, connect, make_partitions, migrate
from ingest.keys import create_key
from ingest.projects import create_project
from ingest.settings import Settings
from ingest.vault import Vault
from jobs.alert_message import Composer
from jobs.api import create_app
from jobs.backup.making import make_backup
from jobs.backup.manifest import BackupFailed, BackupRefused, Manifest, read_manifest, table_path
from jobs.backup.restoring import check_key, restore
from jobs.backup.tables import LEFT_OUT
from jobs.exceptions import ClusterChanged, LakeMismatch
from jobs.mirror import Mirror
from jobs.verify import verify
from tests.apis import SECRET_KEY, Api
from tests.conftest import with_database
from tests.jobs.test_alerting import Watch
from tests.pages import shown
from tests.seeding import insert_error, insert_many, insert_report, now
from tests.system_postgres import installed_postgres, system_postgres

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
    return Watch(connection, Composer(Store(url, lake_dir), "http://app.example"))


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
            "update error_metrics set received_at = received_at - interval '1 day' where title = 'failure 3' and xact_id"
            " >= %s::text::xid8",
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
    add_note(connection, "1-1", "anna", "looks like «DNS»,\n\"again\"")
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


def back_up(connection: Connection, lake_dir: Path, directory: Path) -> Manifest:
    return make_backup(connection, lake_dir, directory, secret_key=SECRET_KEY)


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


def check_it_goes_on(url: str, lake_dir: Path, tmp_path: Path, keys: dict[str, str]) -> None:
    """New errors come with the old key, are counted, mirrored and sealed; nobody is told twice."""
    with connect(url, "tests") as connection:
        assert check_password(connection, "anna", "a long enough password") is not None
        assert check_password(connection, "anna", "another password") is None
        secret = connection.execute("select secret from channels").fetchone()
        assert secret is not None and "hooks.example" in VAULT.decrypt(secret[0])
        before = list_parts(lake_dir, "errors").watermark
        watch = watch_of(connection, url, lake_dir)
        told = connection.execute("select count(*) from notifications").fetchone()
        watch.tick()
        assert connection.execute("select count(*) from notifications").fetchone() == told == (1,)
        assert connection.execute("select state from alert_states").fetchone() == ("firing",)
        known = str(connection.execute("select error_id from error_ids limit 1").fetchone()[0])  # type: ignore[index]
        with api_of(url, lake_dir, tmp_path / "api") as client:
            api = Api(client, keys)
            first = api.send([{"message": "after the move", "source": "worker"}, {"error_id": known, "message": "x"}])
            assert first.status_code == 202, first.text
            assert api.get("/api/error-events", limit=1).json()["events"][0]["metadata"]["message"] == "after the move"
            rows = connection.execute("select count(*) from error_metrics where xact_id >= %s::text::xid8", (before,))
            assert rows.fetchone() == (6,)  # five that waited, one that is new, none for the id that was known
        late = now() - timedelta(days=1)
        insert_error(connection, timestamp=late, title="late")
        watch.tick()
        mirror = mirror_of(connection, lake_dir)
        published = mirror.tick(everything=True)
        assert sum(done.rows for done in published if done.dataset == "errors") == 7
        assert mirror.seal(now() + timedelta(days=2))
        report = verify(connection, lake_dir)
        assert (report.problems, report.waiting) == ([], 0)
        counted = connection.execute("select sum(errors) from error_counts").fetchone()
        assert counted == connection.execute("select sum(stands_for) from error_metrics").fetchone()


def test_a_restored_installation_shows_the_same_numbers_and_goes_on(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, empty_url: str
) -> None:
    number_from(connection, 5_000_000)
    keys = seed(connection, database_url, lake_dir)
    moment = now()
    back_up(connection, lake_dir, tmp_path / "backup")
    before = numbers(database_url, lake_dir, moment)
    load(empty_url, tmp_path / "elsewhere", tmp_path / "backup")
    after = numbers(empty_url, tmp_path / "elsewhere", moment)
    for page, figures in before.items():
        assert after[page] == figures, page
    with connect(empty_url, "tests") as restored:
        report = verify(restored, tmp_path / "elsewhere")
        assert (report.problems, report.rows_compared) == ([], verify(connection, lake_dir).rows_compared)
    check_it_goes_on(empty_url, tmp_path / "elsewhere", tmp_path, keys)


@pytest.mark.timeout(300)
def test_it_moves_to_an_older_postgres_whose_transactions_begin_anew(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    programs = installed_postgres()
    if programs is None:
        pytest.skip("this machine has no PostgreSQL 15, 16 or 17 in /usr/lib/postgresql")
    number_from(connection, 1_000)
    keys = seed(connection, database_url, lake_dir)
    moment = now()
    manifest = back_up(connection, lake_dir, tmp_path / "backup")
    before = numbers(database_url, lake_dir, moment)
    with system_postgres(programs) as server, empty_database(server) as url:
        load(url, tmp_path / "elsewhere", tmp_path / "backup")
        with connect(url, "tests") as restored:
            row = restored.execute("select numbered(pg_current_xact_id())::text::bigint").fetchone()
            assert row is not None and row[0] >= manifest.numbered_to
        assert numbers(url, tmp_path / "elsewhere", moment) == before
        check_it_goes_on(url, tmp_path / "elsewhere", tmp_path, keys)
