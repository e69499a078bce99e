"""What questions are about: the views `errors` and `executions`, old and new files read as today's, with their day."""

from pathlib import Path

import polars as pl

from analytics.evolution import parts_in_sql
from analytics.lake import COLUMNS, DATASETS, Dataset, list_parts
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__)
_TYPES: dict[str, str] = {"String": "varchar", "Int64": "bigint", "Datetime": "timestamptz"}
_BEFORE: dict[Dataset, dict[str, str]] = {"errors": {"stands_for": "1::bigint"}, "executions": {}}


def views(lake_dir: Path) -> tuple[dict[str, str], list[str]]:
    """The query behind each view, over the files that stand now, and the paths of these files."""
    queries: dict[str, str] = {}
    listed: list[str] = []
    for dataset in DATASETS:
        paths = list_parts(lake_dir, dataset).paths()
        queries[dataset] = files_in_sql(dataset, paths)
        listed += paths
    return queries, listed


def files_in_sql(dataset: Dataset, paths: list[str]) -> str:
    """A query for all rows of the files at `paths`; without any, for no row of the same columns."""
    if not paths:
        return empty_in_sql(dataset)
    read = parts_in_sql(dataset, paths)[1]
    halves = []
    for name, is_earlier in (("earlier", True), ("paths", False)):
        if files := read.get(name):
            halves.append(_filled("files", dataset, ", ".join(map(text_in_sql, files)), is_earlier=is_earlier))
    return " union all ".join(halves)


def glob_in_sql(dataset: Dataset, pattern: str, *, has_earlier: bool) -> str:
    """The same for whatever files match `pattern` when it is asked."""
    return _filled("mixed" if has_earlier else "files", dataset, text_in_sql(pattern), is_earlier=False)


def empty_in_sql(dataset: Dataset) -> str:
    """No rows, of the right columns."""
    columns = [f'null::{_type_of(kind)} as "{name}"' for name, kind in COLUMNS[dataset].items()]
    return filled(_SQL["nothing"], columns=", ".join([*columns, "null::date as day"])).decode()


def text_in_sql(text: str) -> str:
    """A text as it is written in a statement."""
    return "'" + text.replace("'", "''") + "'"


def earlier_columns(dataset: Dataset) -> dict[str, str]:
    """What the columns that came later say in files that lack them."""
    return _BEFORE[dataset]


def _filled(statement: str, dataset: Dataset, files: str, *, is_earlier: bool) -> str:
    columns = [f'"{name}"' for name in COLUMNS[dataset]]
    for name, value in earlier_columns(dataset).items():
        if is_earlier:
            columns[columns.index(f'"{name}"')] = f'{value} as "{name}"'
        elif statement == "mixed":
            columns[columns.index(f'"{name}"')] = f'coalesce("{name}", {value}) as "{name}"'
    return filled(_SQL[statement], columns=", ".join([*columns, "day"]), files=files).decode()


def _type_of(kind: pl.DataType | type[pl.DataType]) -> str:
    return _TYPES[kind.base_type().__name__]
