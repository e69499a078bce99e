"""Configuration and state of alerting over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, model_validator

from analytics import alert_store
from analytics.asking import parameters
from analytics.bodies import LARGEST_BODY, JsonRoute
from analytics.rules import AlertRule, Channel, ChannelDraft, RuleDraft, missing_for
from analytics.store import Store
from ingest.vault import Vault

_READ_ONLY = ("id", "state", "value")


class ChangedRule(RuleDraft):
    """A rule as it is read, changed and sent back: what can't be changed is left aside."""

    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: content for name, content in value.items() if name not in _READ_ONLY}


class RuleWithState(AlertRule):
    """A rule and where it stands."""

    state: str
    value: float | None = None


class Rules(BaseModel):
    """All rules."""

    rules: list[RuleWithState]


class NewChannel(Channel):
    """A channel that was made just now."""

    hint: str | None


class Channels(BaseModel):
    """All channels."""

    channels: list[Channel]


def alert_router(authorise_read: Callable[..., Any], authorise_admin: Callable[..., Any]) -> APIRouter:
    """The routes: reading behind `authorise_read`, changing behind `authorise_admin`."""
    router = APIRouter(prefix="/api", tags=["alerting"], route_class=JsonRoute, max_body_size=LARGEST_BODY)
    alone = Depends(parameters())
    reads, changes = [Depends(authorise_read), alone], [Depends(authorise_admin), alone]
    listing = [Depends(authorise_read), Depends(parameters("open", "rule_id", "limit"))]
    rules, channels = "/alert-rules", "/channels"
    router.add_api_route(rules, get_rules, methods=["GET"], dependencies=reads, response_model=Rules)
    router.add_api_route(rules, post_rule, methods=["POST"], dependencies=changes, status_code=201)
    router.add_api_route(rules + "/{rule_id}", get_rule, methods=["GET"], dependencies=reads)
    router.add_api_route(rules + "/{rule_id}", put_rule, methods=["PUT"], dependencies=changes)
    router.add_api_route(rules + "/{rule_id}", delete_rule, methods=["DELETE"], dependencies=changes, status_code=204)
    router.add_api_route(channels, get_channels, methods=["GET"], dependencies=reads, response_model=Channels)
    router.add_api_route(channels, post_channel, methods=["POST"], dependencies=changes, status_code=201)
    router.add_api_route(
        channels + "/{channel_id}", delete_channel, methods=["DELETE"], dependencies=changes, status_code=204
    )
    router.add_api_route("/alerts", get_alerts, methods=["GET"], dependencies=listing)
    router.add_api_route("/alerts/{alert_id}", get_alert, methods=["GET"], dependencies=reads)
    return router


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def get_rules(request: Request) -> Rules:
    """All alert rules with their state."""
    with _store(request).connection() as connection:
        views = alert_store.list_rules(connection)
    return Rules(rules=[_with_state(view) for view in views])


def get_rule(request: Request, rule_id: UUID) -> RuleWithState:
    """One alert rule with its state."""
    with _store(request).connection() as connection:
        return _with_state(alert_store.get_rule(connection, rule_id))


def _with_state(view: alert_store.RuleView) -> RuleWithState:
    return RuleWithState(**view.rule.model_dump(), state=view.state, value=view.value)


def post_rule(request: Request, draft: RuleDraft) -> AlertRule:
    """Create an alert rule; it is evaluated at once."""
    with _store(request).connection() as connection:
        return alert_store.create_rule(connection, draft)


def put_rule(request: Request, rule_id: UUID, draft: ChangedRule) -> AlertRule:
    """Replace an alert rule. What GET answered may be sent back: id, state and value are left aside."""
    with _store(request).connection() as connection:
        return alert_store.update_rule(connection, rule_id, draft)


def delete_rule(request: Request, rule_id: UUID) -> Response:
    """Delete an alert rule; an open alert of it is resolved."""
    with _store(request).connection() as connection:
        alert_store.delete_rule(connection, rule_id)
    return Response(status_code=204)


def get_channels(request: Request) -> Channels:
    """All channels, without their secrets."""
    with _store(request).connection() as connection:
        return Channels(channels=alert_store.list_channels(connection))


def post_channel(request: Request, draft: ChannelDraft) -> NewChannel:
    """Create a channel: kind `slack` with `webhook_url`, or `email` with `to`. `hint` says what it still needs."""
    vault: Vault = request.app.state.vault
    with _store(request).connection() as connection:
        channel = alert_store.create_channel(connection, draft, vault)
    return NewChannel(**channel.model_dump(), hint=missing_for(channel.kind, request.app.state.options))


def delete_channel(request: Request, channel_id: UUID) -> Response:
    """Delete a channel that no rule uses."""
    with _store(request).connection() as connection:
        alert_store.delete_channel(connection, channel_id)
    return Response(status_code=204)


def get_alerts(
    request: Request,
    open_only: Annotated[bool, Query(alias="open")] = False,
    rule_id: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, list[dict[str, Any]]]:
    """Alerts, the newest first."""
    with _store(request).connection() as connection:
        return {"alerts": alert_store.list_alerts(connection, open_only=open_only, rule_id=rule_id, limit=limit)}


def get_alert(request: Request, alert_id: UUID) -> dict[str, Any]:
    """One alert with its notifications and every attempt to deliver them."""
    with _store(request).connection() as connection:
        return alert_store.get_alert(connection, alert_id)
