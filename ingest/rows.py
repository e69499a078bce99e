"""Rows on their way to Postgres: an id, and a line in the text format of `COPY … FROM stdin`.

The same line goes into the disk spool while Postgres is away. Column orders are those of writer.sql.
"""

import re
from typing import Literal, NamedTuple
from uuid import UUID

from ingest.models import ErrorEvent, ExecutionReport

Fact = Literal["errors", "executions"]
FACTS: tuple[Fact, ...] = ("errors", "executions")

_NULL = "\\N"
_TO_ESCAPE = re.compile(r"[\\\t\n\r]").search
_BEGINS_WITH_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\t").match
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Row(NamedTuple):
    """`id` makes a resend recognisable; `line` ends with a newline and holds no other."""

    fact: Fact
    id: str
    line: bytes


def error_row(event: ErrorEvent) -> Row:
    """The row of an error."""
    line = (
        # Source, type and severity are words that the hall has checked.
        f"{event.error_id}\t{event.timestamp.isoformat()}\t{event.source}\t{event.error_type}\t{event.severity}\t"
        f"{event.workflow_id or _NULL}\t".encode()
        # JSON escapes control characters itself: a backslash is all that COPY would misread.
        + event.metadata.replace(b"\\", b"\\\\")
        + f"\t{event.project_id or _NULL}\t{event.run_id or _NULL}\t".encode()
        + f"{_text(event.title)}\t{_text(event.fingerprint)}\n".encode()
    )
    return Row("errors", event.error_id, line)


def execution_row(report: ExecutionReport) -> Row:
    """The row of a report of trials."""
    report_id = str(report.report_id)
    line = (
        f"{report_id}\t{report.timestamp.isoformat()}\t{_text(report.source)}\t{_id(report.project_id)}\t"
        f"{_id(report.workflow_id)}\t{report.finished}\t{report.failed}\n"
    )
    return Row("executions", report_id, line.encode())


def row_of_line(fact: Fact, line: bytes) -> Row:
    """The row that `line` was made from. A damaged line gets an id that Postgres refuses, so that it is set aside."""
    return Row(fact, line[:36].decode() if _BEGINS_WITH_ID(line) else "damaged", line)


def _text(value: str) -> str:
    return value.translate(_ESCAPES) if _TO_ESCAPE(value) else value


def _id(value: UUID | None) -> str:
    return _NULL if value is None else str(value)
