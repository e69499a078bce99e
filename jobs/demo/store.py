"""What workers write to MeshHook's tables: each statement commits by itself, and has when the call returns."""

from itertools import count
from types import TracebackType
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from ingest.statements import load_statements
from jobs.demo.workflows import JOB_QUEUE, Blueprint, Definition, Node, Workflow, read_definition

_SQL = load_statements(__file__)
_MOST_CONNECTIONS = 6
_LONGEST_RESPONSE = 2048  # bytes of an upstream's answer that are kept


class Store:
    """Shared by all threads; opened as a context."""

    def __init__(self, database_url: str) -> None:
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            database_url,
            kwargs={"autocommit": True, "application_name": "meshhook demo worker"},
            min_size=1,
            max_size=_MOST_CONNECTIONS,
            num_workers=1,
            timeout=10,
            open=False,
        )

    def __enter__(self) -> "Store":
        self._pool.open(wait=True, timeout=10)
        row = self._row("last_message", queue=JOB_QUEUE)
        self._messages = count(row[0] + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.close()

    def project_id(self, name: str) -> str:
        """Made where it is missing."""
        self._run("project", name=name)
        found: str = self._row("project_id", name=name)[0]
        return found

    def published(self, project: str, slug: str) -> Workflow | None:
        """The version that a new run is of; None for an unknown slug."""
        row = self._row_or_none("published", project=project, slug=slug)
        return None if row is None else Workflow(row[0], row[1], row[2], row[3], *read_definition(row[4]))

    def ensure(self, blueprint: Blueprint) -> None:
        """Whatever an earlier play left behind, the version that works is the published one."""
        row = self._row_or_none("published", project=blueprint.project, slug=blueprint.slug)
        if row is None or row[4] != blueprint.definition:
            self.publish(blueprint, blueprint.definition)

    def publish(self, blueprint: Blueprint, definition: Definition) -> None:
        """Deploy a version: new runs are of it, those under way stay with theirs."""
        of = {"project_id": self.project_id(blueprint.project), "slug": blueprint.slug}
        row = self._row("publish", **of, name=blueprint.name, definition=Jsonb(definition))
        self._run("archive", **of, version=row[0])

    def start_run(self, workflow: Workflow) -> str:
        """Answers the run's id."""
        run_id: str = self._row("start_run", project_id=workflow.project_id, workflow_id=workflow.id)[0]
        return run_id

    def run_created(self, run_id: str, headers: dict[str, str], body: Any) -> None:
        self._event(run_id, "run_created", headers=headers, body=body)

    def step_started(self, run_id: str, node: Node) -> None:
        self._event(run_id, "step_started", node=node.told)

    def http_attempted(self, run_id: str, node: Node, status: int | None) -> None:
        """`status` is None where no answer came."""
        self._event(run_id, "http_attempted", node=node.told, status=status)

    def step_succeeded(self, run_id: str, node: Node, *, response: str | None, output: Any) -> None:
        """An HTTP step has a response, every other one an output."""
        result = {"output": output} if response is None else {"response": response[:_LONGEST_RESPONSE]}
        self._event(run_id, "step_succeeded", node=node.told, next=node.next, **result)

    def step_failed(self, run_id: str, node: Node, attempt: int, error: str) -> None:
        self._event(run_id, "step_failed", node=node.told, attempt=attempt, error=error)

    def run_completed(self, run_id: str, reason: str | None) -> None:
        self._event(run_id, "run_completed", **({} if reason is None else {"reason": reason}))

    def set_status(self, run_id: str, status: str) -> None:
        """running or paused."""
        self._run("set_status", run_id=run_id, status=status)

    def end_run(self, run_id: str, status: str) -> None:
        """succeeded, failed or canceled."""
        self._run("end_run", run_id=run_id, status=status)

    def job_enqueued(self, run_id: str) -> int:
        """Answers the message's number in the queue."""
        message: int = next(self._messages)
        self._run("job_enqueued", queue=JOB_QUEUE, message=message, run_id=run_id)
        return message

    def job_started(self, message: int, attempt: int) -> None:
        self._run("job_started", queue=JOB_QUEUE, message=message, attempt=attempt)

    def job_completed(self, message: int) -> None:
        self._run("job_completed", queue=JOB_QUEUE, message=message)

    def job_failed(self, message: int, error: str, stack: str) -> None:
        self._run("job_failed", queue=JOB_QUEUE, message=message, error=error, stack=stack)

    def job_dead(self, message: int) -> None:
        """It is in the dead-letter queue from now on."""
        self._run("job_dead", queue=JOB_QUEUE, message=message)

    def _event(self, run_id: str, type_: str, **payload: Any) -> None:
        self._run("event", run_id=run_id, type=type_, payload=Jsonb(payload))

    def _run(self, name: str, /, **values: Any) -> None:
        with self._pool.connection() as connection:
            connection.execute(_SQL[name], values)

    def _row_or_none(self, name: str, /, **values: Any) -> tuple[Any, ...] | None:
        with self._pool.connection() as connection:
            return connection.execute(_SQL[name], values).fetchone()

    def _row(self, name: str, /, **values: Any) -> tuple[Any, ...]:
        row = self._row_or_none(name, **values)
        assert row is not None
        return row
