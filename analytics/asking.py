"""What a reader may ask for in a URL: filters, moments, intervals. A mistake is refused, never left aside: a misspelt
filter that narrows nothing down would answer another question than the one that was asked."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import AfterValidator, BeforeValidator, Field

from analytics.exceptions import BadRequest
from analytics.filters import Filters
from ingest.plain_text import plain_line

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
FILTERS = ("source", "error_type", "severity", "workflow_id", "project_id", "fingerprint")
LONGEST_INTERVAL_DAYS = 366

_INTERVAL = re.compile(r"([0-9]{1,6})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# A + that nobody escaped arrives as a space.
_LOST_PLUS = re.compile(r"(\d{2}:\d{2}\S*) (\d{2}:?\d{2})")

Source = Literal["worker", "webhook", "system"]
Severity = Literal["low", "medium", "high"]
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain_line)]


def _with_plus(value: object) -> object:
    return _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


def in_bounds(moment: datetime) -> datetime:
    """The moment in UTC, which one without a zone is taken for. Raises ValueError outside the years that can be."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not EARLIEST <= aware <= LATEST:  # compared before it is converted: that may leave the calendar
        raise ValueError(f"A moment lies between {EARLIEST.year} and {LATEST.year}.")
    return aware.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_with_plus), AfterValidator(in_bounds)]


def asked_filters(
    source: Annotated[list[Source] | None, Query()] = None,
    error_type: Annotated[list[Line] | None, Query()] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    workflow_id: Annotated[list[UUID] | None, Query()] = None,
    project_id: Annotated[list[UUID] | None, Query()] = None,
    fingerprint: Annotated[list[Line] | None, Query()] = None,
) -> Filters:
    """A parameter may be repeated: any of its values is accepted."""
    return Filters(
        tuple(source or ()),
        tuple(value.lower() for value in error_type or ()),  # as they are stored
        tuple(severity or ()),
        tuple(workflow_id or ()),
        tuple(project_id or ()),
        tuple(fingerprint or ()),
    )


def parameters(*single: str, repeated: Sequence[str] = ()) -> Callable[[Request], None]:
    """A dependency that refuses every other parameter, and one of `single` that comes twice."""
    known = (*repeated, *single)

    def check(request: Request) -> None:
        given = [name for name, _ in request.query_params.multi_items()]
        for name in given:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise BadRequest(f"There is no parameter {name[:50]!r} here: {takes}.")
            if name in single and given.count(name) > 1:
                raise BadRequest(f"The parameter {name} stands here {given.count(name)} times. Give it once.")

    return check


def interval_seconds(interval: str) -> int:
    """Seconds of an interval such as 10s, 5m, 1h or 1d. Raises BadRequest."""
    match = _INTERVAL.fullmatch(interval)
    if match is None:
        raise BadRequest(f"The interval {interval[:50]!r} isn't understood. Use for example 10s, 5m, 1h or 1d.")
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    if seconds > LONGEST_INTERVAL_DAYS * 86_400:
        raise BadRequest(f"The interval {interval} is longer than {LONGEST_INTERVAL_DAYS}d. Choose a shorter one.")
    return seconds
