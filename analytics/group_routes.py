"""Groups over HTTP: the list, one group, and what is decided about them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from analytics import group_store
from analytics.asking import FILTERS, Line, Moment, asked_filters, parameters
from analytics.bodies import LARGEST_BODY, JsonRoute
from analytics.filters import Filters
from analytics.groups import (
    MOST_GROUPS,
    MOST_POINTS,
    NOBODY,
    GroupFilters,
    Sort,
    State,
    group_details,
    list_groups,
)
from analytics.store import Store
from ingest.database import Connection
from ingest.keys import Grant, key_name

DEFAULT_RANGE = timedelta(hours=24)
_LIST = ("start", "end", "assignee", "unassigned", "text", "sort", "limit", "page", "points", "idle")
_ONE = "/{fingerprint:path}"  # a caller's own fingerprint may have slashes


class Group(BaseModel):
    """A group. `source`, `error_type`, `project_id` and `workflow_id` are those of its newest error, `severity` is the
    highest, `total` its errors for ever, `members` its fingerprints."""

    fingerprint: str
    title: str
    state: State
    resolved_at: datetime | None
    ignored_until: datetime | None
    ignored_until_errors: Annotated[int | None, Field(description="The `total` at which it is open again.")]
    assignee: str | None
    changed_at: datetime | None
    changed_by: str | None
    source: str | None
    error_type: str | None
    severity: str | None
    project_id: str | None
    workflow_id: str | None
    first_seen: datetime
    last_seen: datetime
    total: int
    members: list[str]


class ListedGroup(Group):
    """A group with its errors in the range, altogether and per bucket."""

    errors: int
    series: list[int]


class Groups(BaseModel):
    """A page of groups; `matching` are on all pages. `buckets` are the starts of the series' buckets."""

    groups: list[ListedGroup]
    matching: int
    page: int
    interval_seconds: int
    buckets: list[datetime]


class GroupMember(BaseModel):
    """A fingerprint of a group; `version` is null for a caller's own."""

    fingerprint: str
    version: int | None
    joined: Literal["head", "merged", "continues"]
    title: str
    total: int
    first_seen: datetime
    last_seen: datetime


class Note(BaseModel):
    """What somebody wrote about a group."""

    id: int
    at: datetime
    author: str
    note: str
    fingerprint: str


class HistoryLine(BaseModel):
    """A line of a group's history; `by` is null for what happened by itself."""

    at: datetime
    kind: str
    by: str | None
    detail: str | None
    fingerprint: str
    member: str | None


class WholeGroup(Group):
    """A group with its fingerprints, notes and history, the newest first."""

    parts: list[GroupMember]
    notes: list[Note]
    history: list[HistoryLine]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class GroupChange(_Change):
    """What is to change; what isn't named stays."""

    state: Literal["open", "resolved", "ignored"] | None = None
    ignored_until: Moment | None = None
    ignored_for_errors: Annotated[int, Field(ge=1, le=10**12, description="So many more.")] | None = None
    assignee: Annotated[Line | None, Field(description="A user's name; null: nobody.")] = None

    @model_validator(mode="after")
    def _means_something(self) -> "GroupChange":
        if not self.model_fields_set:
            raise ValueError("Name what is to change: state or assignee.")
        if self.state is None and "state" in self.model_fields_set:
            raise ValueError("state: must be 'open', 'resolved' or 'ignored'.")
        if self.state != "ignored" and (self.ignored_until or self.ignored_for_errors):
            raise ValueError("A time or a number of errors to ignore needs the state 'ignored' beside it.")
        return self


class NewNote(_Change):
    """A note."""

    note: Annotated[str, Field(min_length=1, max_length=group_store.LONGEST_NOTE)]


class Merge(_Change):
    """Groups that are to count for this one."""

    fingerprints: Annotated[list[Line], Field(min_length=1, max_length=group_store.MOST_MERGED)]


class Split(_Change):
    """A member that is to be a group of its own again."""

    fingerprint: Line


