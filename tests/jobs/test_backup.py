"""A backup holds everything, and one that isn't whole, or doesn't fit, is refused."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from ingest.database import Connection, connect, migrate
from ingest.keys import create_key
from jobs.backup.manifest import BackupFailed, BackupRefused, read_manifest, write_manifest
from jobs.backup.restoring import check_key
from jobs.backup.tables import LEFT_OUT
from jobs.exceptions import ClusterChanged, LakeMismatch
from jobs.verify import verify
from tests.apis import SECRET_KEY, Api
from tests.end_to_end.running import until
from tests.installations import (
    api_of,
    back_up,
    load,
    mirror_of,
    seed,
)
from tests.seeding import insert_error


def test_every_table_is_backed_up_or_left_out_on_purpose(
    connection: Connection, lake_dir: Path, tmp_path: Path
) -> None:
    tables = {
        name
        for (name,) in connection.execute(
            """select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'meshhook_errors' and relkind in ('r', 'p') and not relispartition"""
        )
    }
    manifest = back_up(connection, lake_dir, tmp_path / "backup")
    assert set(manifest.tables) == tables - LEFT_OUT
    assert tables >= LEFT_OUT
    files = {path.name for path in (tmp_path / "backup" / "tables").iterdir()}
    assert files == {f"{name}.csv.gz" for name in manifest.tables}


def test_every_horizon_is_numbered_as_rows_are() -> None:
    raw = {"intake.sql", "restoring.sql"}  # MeshHook's own log; where the numbering is made
    root = Path(__file__).parents[2]
    for path in [path for package in ("ingest", "analytics", "jobs") for path in (root / package).rglob("*.sql")]:
        if path.name not in raw and "migrations" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert text.count("pg_snapshot_x") == text.count("numbered(pg_snapshot_x"), path


def test_a_backup_is_read_without_us(connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path) -> None:
    seed(connection, database_url, lake_dir)
    back_up(connection, lake_dir, tmp_path / "backup")
    errors = duckdb.sql(f"select count(*), sum(stands_for) from '{tmp_path}/backup/tables/error_metrics.csv.gz'")
    assert errors.fetchall() == connection.execute("select count(*), sum(stands_for) from error_metrics").fetchall()
    lake = duckdb.sql(f"select count(*) from '{tmp_path}/backup/lake/errors/**/*.parquet'").fetchall()
    assert lake == [(900,)]


def test_what_isn_t_masked_or_means_nothing_elsewhere_stays_behind(
    connection: Connection, lake_dir: Path, tmp_path: Path
) -> None:
    connection.execute("""insert into meshhook_inbox (kind, record) values ('run_ended', '{"token": "s3cr3t"}')""")
    back_up(connection, lake_dir, tmp_path / "backup")
    text = b"".join(
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in (tmp_path / "backup").rglob("*")
        if path.is_file()
    )
    assert b"s3cr3t" not in text
    assert SECRET_KEY.encode() not in text
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


def test_a_second_backup_links_what_the_first_has_of_the_lake(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    seed(connection, database_url, lake_dir)
    first = back_up(connection, lake_dir, tmp_path / "backups" / "1")
    mirror_of(connection, lake_dir).tick(everything=True)
    second = back_up(connection, lake_dir, tmp_path / "backups" / "2")
    assert set(first.lake) < set(second.lake)
    for name in second.lake:
        path = tmp_path / "backups" / "2" / "lake" / name
        assert path.stat().st_nlink == (2 if name in first.lake else 1)
        assert path.read_bytes() == (lake_dir / name).read_bytes()
    shutil.rmtree(tmp_path / "backups" / "1")
    assert not any(path.stat().st_nlink > 1 for path in lake_dir.rglob("*.parquet"))


def test_a_file_of_another_lake_with_the_same_name_is_not_linked(
    connection: Connection, lake_dir: Path, tmp_path: Path
) -> None:
    insert_error(connection, title="one")
    mirror_of(connection, lake_dir).tick(everything=True)
    first = back_up(connection, lake_dir, tmp_path / "backups" / "1")
    (name,) = (each for each in first.lake if each.startswith("errors/"))
    frame = pl.read_parquet(lake_dir / name).with_columns(title=pl.lit("two"))
    (lake_dir / name).unlink()
    frame.write_parquet(lake_dir / name)
    back_up(connection, lake_dir, tmp_path / "backups" / "2")
    assert pl.read_parquet(tmp_path / "backups" / "2" / "lake" / name)["title"].to_list() == ["two"]


@pytest.mark.parametrize("what", ["tables/error_groups.csv.gz", "lake", "manifest.json", "gone", "unfinished"])
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, empty_url: str, what: str
) -> None:
    seed(connection, database_url, lake_dir)
    backup = tmp_path / "backup"
    back_up(connection, lake_dir, backup)
    path = next((backup / "lake").rglob("*.parquet")) if what in ("lake", "gone") else backup / what
    if what == "gone":
        path.unlink()
    elif what == "unfinished":
        (backup / "manifest.json").unlink()
    else:
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
    with pytest.raises(BackupRefused, match=str(backup)):
        load(empty_url, tmp_path / "elsewhere", backup)
    assert not any((tmp_path / "elsewhere").rglob("*"))
    with connect(empty_url, "tests") as restored:
        assert restored.execute("select to_regnamespace('meshhook_errors')").fetchone() == (None,)


def test_a_restore_that_fails_on_the_way_leaves_nothing_and_can_be_repeated(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, empty_url: str
) -> None:
    seed(connection, database_url, lake_dir)
    backup, elsewhere = tmp_path / "backup", tmp_path / "elsewhere"
    back_up(connection, lake_dir, backup)
    (backup / "manifest.json").rename(tmp_path / "manifest.json")
    kept = read_manifest(tmp_path)
    errors = kept.tables["error_metrics"]
    write_manifest(backup, replace(kept, tables=kept.tables | {"error_metrics": replace(errors, rows=errors.rows + 1)}))
    with pytest.raises(BackupRefused, match="rows"):
        load(empty_url, elsewhere, backup)
    assert [path for path in elsewhere.rglob("*") if path.is_file()] == []
    shutil.copy(tmp_path / "manifest.json", backup)
    load(empty_url, elsewhere, backup)
    with connect(empty_url, "tests") as restored:
        assert verify(restored, elsewhere).is_equal


def test_a_target_that_holds_something_is_refused(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, empty_url: str
) -> None:
    seed(connection, database_url, lake_dir)
    backup = tmp_path / "backup"
    back_up(connection, lake_dir, backup)
    connection.close()  # the mirror's
    with pytest.raises(BackupRefused, match=r"lake at .* isn't empty"):
        load(empty_url, lake_dir, backup)
    with pytest.raises(BackupRefused, match="database isn't empty"):
        load(database_url, tmp_path / "elsewhere", backup)
    with connect(empty_url, "tests") as target:
        migrate(target)
        create_key(target, "somebody's", "ingest")
        with pytest.raises(BackupRefused, match="users or keys"):
            load(empty_url, tmp_path / "elsewhere", backup)
        target.execute("delete from api_keys")
        locks = (
            "select from pg_locks join pg_database on database = pg_database.oid"
            " where locktype = 'advisory' and datname = current_database()"
        )
        until(lambda: target.execute(locks).rowcount == 0)  # those of the attempt that was refused
        mirror_of(target, tmp_path / "elsewhere")
        with pytest.raises(BackupRefused, match="jobs are running"):
            load(empty_url, tmp_path / "elsewhere", backup)
    load(empty_url, tmp_path / "elsewhere", backup)


def test_another_version_is_refused(connection: Connection, lake_dir: Path, tmp_path: Path, empty_url: str) -> None:
    backup = tmp_path / "backup"
    manifest = back_up(connection, lake_dir, backup)
    write_manifest(backup, replace(manifest, schema_version=9_999))
    with pytest.raises(BackupRefused, match="Update meshhook-errors"):
        load(empty_url, tmp_path / "elsewhere", backup)
    write_manifest(backup, replace(manifest, schema_version=6))
    with connect(empty_url, "tests") as target:
        migrate(target)
    with pytest.raises(BackupRefused, match="wasn't prepared"):
        load(empty_url, tmp_path / "elsewhere", backup)
    write_manifest(backup, replace(manifest, format=2))
    with pytest.raises(BackupRefused, match="newer"):
        read_manifest(backup)


def test_without_the_key_it_is_refused_or_secrets_are_left_out(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path, empty_url: str
) -> None:
    keys = seed(connection, database_url, lake_dir)
    backup = tmp_path / "backup"
    manifest = back_up(connection, lake_dir, backup)
    check_key(manifest, SECRET_KEY)
    for other in ("", "another"):
        with pytest.raises(BackupRefused, match="--without-secrets"):
            check_key(manifest, other)
    load(empty_url, tmp_path / "elsewhere", backup, with_secrets=False)
    with connect(empty_url, "tests") as restored:
        assert restored.execute("select count(*) from channels where secret is not null").fetchone() == (0,)
        assert restored.execute("select count(*) from api_keys where sealed is not null").fetchone() == (0,)
    with api_of(empty_url, tmp_path / "elsewhere", tmp_path / "api") as client:
        assert Api(client, keys).send({"message": "the key itself still sends"}).status_code == 202


def test_a_lake_or_cluster_that_isn_t_the_database_s_is_not_backed_up(
    connection: Connection, lake_dir: Path, tmp_path: Path
) -> None:
    mirror = mirror_of(connection, lake_dir)
    for _ in range(2):
        insert_error(connection)
        mirror.tick(everything=True)
    with pytest.raises(LakeMismatch, match="lacks"):
        back_up(connection, tmp_path / "nowhere", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    claim = connection.execute("delete from mirror_claims returning *").fetchall()
    with pytest.raises(LakeMismatch, match="never claimed"):
        back_up(connection, lake_dir, tmp_path / "backup")
    connection.execute("insert into mirror_claims values (%s, %s, %s, 'another', %s)", (*claim[0][:3], claim[0][4]))
    with pytest.raises(ClusterChanged):
        back_up(connection, lake_dir, tmp_path / "backup")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("keep me")
    with pytest.raises(BackupFailed, match="isn't empty"):
        back_up(connection, lake_dir, tmp_path / "full")
    assert (tmp_path / "full" / "letter").read_text() == "keep me"
