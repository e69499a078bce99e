"""The reading half of the API: counts and events, filtered, complete to the second."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from analytics.asking import FILTERS, Moment, asked_filters, in_bounds, interval_seconds, parameters
from analytics.events import error_by_id
from analytics.exceptions import BadRequest, NotFound
from analytics.filters import Filters
from analytics.latest import latest_errors
from analytics.queries import read_series, whole_buckets
from analytics.store import Store

DEFAULT_RANGE = timedelta(hours=24)
MOST_EVENTS = 1_000
_RANGE = ("start", "end")
_Start = Annotated[Moment | None, Query(description="From then on; UTC without a zone. Default: 24 hours before end.")]
_End = Annotated[Moment | None, Query(description="Up to, not including, then. Default: now.")]


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


def reading_router(authorise_read: Callable[..., Any]) -> APIRouter:
    """The routes, each behind `authorise_read`."""
    router = APIRouter(prefix="/api", dependencies=[Depends(authorise_read)], tags=["reading"])
    counts = Depends(parameters(*_RANGE, "interval", "group_by", repeated=FILTERS))
    events = Depends(parameters(*_RANGE, "limit", "cursor", repeated=FILTERS))
    alone = Depends(parameters())
    get: dict[str, Any] = {"methods": ["GET"]}
    router.add_api_route("/error-metrics", get_error_metrics, response_model=Metrics, dependencies=[counts], **get)
    router.add_api_route("/error-events", get_error_events, response_model=Events, dependencies=[events], **get)
    router.add_api_route("/error-events/{error_id}", get_error_event, dependencies=[alone], **get)
    return router


def get_error_metrics(
    request: Request,
    filters: Annotated[Filters, Depends(asked_filters)],
    start: _Start = None,
    end: _End = None,
    interval: Annotated[str, Query(description="10s, 5m, 1h, 1d …: a multiple of 10 seconds, at most 366d.")] = "5m",
    group_by: Annotated[str | None, Query(description="One of the filters' names.")] = None,
) -> Metrics:
    """Errors and trials per interval, by default of the last 24 hours. The range is widened to whole intervals."""
    store: Store = request.app.state.store
    seconds = interval_seconds(interval)
    now = datetime.now(UTC)
    first, last = whole_buckets(*_range(start, end, now), seconds)
    series = read_series(store, first, last, seconds, filters, group_by)
    frame = series.frame
    if group_by is not None:
        frame = frame.rename({group_by: "group"})
    buckets = [Bucket(**row) for row in frame.to_dicts()]
    return Metrics(interval=interval, buckets=buckets, complete_to=series.reading.complete_to)


def get_error_events(
    request: Request,
    filters: Annotated[Filters, Depends(asked_filters)],
    start: _Start = None,
    end: _End = None,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
    cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
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


def _range(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    last = end or now
    return start or last - DEFAULT_RANGE, last


def _cursor(event: dict[str, Any]) -> str:
    position = f"{event['timestamp'].isoformat()}|{event['error_id']}"
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, error_id = text.split("|")
        return in_bounds(datetime.fromisoformat(moment)), UUID(error_id)
    except (ValueError, binascii.Error):
        raise BadRequest("This cursor isn't one of ours. Start again without a cursor.") from None