def group_router(authorise_read: Callable[..., Any], authorise_admin: Callable[..., Any]) -> APIRouter:
    """The routes: reading behind `authorise_read`, changing behind `authorise_admin`. Both leave the key's grant in
    `request.state.grant`."""
    router = APIRouter(prefix="/api/error-groups", tags=["groups"], route_class=JsonRoute, max_body_size=LARGEST_BODY)
    alone = Depends(parameters())
    listing = [Depends(authorise_read), Depends(parameters(*_LIST, repeated=("state", *FILTERS)))]
    reads, changes = [Depends(authorise_read), alone], [Depends(authorise_admin), alone]
    router.add_api_route("", get_groups, methods=["GET"], dependencies=listing, response_model=Groups)
    router.add_api_route(_ONE, get_group, methods=["GET"], dependencies=reads)
    router.add_api_route(_ONE, patch_group, methods=["PATCH"], dependencies=changes)
    router.add_api_route(_ONE + "/notes", post_note, methods=["POST"], dependencies=changes, status_code=201)
    router.add_api_route(_ONE + "/merge", post_merge, methods=["POST"], dependencies=changes)
    router.add_api_route(_ONE + "/split", post_split, methods=["POST"], dependencies=changes)
    return router


def get_groups(
    request: Request,
    filters: Annotated[Filters, Depends(asked_filters)],
    start: Annotated[Moment | None, Query(description="Default: 24 hours before end.")] = None,
    end: Annotated[Moment | None, Query(description="Default: now.")] = None,
    state: Annotated[list[State] | None, Query()] = None,
    assignee: Annotated[Line | None, Query(description="A user's name.")] = None,
    unassigned: Annotated[bool, Query(description="Groups that nobody has.")] = False,
    text: Annotated[Line | None, Query(description="Part of the title, or a whole fingerprint.")] = None,
    sort: Sort = "last_seen",
    limit: Annotated[int, Query(ge=1, le=MOST_GROUPS)] = 50,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="About so many buckets.")] = 24,
    idle: Annotated[bool, Query(description="Also groups without errors in the range.")] = False,
) -> Groups:
    """Groups with errors in the range, which match the filters, with how many there were and when."""
    last = end or datetime.now(UTC) + timedelta(seconds=1)
    asked = GroupFilters(tuple(state or ()), NOBODY if unassigned else assignee, text or "", filters)
    found = list_groups(
        _store(request),
        start or last - DEFAULT_RANGE,
        last,
        asked,
        sort=sort,
        limit=limit,
        page=page,
        points=points,
        idle=idle,
    )
    return Groups(
        groups=[ListedGroup(**row) for row in found.groups.to_dicts()],
        matching=found.matching,
        page=page,
        interval_seconds=found.interval_seconds,
        buckets=found.buckets,
    )


def get_group(request: Request, fingerprint: Line) -> WholeGroup:
    """One group whole, by its fingerprint or that of a member."""
    return _whole(request, fingerprint)


def patch_group(request: Request, fingerprint: Line, change: GroupChange) -> WholeGroup:
    """Resolve a group, open it again, ignore it (for good, until a time, for some more errors), give it to a user."""
    with _store(request).connection() as connection, connection.transaction():
        by = _by(request, connection)
        if "assignee" in change.model_fields_set:
            group_store.assign(connection, fingerprint, by, change.assignee)
        if change.state == "resolved":
            group_store.resolve(connection, fingerprint, by)
        elif change.state == "open":
            group_store.reopen(connection, fingerprint, by)
        elif change.state == "ignored":
            until, errors = change.ignored_until, change.ignored_for_errors
            group_store.ignore(connection, fingerprint, by, until=until, errors=errors)
    return _whole(request, fingerprint)


def post_note(request: Request, fingerprint: Line, new: NewNote) -> Note:
    """Write a note about a group."""
    with _store(request).connection() as connection:
        return Note(**group_store.add_note(connection, fingerprint, _by(request, connection), new.note))


def post_merge(request: Request, fingerprint: Line, wanted: Merge) -> WholeGroup:
    """Merge other groups into this one."""
    with _store(request).connection() as connection:
        group_store.merge(connection, fingerprint, wanted.fingerprints, _by(request, connection))
    return _whole(request, fingerprint)


def post_split(request: Request, fingerprint: Line, wanted: Split) -> WholeGroup:
    """Make a member a group of its own again; answers that group."""
    with _store(request).connection() as connection:
        group_store.split(connection, fingerprint, wanted.fingerprint, _by(request, connection))
    return _whole(request, wanted.fingerprint)


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _by(request: Request, connection: Connection) -> str:
    grant: Grant = request.state.grant
    return "a key" if grant.key_id is None else f"key {key_name(connection, grant.key_id)}"


def _whole(request: Request, fingerprint: str) -> WholeGroup:
    found = group_details(_store(request), fingerprint)
    return WholeGroup(
        **found.group,
        parts=[GroupMember.model_validate(member, from_attributes=True) for member in found.members],
        notes=[Note(**note) for note in found.notes],
        history=[HistoryLine(**line) for line in found.history],
    )
