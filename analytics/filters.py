"""What a reader narrows down by: the same names in the API, on the pages and in alert rules."""

from dataclasses import dataclass, fields
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Filters:
    """Each field holds the accepted values; an empty one accepts everything."""

    source: tuple[str, ...] = ()
    error_type: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    workflow_id: tuple[UUID, ...] = ()
    project_id: tuple[UUID, ...] = ()
    fingerprint: tuple[str, ...] = ()

    def active(self) -> dict[str, tuple[object, ...]]:
        """The fields that narrow anything down, by column name."""
        return {field.name: values for field in fields(self) if (values := getattr(self, field.name))}


# Executions know neither type, severity nor fingerprint: a filter on those narrows errors alone.
EXECUTION_COLUMNS = ("source", "workflow_id", "project_id")
