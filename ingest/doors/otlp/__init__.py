"""OTLP over HTTP: `POST /v1/logs`, where OpenTelemetry's SDKs and its Collector send log records.

Records of severity ERROR and above, and those with an exception of any severity, become errors. The others are
accepted and counted, so that a service can send all of its logs here and elsewhere alike.
"""

from datetime import UTC, datetime
from uuid import UUID

from ingest.access import bearer
from ingest.doors.batch import commit_rows, over_limit
from ingest.doors.gate import Gate, Owner, Turns, Visit
from ingest.doors.otlp.answers import JSON, Encoding, encoding_of, failed, taken
from ingest.doors.otlp.events import PROJECT, raw_event
from ingest.doors.otlp.logs import Identities, LogRecord, Reading, Refused
from ingest.doors.problems import Answer, Problem
from ingest.doors.room import Share
from ingest.doors.shapes import text
from ingest.exceptions import InvalidEvent
from ingest.keys import Grant
from ingest.rows import Row

PATH = "/v1/logs"
_MOST_REASONS = 3
_MOST_PROJECTS = 100  # named in one request
_LONGEST_REFERENCE = 200


async def take_logs(visit: Visit, gate: Gate) -> Answer:
    """200 with an ExportLogsServiceResponse, after the commit; a google.rpc.Status for what fails. Never raises
    Problem."""
    encoding = encoding_of(visit.headers.get(b"content-type", b""))
    try:
        if encoding is None:
            raise Problem(415, "Send Content-Type: application/x-protobuf or application/json.")  # noqa: TRY301
        return await _taken(visit, gate, encoding)
    except Problem as problem:
        return failed(encoding or JSON, problem)


async def _taken(visit: Visit, gate: Gate, encoding: Encoding) -> Answer:
    grant = await gate.access.require(bearer(visit.header(b"authorization")), "ingest")
    owner = await gate.owner(grant, visit.parameter("project"))
    body = await gate.body(visit)
    intake, turns = _Intake(gate, grant, owner, visit.share), Turns(gate.writer)
    for index, reading in enumerate(encoding.read(body, gate.max_batch)):
        await turns.pass_on()
        await intake.add(index, reading)
    return await intake.commit(encoding)


class _Intake:
    """The records of one request: each is kept, counted or refused by itself."""

    def __init__(self, gate: Gate, grant: Grant, owner: Owner, share: Share) -> None:
        self._gate = gate
        self._grant = grant
        self._owner = owner
        self._share = share
        self._toll = gate.toll(grant)
        self._received_at = datetime.now(UTC)
        self._identities = Identities()
        self._projects: dict[str, Owner | Problem] = {}
        self._rows: list[Row] = []
        self._positions: list[int] = []
        self._refused: dict[int, str] = {}
        self._below = 0
        self._unreadable = 0

    async def add(self, index: int, reading: Reading) -> None:
        """Take the record at `index` of the request. Raises Problem: 503 where its project can't be looked up, 429
        where there is no room: what a resource says once stands in each of its errors."""
        if reading is None:
            self._below += 1
        elif isinstance(reading, Refused):
            self._refused[index] = reading.reason
            self._unreadable += 1
        else:
            try:
                row = await self._row(reading)
            except InvalidEvent as error:
                self._refused[index] = str(error)
            else:
                self._share.take(len(row.line))
                self._rows.append(row)
                self._positions.append(index)

    async def commit(self, encoding: Encoding) -> Answer:
        """Make the errors durable and say how many records were refused. Raises Problem: 400 where nothing at all
        could be read, 503 when neither Postgres nor the spool takes them."""
        if self._unreadable and self._unreadable == len(self._refused) + self._below + len(self._rows):
            raise Problem(400, next(iter(self._refused.values())))
        if self._rows:
            outcome = await commit_rows(self._gate, self._rows)
            self._refused |= {self._positions[index]: reason for index, reason in outcome.rejected.items()}
        counts = self._gate.counts
        counts["otlp_records", "kept"] += len(self._rows)
        counts["otlp_records", "below_error"] += self._below
        counts["otlp_records", "refused"] += len(self._refused)
        if self._toll.over:
            raise over_limit(self._toll, {})
        reasons = [f"Record {index}: {reason}" for index, reason in sorted(self._refused.items())[:_MOST_REASONS]]
        return taken(encoding, len(self._refused), " ".join(reasons))

    async def _row(self, record: LogRecord) -> Row:
        """Raises InvalidEvent."""
        raw = raw_event(record, self._received_at)
        project = await self._project(record, raw["metadata"])
        raw["error_id"] = self._identities.identify(record, project)
        raw["project_id"] = None if project is None else str(project)
        return await self._gate.row(raw, self._received_at, self._toll, self._owner)

    async def _project(self, record: LogRecord, metadata: dict[str, object]) -> UUID | None:
        """Whose the record is: as it says itself, else its resource, else the request. A name that nothing has is kept
        aside. Raises InvalidEvent for another project than the key's."""
        reference = text(record.attributes.get(PROJECT)) or text(record.origin.resource.get(PROJECT))
        if reference is None:
            return self._owner.project_id
        found = self._projects.get(reference)
        if found is None:
            found = self._projects[reference] = await self._named(reference)
        if isinstance(found, Owner):
            return found.project_id
        if found.status == 404:
            metadata["project_id_given"] = reference[:_LONGEST_REFERENCE]
            return self._owner.project_id
        raise InvalidEvent(f"{PROJECT}: {found.detail}")

    async def _named(self, reference: str) -> Owner | Problem:
        if len(self._projects) >= _MOST_PROJECTS:
            return Problem(403, f"more than {_MOST_PROJECTS} projects in one request.")
        try:
            return await self._gate.owner(self._grant, reference)
        except Problem as problem:
            if problem.status in (403, 404):
                return problem
            raise
