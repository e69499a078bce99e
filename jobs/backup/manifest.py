"""The list of what a backup holds: the last file written, and the first one read."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobs.exceptions import JobError
from jobs.publishing import flush_directory

NAME = "manifest.json"
FORMAT = 1
_BLOCK = 1024 * 1024


class BackupFailed(JobError):
    """A backup can't be made; what was begun isn't one."""


class BackupRefused(JobError):
    """A backup can't be restored as it is, or not here; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One file of a backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Table(Stored):
    """One table, in `tables/NAME.csv.gz`."""

    rows: int
    columns: list[str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and what must be known to go on from it."""

    made_at: str  # ISO 8601, UTC
    schema_version: int
    postgres: str
    system_identifier: str
    secret_key_mark: str  # tells whether another key is the same; empty where none was set
    numbered_to: int  # no row has this transaction number or a greater one
    watermarks: dict[str, int]  # of the lake's datasets: from there on the rows are in the tables alone
    days: list[str]  # of receipt, that had a partition
    tables: dict[str, Table]  # in the order in which they are loaded
    lake: dict[str, Stored] = field(default_factory=dict)  # by the path below `lake/`
    format: int = FORMAT

    @property
    def lake_bytes(self) -> int:
        """What the files of the lake take."""
        return sum(file.bytes for file in self.lake.values())


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Make a backup complete, at once and durably."""
    content = asdict(manifest)
    beside = directory / f"{NAME}.tmp"
    with beside.open("w", encoding="utf-8") as file:
        json.dump({**content, "sha256": _digest(content)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(directory / NAME)
    flush_directory(directory)


def read_manifest(directory: Path) -> Manifest:
    """Raises BackupRefused for what isn't a whole backup of a format that is known."""
    path = directory / NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("sha256")
    except FileNotFoundError:
        raise BackupRefused(
            f"{directory} has no {NAME}: it isn't a backup, or one that wasn't finished. Choose another."
        ) from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BackupRefused(f"{path} can't be read ({type(error).__name__}). Choose another backup.") from error
    if digest != _digest(content):
        raise BackupRefused(f"{path} was changed or damaged after it was written. Choose another backup.")
    if content.get("format") != FORMAT:
        raise BackupRefused(f"{directory} was made by a newer meshhook-errors. Update this one, then restore.")
    tables = {name: Table(**table) for name, table in content.pop("tables").items()}
    lake = {name: Stored(**file) for name, file in content.pop("lake").items()}
    return Manifest(**content, tables=tables, lake=lake)


def table_path(directory: Path, table: str) -> Path:
    """Where the rows of a table stand."""
    return directory / "tables" / f"{table}.csv.gz"


def lake_path(directory: Path, name: str) -> Path:
    """Where a file of the lake stands."""
    return directory / "lake" / name


def check_files(directory: Path, manifest: Manifest) -> None:
    """Read every file. Raises BackupRefused where one is missing or isn't what was written."""
    files: dict[Path, Stored] = {table_path(directory, name): table for name, table in manifest.tables.items()}
    files |= {lake_path(directory, name): stored for name, stored in manifest.lake.items()}
    for path, stored in files.items():
        try:
            found = digest_of(path)
        except OSError as error:
            raise BackupRefused(f"{path} can't be read: {error.strerror}. Choose another backup.") from error
        if found != stored.sha256:
            raise BackupRefused(
                f"{path} isn't what was backed up (its SHA-256 differs). Nothing was restored. Choose another backup."
            )


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
