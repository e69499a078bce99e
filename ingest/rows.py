"""Rows on their way to Postgres: an id, and a line in the text format of `COPY … FROM stdin`.

The same line goes into the disk spool while Postgres is away. Column orders are those of lane.sql.

A **counted** row is an error without its details. Rows of one transaction that are alike in all that counts are written
as one, which says for how many it stands.
"""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple
from uuid import UUID

from ingest.models import ErrorEvent, ExecutionReport

Fact = Literal["errors", "executions"]
FACTS: tuple[Fact, ...] = ("errors", "executions")

_NULL = "\\N"
_TO_ESCAPE = re.compile(r"[\\\t\n\r]").search
_BEGINS_WITH_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\t").match
_COUNTED = b'{"counted":true}'  # the metadata of a counted row
_COLUMNS = 12  # of an error's line
_IS_COUNTED = re.compile(rb'(?:[^\t]*+\t){6}\{"counted":true\}\t(?:[^\t]*+\t){4}[1-9][0-9]{0,17}\n').fullmatch
_BUCKET = len("2026-11-24T12:00:0")  # the timestamp's beginning that names ten seconds
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Row(NamedTuple):
    """`id` makes a resend recognisable; `line` ends with a newline and holds no other."""

    fact: Fact
    id: str
    line: bytes
    is_counted: bool = False


def error_row(event: ErrorEvent) -> Row:
    """The row of an error."""
    return Row("errors", event.error_id, _error_line(event, event.metadata, event.run_id))


def counted_row(event: ErrorEvent) -> Row:
    """The row of an error of which only the count is kept: its time, dimensions and group."""
    return Row("errors", event.error_id, _error_line(event, _COUNTED, None), is_counted=True)


def _error_line(event: ErrorEvent, metadata: bytes, run_id: str | None) -> bytes:
    return (
        # Source, type and severity are words that the hall has checked.
        f"{event.error_id}\t{event.timestamp.isoformat()}\t{event.source}\t{event.error_type}\t{event.severity}\t"
        f"{event.workflow_id or _NULL}\t".encode()
        # JSON escapes control characters itself: a backslash is all that COPY would misread.
        + metadata.replace(b"\\", b"\\\\")
        + f"\t{event.project_id or _NULL}\t{run_id or _NULL}\t".encode()
        + f"{_text(event.title)}\t{_text(event.fingerprint)}\t{event.stands_for}\n".encode()
    )


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
    row_id = line[:36].decode() if _BEGINS_WITH_ID(line) else "damaged"
    if fact == "errors" and line.count(b"\t") == _COLUMNS - 2:
        line = line.removesuffix(b"\n") + b"\t1\n"  # spooled by a version in which each row stood for one error
    return Row(fact, row_id, line, _IS_COUNTED(line) is not None)


def lines_of(rows: Iterable[Row]) -> list[bytes]:
    """What is written for `rows`: counted ones that are alike as one line, which stands for all of them."""
    lines: list[bytes] = []
    counted: dict[tuple[bytes, ...], tuple[bytes, int]] = {}
    for row in rows:
        if not row.is_counted:
            lines.append(row.line)
            continue
        fields = row.line.split(b"\t")
        alike = (fields[1][:_BUCKET], *fields[2:6], fields[7], fields[10])
        first, number = counted.get(alike, (row.line, 0))
        counted[alike] = (first, number + int(fields[11]))
    lines += [b"%s\t%d\n" % (first[: first.rindex(b"\t")], number) for first, number in counted.values()]
    return lines


def _text(value: str) -> str:
    return value.translate(_ESCAPES) if _TO_ESCAPE(value) else value


def _id(value: UUID | None) -> str:
    return _NULL if value is None else str(value)
