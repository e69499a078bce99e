"""The reading half of the API: counts and events, filtered, complete to the second."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel

from analytics.events import error_by_id
from analytics.exceptions import BadRequest, NotFound
from analytics.filters import Filters
from analytics.freshness import complete_to
from analytics.queries import error_series, latest_errors, whole_buckets
from analytics.store import Store

DEFAULT_RANGE = timedelta(hours=24)
MOST_EVENTS = 1_000
_INTERVAL = re.compile(r"^(\d{1,6})([smhd])$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Bucket(BaseModel):
    """Counts of one interval, of one group where `group_by` was asked for."""

    bucket: datetime
    group: str | None = None
    errors: int
    finished: int
    failed: int
    error_rate: float | None


class Metrics(BaseModel):
    """Counts per interval. `error_rate` is failed ÷ finished, null where nothing finished: unknown."""

    interval: str
    buckets: list[Bucket]
    complete_to: datetime


class Events(BaseModel):
    """A page of errors, newest first; `next_cursor` is null on the last one."""

    events: list[dict[str, Any]]
    next_cursor: str | None


def asked_filters(
    source: Annotated[list[str] | None, Query()] = None,
    error_type: Annotated[list[str] | None, Query()] = None,
    severity: Annotated[list[str] | None, Query()] = None,
    workflow_id: Annotated[list[UUID] | None, Query()] = None,
    project_id: Annotated[list[UUID] | None, Query()] = None,
    fingerprint: Annotated[list[str] | None, Query()] = None,
) -> Filters:
    """A parameter may be repeated: any of its values is accepted. Raises BadRequest."""
    if any("\0" in value for values in (source, error_type, severity, fingerprint) for value in values or ()):
        raise BadRequest("A filter's value can't contain a NUL character.")
    return Filters(
        tuple(source or ()),
        tuple(error_type or ()),
        tuple(severity or ()),
        tuple(workflow_id or ()),
        tuple(project_id or ()),
        tuple(fingerprint or ()),
    )


def reading_router(authorise_read: Callable[..., Any]) -> APIRouter:
    """The routes, each behind `authorise_read`."""
    router = APIRouter(prefix="/api", dependencies=[Depends(authorise_read)], tags=["reading"])
    router.add_api_route("/error-metrics", get_error_metrics, methods=["GET"], response_model=Metrics)
    router.add_api_route("/error-events", get_error_events, methods=["GET"], response_model=Events)
    router.add_api_route("/error-events/{error_id}", get_error_event, methods=["GET"])
    return router


def get_error_metrics(
    request: Request,
    filters: Annotated[Filters, Depends(asked_filters)],
    start: AwareDatetime | None = None,
    end: AwareDatetime | None = None,
    interval: str = "5m",
    group_by: str | None = None,
) -> Metrics:
    """Errors and trials per interval, by default of the last 24 hours. The range is widened to whole intervals."""
    store: Store = request.app.state.store
    seconds = interval_seconds(interval)
    now = datetime.now(UTC)
    first, last = whole_buckets(*_range(start, end, now), seconds)
    with store.connection() as connection:
        complete = complete_to(connection, now)
    frame = error_series(store, first, last, seconds, filters, group_by)
    if group_by is not None:
        frame = frame.rename({group_by: "group"})
    return Metrics(interval=interval, buckets=[Bucket(**row) for row in frame.to_dicts()], complete_to=complete)


def get_error_events(
    request: Request,
    filters: Annotated[Filters, Depends(asked_filters)],
    start: AwareDatetime | None = None,
    end: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
    cursor: str | None = None,
) -> Events:
    """Errors, newest first, by default of the last 24 hours. Pass `next_cursor` as `cursor` for the next page."""
    first, last = _range(start, end, datetime.now(UTC) + timedelta(seconds=1))
    if last <= first:
        raise BadRequest("The end of the range must be after its start.")
    before = None if cursor is None else _position(cursor)
    frame = latest_errors(request.app.state.store, first, last, filters, limit + 1, before=before, with_metadata=True)
    events = [row | {"metadata": json.loads(row["metadata"])} for row in frame.head(limit).to_dicts()]
    return Events(events=events, next_cursor=_cursor(events[-1]) if frame.height > limit else None)


def get_error_event(request: Request, error_id: UUID) -> dict[str, Any]:
    """One error, whole."""
    event = error_by_id(request.app.state.store, error_id)
    if event is None:
        raise NotFound("No error has this id, or it is no longer kept.")
    return event


def interval_seconds(interval: str) -> int:
    """Seconds of an interval such as 10s, 5m, 1h or 1d. Raises BadRequest."""
    match = _INTERVAL.match(interval)
    if match is None:
        raise BadRequest(f"The interval {interval!r} isn't understood. Use for example 10s, 5m, 1h or 1d.")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _range(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    try:
        last = (end or now).astimezone(UTC)
        return (start or last - DEFAULT_RANGE).astimezone(UTC), last
    except OverflowError:
        raise BadRequest("The range begins or ends outside the years 1 to 9999.") from None


def _cursor(event: dict[str, Any]) -> str:
    position = f"{event['timestamp'].isoformat()}|{event['error_id']}"
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, error_id = text.split("|")
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(error_id)
    except (ValueError, OverflowError, binascii.Error):
        raise BadRequest("This cursor isn't one of ours. Start again without a cursor.") from None
