"""Filters as SQL: a clause of fixed column names and bound values, in either engine's dialect."""

from collections.abc import Sequence
from typing import Any

from analytics.exceptions import BadRequest
from analytics.filters import EXECUTION_COLUMNS, Filters

GROUP_COLUMNS = ("source", "error_type", "severity", "workflow_id", "project_id", "fingerprint")
_UUIDS = ("workflow_id", "project_id")


def columns_of(dataset: str) -> Sequence[str]:
    """The columns by which rows of `dataset` can be filtered and grouped."""
    return GROUP_COLUMNS if dataset == "errors" else EXECUTION_COLUMNS


def postgres_clause(filters: Filters, dataset: str = "errors") -> tuple[str, dict[str, Any]]:
    """`and …` for a Postgres statement, with its parameters."""
    clause = ""
    values: dict[str, Any] = {}
    for column, accepted in filters.active().items():
        if column in columns_of(dataset):
            text = "::text" if column == "severity" else ""
            clause += f" and {column}{text} = any(%({column})s)"
            values[column] = list(accepted)
    return clause, values


def duckdb_clause(filters: Filters, dataset: str = "errors") -> tuple[str, dict[str, Any]]:
    """`and …` for a DuckDB statement, with its parameters. Ids are text in the lake."""
    clause = ""
    values: dict[str, Any] = {}
    for column, accepted in filters.active().items():
        if column in columns_of(dataset):
            names = [f"{column}_{index}" for index in range(len(accepted))]
            clause += f" and {column} in ({', '.join('$' + name for name in names)})"
            values.update(zip(names, map(str, accepted), strict=True))
    return clause, values


def group_expression(group_by: str | None, dataset: str = "errors") -> str:
    """The expression behind a statement's `"group"` column; a typed null where nothing is to be grouped."""
    if group_by is None or group_by not in columns_of(dataset):
        return "null::text"
    return f"{group_by}::text"


def check_group(group_by: str | None) -> None:
    """Raises BadRequest for a column that can't be grouped by."""
    if group_by is not None and group_by not in GROUP_COLUMNS:
        raise BadRequest(f"group_by must be one of {', '.join(GROUP_COLUMNS)}, not {group_by!r}.")
