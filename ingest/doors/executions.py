"""Trials: `POST /api/executions` takes one report of finished and failed executions, an array, or one a line."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ingest.doors.batch import Batch
from ingest.doors.documents import Unreadable
from ingest.doors.gate import Gate, Owner, Visit
from ingest.doors.problems import Answer
from ingest.exceptions import InvalidEvent
from ingest.hall import moment_of
from ingest.models import ExecutionReport
from ingest.rows import Row, execution_row

PATH = "/api/executions"
_FUTURE = timedelta(minutes=5)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_Count = Annotated[int, Field(ge=0, le=10**9, strict=True)]  # more in one report is a mistake that would ruin a rate


def _moment(value: Any) -> datetime | None:
    """As errors have it: ISO 8601, or epoch seconds."""
    if value is None:
        return None
    moment = moment_of(value)
    if moment is None:
        raise ValueError("must be ISO 8601, for example 2026-11-24T12:00:00Z, or epoch seconds")
    return moment


class Report(BaseModel):
    """What a sender says of its trials."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"source": "worker", "finished": 250, "failed": 3}]}
    )

    report_id: UUID = Field(default_factory=uuid4)
    timestamp: Annotated[datetime | None, BeforeValidator(_moment)] = None
    source: Literal["worker", "webhook", "system"] = "worker"
    project_id: UUID | None = None
    workflow_id: UUID | None = None
    finished: _Count
    failed: _Count = 0

    @model_validator(mode="after")
    def _possible(self) -> "Report":
        if self.failed > self.finished:
            raise ValueError("failed can't be larger than finished")
        return self

    def report(self, received_at: datetime) -> ExecutionReport:
        """The report, with the time of receipt where none was given. Raises ValueError for an absurd time."""
        timestamp = self.timestamp or received_at
        if not _EARLIEST <= timestamp <= received_at + _FUTURE:
            raise ValueError("timestamp is before 2000 or in the future")
        return ExecutionReport(
            self.report_id,
            min(timestamp, received_at),
            self.source,
            self.project_id,
            self.workflow_id,
            self.finished,
            self.failed,
        )


async def take_executions(visit: Visit, gate: Gate) -> Answer:
    """202 `{"accepted", "duplicates", "rejected": [{"index", "error"}]}`, sent after the commit. Raises Problem."""
    items, owner, _ = await gate.admit(visit)
    received_at = datetime.now(UTC)
    batch = Batch(len(items))
    for index, item in enumerate(items):
        try:
            batch.take(index, _row(item, owner, received_at))
        except (InvalidEvent, ValueError) as error:
            batch.refuse(index, _reason(error))
    return await batch.commit(gate)


def _row(item: Any, owner: Owner, received_at: datetime) -> Row:
    if isinstance(item, Unreadable):
        raise InvalidEvent(item.reason)
    if not isinstance(item, dict):
        raise InvalidEvent("A report is a JSON object.")
    return execution_row(Report.model_validate(owner.own(item)).report(received_at))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        says = problem["msg"].removeprefix("Value error, ")
        return f"{field}: {says}" if field else says
    return str(error)
