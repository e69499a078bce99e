"""`catalog.duckdb` beside the lake's files: the views and nothing else, for whoever has a DuckDB and no installation.

It is written beside and renamed into place, so that a reader has the old one or the new one, and it holds no rows, so
that it needn't change when rows come. It names the lake's directory in full: DuckDB takes a relative path for one
below the directory that its user happens to be in.
"""

import contextlib
import os
import secrets
from pathlib import Path

import duckdb

from analytics.evolution import parts_in_sql
from analytics.exceptions import AnalyticsError
from analytics.lake import DATASETS, SCHEMA_VERSION, Dataset, dataset_dir, list_parts
from analytics.sandbox.views import empty_in_sql, glob_in_sql, text_in_sql
from ingest.statements import filled, load_statements

NAME = "catalog.duckdb"

_SQL = load_statements(__file__)


class CatalogFailed(AnalyticsError):
    """The catalogue can't be written; the message says why."""


def write_catalog(lake_dir: Path) -> Path:
    """Write it anew, and answer where it stands. Raises CatalogFailed."""
    lake_dir = lake_dir.resolve()
    path = lake_dir / NAME
    beside = lake_dir / f".{NAME}.{secrets.token_hex(8)}.tmp"
    try:
        lake_dir.mkdir(parents=True, exist_ok=True)
        _fill(beside, lake_dir)
        beside.chmod(0o640)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise CatalogFailed(f"Can't write {path}: {reason}. Check space and permissions.") from error
    finally:
        for leftover in (beside, beside.with_name(f"{beside.name}.wal")):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)
    return path


def refresh_catalog(lake_dir: Path) -> bool:
    """Write it anew where it is missing, was written by another version or for another directory, or a dataset has got
    its first file since. Answers whether it did. Raises CatalogFailed."""
    if _edition_of(lake_dir / NAME) == _edition(lake_dir.resolve()):
        return False
    write_catalog(lake_dir)
    return True


def _edition_of(path: Path) -> str | None:
    """What the catalogue at `path` was written for; None for one that isn't there, or can't be read."""
    try:
        with duckdb.connect(str(path), read_only=True) as known:
            rows = known.execute(_SQL["edition"].decode()).fetchall()
    except (OSError, duckdb.Error):
        return None
    return str(rows[0][0]) if rows else None


def _fill(path: Path, lake_dir: Path) -> None:
    with duckdb.connect(str(path)) as catalog:
        for dataset in DATASETS:
            statement = filled(_SQL["view"], name=dataset, query=_query(lake_dir, dataset))
            catalog.execute(statement.decode())
        edition = text_in_sql(_edition(lake_dir))
        catalog.execute(filled(_SQL["keep_edition"], edition=edition).decode())


def _query(lake_dir: Path, dataset: Dataset) -> str:
    paths = list_parts(lake_dir, dataset).paths()
    if not paths:
        return empty_in_sql(dataset)
    return glob_in_sql(
        dataset, f"{dataset_dir(lake_dir, dataset)}/day=*/*.parquet", has_earlier=_has_earlier(dataset, paths)
    )


def _has_earlier(dataset: Dataset, paths: list[str]) -> bool:
    return "earlier" in parts_in_sql(dataset, paths)[1]


def _edition(lake_dir: Path) -> str:
    """What the catalogue was written for."""
    states = []
    for dataset in DATASETS:
        paths = list_parts(lake_dir, dataset).paths()
        states.append(f"{dataset}:{'-' if not paths else 'mixed' if _has_earlier(dataset, paths) else 'today'}")
    return f"version {SCHEMA_VERSION} of {lake_dir}, {', '.join(states)}"
