"""Making a backup, while everything runs.

First the lake is copied, as often as it takes. Then, in one transaction: no partition may be dropped any more, the
lake is listed and what is new of it copied, and only then the snapshot is taken. So a row is below the watermark and in
a copied file, or it is in the snapshot; what was published after the listing is in the snapshot, too.
"""

import contextlib
import hmac
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analytics.lake import DATASETS, Dataset
from ingest.database import Connection, system_identifier
from ingest.statements import load_statements
from jobs.backup.lake_files import LakeCopy
from jobs.backup.manifest import BackupFailed, Manifest, Table, write_manifest
from jobs.backup.progress import Course, Tell, tell_nobody
from jobs.backup.tables import known_tables, table_bytes, write_table
from jobs.exceptions import ClusterChanged, LakeMismatch
from jobs.housekeeping import partition_days
from jobs.publishing import Step, flush_directory, make_directory, no_step

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the mirror claimed last."""

    start: int
    end: int


def make_backup(
    connection: Connection,
    lake_dir: Path,
    directory: Path,
    *,
    secret_key: str,
    step: Step = no_step,
    tell: Tell = tell_nobody,
) -> Manifest:
    """Copy tables and lake into `directory`, which must be new or empty; what an earlier backup beside it has of the
    lake is linked. `tell` is told how far it is.

    `connection` is in autocommit mode. Raises BackupFailed, ClusterChanged, LakeMismatch.
    """
    with _written(directory):
        claims = {dataset: _claim(connection, dataset) for dataset in DATASETS}
        lake = LakeCopy(lake_dir, directory, tell)
        lake.catch_up()
        (directory / "tables").mkdir()
        with connection.transaction():
            connection.execute(_SQL["one_moment"])
            connection.execute(_SQL["keep_partitions"])
            step("partitions kept")
            watermarks, files = lake.catch_up()
            step("lake listed")
            manifest = _copy_tables(connection, directory, secret_key, watermarks, tell)
            for dataset, watermark in watermarks.items():
                _check_belongs(connection, lake_dir, dataset, watermark, claims[dataset])
        manifest.lake.update(files)
        for folder in [path for path in directory.rglob("*") if path.is_dir()]:
            flush_directory(folder)
        write_manifest(directory, manifest)
    return manifest


def key_mark(secret_key: str) -> str:
    """Tells whether two secret keys are the same, and nothing else of them."""
    return hmac.digest(secret_key.encode(), b"meshhook-errors backup", "sha256").hex()[:16] if secret_key else ""


@contextmanager
def _written(directory: Path) -> Iterator[None]:
    """`directory`, made for the owner alone; emptied again where the backup fails."""
    try:
        make_directory(directory.resolve().parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        if any(directory.iterdir()):
            raise BackupFailed(f"{directory} isn't empty. Name a new directory for each backup.")
    except OSError as error:
        raise BackupFailed(f"Can't make {directory}: {error.strerror}. Choose another place.") from error
    try:
        yield
    except BaseException as error:
        for name in ("lake", "tables"):
            shutil.rmtree(directory / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            directory.rmdir()
        if isinstance(error, OSError):
            raise BackupFailed(
                f"Can't back up {error.filename or 'the lake'} ({error.strerror}). Check space and permissions."
            ) from error
        raise


def _copy_tables(
    connection: Connection, directory: Path, secret_key: str, watermarks: dict[Dataset, int], tell: Tell
) -> Manifest:
    numbered = connection.execute(_SQL["numbered_to"]).fetchone()  # the first look
    versions = connection.execute(_SQL["versions"]).fetchone()
    assert numbered is not None and versions is not None
    identifier = system_identifier(connection)
    tally = connection.execute(_SQL["tally"]).fetchone()
    if tally is not None and tally[0] != identifier:
        raise ClusterChanged("The tally's watermark")
    return Manifest(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        schema_version=versions[0],
        postgres=versions[1],
        system_identifier=identifier,
        secret_key_mark=key_mark(secret_key),
        numbered_to=numbered[0],
        watermarks={str(dataset): watermark for dataset, watermark in watermarks.items()},
        days=sorted({day.isoformat() for dataset in DATASETS for day in partition_days(connection, dataset)}),
        tables=_write_tables(connection, directory, tell),
    )


def _write_tables(connection: Connection, directory: Path, tell: Tell) -> dict[str, Table]:
    names = known_tables(connection)
    sizes = table_bytes(connection, names)
    course, tables = Course("tables", sum(sizes.values()), tell), {}
    for name in names:
        with course.item(sizes[name]) as advance:
            tables[name] = write_table(connection, directory, name, advance)
    return tables


def _claim(connection: Connection, dataset: Dataset) -> _Claim | None:
    """Raises ClusterChanged where another cluster's transactions were claimed."""
    row = connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
    if row is None:
        return None
    if row[2] != system_identifier(connection):
        raise ClusterChanged("The mirror's last claim")
    return _Claim(row[0], row[1])


def _check_belongs(
    connection: Connection, lake_dir: Path, dataset: Dataset, watermark: int, before: _Claim | None
) -> None:
    """Whether this is the lake of this database. What was claimed before the lake was listed was begun before; what
    was listed was claimed before the snapshot. Raises LakeMismatch."""
    after = _claim(connection, dataset)
    if watermark > (0 if after is None else after.end):
        raise LakeMismatch(str(lake_dir), dataset, lake_is_ahead=True)
    if before is not None and before.start > watermark:
        raise LakeMismatch(str(lake_dir), dataset, lake_is_ahead=False)
