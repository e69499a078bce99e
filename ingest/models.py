"""The two facts as they travel from the hall to Postgres, and their vocabulary."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

SOURCES = ("worker", "webhook", "system")
ERROR_TYPES = ("execution", "input", "system")  # open to more
SEVERITIES = ("low", "medium", "high")

MAX_EVENT_BYTES = 256 * 1024
MAX_TITLE = 200


class ErrorEvent(NamedTuple):
    """One error, masked, classified and grouped: a row of `error_metrics` without what Postgres adds.

    `metadata` is the masked JSON document, already serialised (at most MAX_EVENT_BYTES). Well-known keys:
    message, exception {type, module, value}, frames [{file, line, function, module, in_app}], stack,
    http_status, node, attempt, logger, tags. Ids are UUIDs in their usual text form, lower case. `stands_for` is how
    many errors it is.
    """

    error_id: str
    timestamp: datetime
    source: str
    error_type: str
    severity: str
    workflow_id: str | None
    metadata: bytes
    project_id: str | None
    run_id: str | None
    title: str
    fingerprint: str
    stands_for: int = 1


class ExecutionReport(NamedTuple):
    """Trials: `finished` executions, of which `failed` failed; each execution counted once."""

    report_id: UUID
    timestamp: datetime
    source: str
    project_id: UUID | None
    workflow_id: UUID | None
    finished: int
    failed: int


JsonObject = dict[str, Any]
