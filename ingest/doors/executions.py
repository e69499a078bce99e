"""Trials: `POST /api/executions` takes one report of finished and failed executions, an array, or one a line."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.doors.batch import Batch
from ingest.doors.bodies import Unreadable
from ingest.doors.gate import Gate
from ingest.doors.problems import Answer
from ingest.models import ExecutionReport
from ingest.rows import Row, execution_row

PATH = "/api/executions"
_FUTURE = timedelta(minutes=5)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_Count = Annotated[int, Field(ge=0, le=2**53)]


class Report(BaseModel):
    """What a sender says of its trials."""

    model_config = ConfigDict(extra="ignore")

    report_id: UUID = Field(default_factory=uuid4)
    timestamp: AwareDatetime | None = None
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


async def take_executions(items: list[Any], gate: Gate) -> Answer:
    """202 `{"accepted", "duplicates", "rejected": [{"index", "error"}]}`, sent after the commit. Raises Problem."""
    received_at = datetime.now(UTC)
    batch = Batch(len(items))
    for index, item in enumerate(items):
        if isinstance(item, Unreadable):
            batch.refuse(index, item.reason)
            continue
        try:
            batch.take(index, _row(item, received_at))
        except ValueError as error:
            batch.refuse(index, _reason(error))
    return await batch.commit(gate)


def _row(item: Any, received_at: datetime) -> Row:
    return execution_row(Report.model_validate(item).report(received_at))


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        return f"{field}: {problem['msg']}" if field else problem["msg"]
    return str(error)
