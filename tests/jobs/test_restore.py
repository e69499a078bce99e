"""An installation made of a backup shows the same numbers and goes on."""

import shutil
import threading
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from analytics.accounts import check_password
from analytics.lake import list_parts
from ingest import database
from ingest.database import Connection, connect
from jobs.backup import restoring
from jobs.backup.making import make_backup
from jobs.backup.manifest import BackupRefused
from jobs.verify import verify
from tests.apis import SECRET_KEY, Api
from tests.end_to_end.running import until
from tests.installations import (
    VAULT,
    api_of,
    back_up,
    empty_database,
    load,
    mirror_of,
    number_from,
    numbers,
    seed,
    watch_of,
)
from tests.seeding import insert_error, now
from tests.system_postgres import installed_postgres, system_postgres


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


@pytest.mark.timeout(300)
def test_backups_under_load_lose_nothing_and_repeat_nothing(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, postgres_url: str
) -> None:
    stop, sent = threading.Event(), []

    def send() -> None:
        with connect(database_url, "sender") as sender:
            while not stop.is_set():
                with sender.transaction():
                    made = [insert_error(sender, timestamp=now() - timedelta(days=n % 3)) for n in range(20)]
                sent.extend(made)

    def work() -> None:
        with connect(database_url, "worker") as session:
            mirror, watch = mirror_of(session, lake_dir), watch_of(session, database_url, lake_dir)
            while not stop.is_set():
                mirror.tick(everything=True)
                watch.tick()
                mirror.seal(now() + timedelta(days=2))

    threads = [threading.Thread(target=task) for task in (send, send, work)]
    for thread in threads:
        thread.start()
    made = []
    try:
        until(lambda: len(sent) > 100 and len(list_parts(lake_dir, "errors").seals) == 3, seconds=80)
        for number in range(4):
            known = list(sent)
            back_up(connection, lake_dir, tmp_path / "backups" / str(number))
            made.append((tmp_path / "backups" / str(number), known))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(made[-1][1]) > len(made[0][1])
    for backup, known in made:
        check_every_error_stands_once(postgres_url, backup, known, tmp_path / backup.name)


def check_every_error_stands_once(server: str, backup: Path, known: list[UUID], lake_dir: Path) -> None:
    with empty_database(server) as url:
        load(url, lake_dir, backup)
        with connect(url, "tests") as restored:
            report = verify(restored, lake_dir)
            assert report.problems == []
            watch_of(restored, url, lake_dir).tick()
            mirror_of(restored, lake_dir).tick(everything=True)
            rows = restored.execute("select error_id from error_ids").fetchall()
            ids = sorted(str(row[0]) for row in rows)
            lake = duckdb.sql(f"select error_id from '{lake_dir}/errors/**/*.parquet' order by 1").fetchall()
            assert [row[0] for row in lake] == ids
            assert set(ids) >= {str(error) for error in known}
            assert restored.execute("select sum(errors)::bigint from error_counts").fetchone() == (len(ids),)
            assert restored.execute("select sum(errors)::bigint from error_groups").fetchone() == (len(ids),)


def test_what_is_published_and_sealed_while_a_backup_is_made_is_in_it_once_or_not_at_all(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, postgres_url: str
) -> None:
    with connect(database_url, "mirror") as session:
        mirror, watch = mirror_of(session, lake_dir), watch_of(session, database_url, lake_dir)
        steps = []

        def go_on(step: str) -> None:
            steps.append(step)
            for back in (0, 1, 1):
                insert_error(session, timestamp=now() - timedelta(days=back))
                mirror.tick(everything=True)
                watch.tick()
            mirror.seal(now() + timedelta(days=2))
            insert_error(session)

        go_on("before")
        make_backup(connection, lake_dir, tmp_path / "backup", secret_key=SECRET_KEY, step=go_on)
        known = [row[0] for row in session.execute("select error_id from error_ids")]
    assert steps == ["before", "partitions kept", "lake listed"]
    assert len(known) == 12
    check_every_error_stands_once(postgres_url, tmp_path / "backup", known, tmp_path / "elsewhere")


def test_what_was_made_from_a_file_of_the_lake_goes_along_with_it(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, empty_url: str
) -> None:
    seed(connection, database_url, lake_dir)
    made = {path.relative_to(lake_dir) for path in (lake_dir / "rollups").rglob("*.parquet")}
    file = next(iter(list_parts(lake_dir, "errors").seals)).path
    beside = lake_dir / "rollups" / "hour" / "errors" / file.parent.name
    shutil.copy(file, beside / f"part-{1:020}-{2:020}-1of1-0123456789abcdef.parquet")  # of a file that was sealed
    for number in "12":
        back_up(connection, lake_dir, tmp_path / "backups" / number)
    elsewhere = tmp_path / "elsewhere"
    load(empty_url, elsewhere, tmp_path / "backups" / "2")
    assert made
    assert {path.relative_to(elsewhere) for path in (elsewhere / "rollups").rglob("*.parquet")} == made
    shutil.rmtree(tmp_path / "elsewhere" / "errors")
    shutil.rmtree(tmp_path / "elsewhere" / "executions")
    with pytest.raises(BackupRefused, match="isn't empty"):
        load(empty_url, tmp_path / "elsewhere", tmp_path / "backups" / "1")


def test_a_backup_of_an_earlier_version_is_loaded_and_migrated(
    connection: Connection,
    database_url: str,
    lake_dir: Path,
    tmp_path: Path,
    empty_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed(connection, database_url, lake_dir)
    manifest = back_up(connection, lake_dir, tmp_path / "backup")
    later = (
        "alter table meshhook_errors.alert_rules add column owner text not null default 'nobody';"
        "insert into meshhook_errors.schema_migrations (version, name) values (9999, 'later')"
    )
    known = [*database.migrations(), (9999, "later", later)]
    for module in (database, restoring):
        monkeypatch.setattr(module, "migrations", lambda: known)
    load(empty_url, tmp_path / "elsewhere", tmp_path / "backup")
    with connect(empty_url, "tests") as restored:
        assert restored.execute("select name, owner from alert_rules").fetchall() == [("too many", "nobody")]
        versions = [row[0] for row in restored.execute("select version from schema_migrations order by 1")]
        assert versions[-2:] == [manifest.schema_version, 9999]
