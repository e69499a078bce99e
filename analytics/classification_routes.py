"""The rules of classification over HTTP: read, tried and changed."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from analytics import classification_store
from analytics.asking import Moment, parameters
from analytics.bodies import LARGEST_BODY, JsonRoute
from analytics.classification_preview import Preview, preview
from analytics.classification_store import Origin, Rulebook, RuleView
from analytics.exceptions import NotFound
from analytics.store import Store
from ingest.classification import Rule
from ingest.database import Connection
from ingest.keys import Grant

_READ_ONLY = ("origin", "reason", "changed_by")
_Name = Annotated[str, Path(description="The rule's name.", max_length=64)]
_Position = Annotated[
    int | None, Field(ge=1, description="The place among the own rules, from 1; the last, if it isn't given.")
]


class NewRule(Rule):
    """A rule that is to be added."""

    is_enabled: bool = True
    position: _Position = None


class Draft(Rule):
    """A rule that is to be tried. It stands where the one of its name stands, else at `position`."""

    position: _Position = None


class ChangedRule(Rule):
    """A rule as it was read, changed and sent back: what can't be changed is left aside."""

    is_enabled: bool = True
    updated_at: Annotated[
        Moment | None, Field(description="As it was read; null for a shipped rule that nobody has changed.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: content for name, content in value.items() if name not in _READ_ONLY}


class RuleInPlace(Rule):
    """A rule and where it comes from. Of one that nobody has changed, `changed_by` and `updated_at` are null."""

    origin: Origin
    is_enabled: bool
    reason: str | None = Field(description="Why a shipped rule is.")
    changed_by: str | None
    updated_at: datetime | None


class DamagedRule(BaseModel):
    """A stored rule that can't be used: it decides nothing."""

    name: str
    problem: str
    changed_by: str
    updated_at: datetime


class Rules(BaseModel):
    """All rules in the order in which they are asked: the first that holds decides."""

    rules: list[RuleInPlace]
    damaged: list[DamagedRule]
    order: list[str] = Field(description="The own rules that can be moved, damaged ones included.")
    version: str = Field(description="That of the order; to be sent with another one.")


class Order(BaseModel):
    """Another order of the own rules."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"names": ["crm-is-away"], "version": "e3b0c44298fc1c14"}]}
    )

    names: Annotated[list[str], Field(max_length=1000, description="All of `order`, each once.")]
    version: str


def classification_router(authorise_read: Callable[..., Any], authorise_admin: Callable[[Request], Grant]) -> APIRouter:
    """The routes: reading and trying behind `authorise_read`, changing behind `authorise_admin`."""
    router = APIRouter(
        prefix="/api/classification-rules",
        tags=["classification"],
        route_class=JsonRoute,
        max_body_size=LARGEST_BODY,
    )
    alone = Depends(parameters())
    reads, changes = [Depends(authorise_read), alone], [Depends(_noting(authorise_admin)), alone]
    deletes = [Depends(_noting(authorise_admin)), Depends(parameters("updated_at"))]
    rule: dict[str, Any] = {"response_model": RuleInPlace}
    router.add_api_route("", get_rules, methods=["GET"], dependencies=reads, response_model=Rules)
    router.add_api_route("", post_rule, methods=["POST"], dependencies=changes, status_code=201, **rule)
    router.add_api_route("/order", post_order, methods=["POST"], dependencies=changes, response_model=Rules)
    router.add_api_route("/preview", post_preview, methods=["POST"], dependencies=reads, response_model=Preview)
    router.add_api_route("/{name}", get_rule, methods=["GET"], dependencies=reads, **rule)
    router.add_api_route("/{name}", put_rule, methods=["PUT"], dependencies=changes, **rule)
    router.add_api_route("/{name}", delete_rule, methods=["DELETE"], dependencies=deletes, status_code=204)
    return router


def _noting(authorise: Callable[[Request], Grant]) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        request.state.grant = authorise(request)

    return check


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _who(request: Request, connection: Connection) -> str:
    grant: Grant = request.state.grant
    return classification_store.key_name(connection, grant.key_id)


def _rule(given: Rule) -> Rule:
    """The rule alone, of a body that holds more."""
    return Rule(**{name: getattr(given, name) for name in Rule.model_fields})


def _in_place(view: RuleView) -> RuleInPlace:
    more = {name: getattr(view, name) for name in ("origin", "is_enabled", "reason", "changed_by", "updated_at")}
    return RuleInPlace(**{name: getattr(view.rule, name) for name in Rule.model_fields}, **more)


def _rules(book: Rulebook) -> Rules:
    damaged = [DamagedRule(**asdict(view)) for view in book.damaged]
    return Rules(
        rules=[_in_place(view) for view in book.rules], damaged=damaged, order=book.movable, version=book.version
    )


def _found(book: Rulebook, name: str) -> RuleInPlace:
    view = book.view(name)
    if view is None:
        raise NotFound(f"There is no rule {name!r} that can be used.")
    return _in_place(view)


def get_rules(request: Request) -> Rules:
    """All rules in the order in which they are asked, with where each comes from; those that are switched off too."""
    with _store(request).connection() as connection:
        return _rules(classification_store.rulebook(connection))


def get_rule(request: Request, name: _Name) -> RuleInPlace:
    """One rule."""
    with _store(request).connection() as connection:
        return _found(classification_store.rulebook(connection), name)


def post_rule(request: Request, draft: NewRule) -> RuleInPlace:
    """Add a rule before the shipped ones. One with the name of a shipped rule stands in its place. Running processes
    take it over within seconds; what is stored already keeps its type and severity."""
    with _store(request).connection() as connection:
        who = _who(request, connection)
        book = classification_store.create_rule(
            connection, _rule(draft), who, is_enabled=draft.is_enabled, position=draft.position
        )
    return _found(book, draft.name)


def put_rule(request: Request, name: _Name, draft: ChangedRule) -> RuleInPlace:
    """Replace a rule. What GET answered may be changed and sent back; its `updated_at` tells whether somebody else was
    faster, which is answered with 409. A shipped rule is changed, or switched off, in the same way."""
    with _store(request).connection() as connection:
        book = classification_store.change_rule(
            connection,
            name,
            _rule(draft),
            _who(request, connection),
            is_enabled=draft.is_enabled,
            seen=draft.updated_at,
        )
    return _found(book, draft.name)


def delete_rule(
    request: Request,
    name: _Name,
    updated_at: Annotated[Moment | None, Query(description="Only where nobody has changed it since.")] = None,
) -> Response:
    """Delete a rule of one's own; a shipped rule that was changed is as it was shipped again."""
    with _store(request).connection() as connection:
        classification_store.delete_rule(connection, name, seen=updated_at)
    return Response(status_code=204)


def post_order(request: Request, order: Order) -> Rules:
    """Put the own rules into another order. 409 where somebody else has added, deleted or moved one meanwhile."""
    with _store(request).connection() as connection:
        return _rules(classification_store.order_rules(connection, order.names, version=order.version))


def post_preview(request: Request, draft: Draft) -> Preview:
    """What a draft would have caught among the newest errors of the last seven days, at its place among the others.
    Nothing is saved."""
    with _store(request).connection() as connection:
        return preview(
            connection,
            classification_store.rulebook(connection),
            _rule(draft),
            datetime.now(UTC),
            position=draft.position,
            days=request.app.state.options.postgres_days,
        )
