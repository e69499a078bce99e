"""What people configure: alert rules, and the channels that messages go to."""

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from analytics.filters import EXECUTION_COLUMNS, Filters

Signal = Literal["count", "rate_per_minute", "error_rate_percent"]
SIGNALS: dict[Signal, str] = {
    "count": "Errors in the window",
    "rate_per_minute": "Errors per minute",
    "error_rate_percent": "Failed executions, percent",
}
_MAIL = re.compile(r"^[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,253}$")
_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Duration = Annotated[int, Field(ge=0, le=86_400)]


class Scope(BaseModel):
    """What a rule looks at; an empty field accepts everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: tuple[Literal["worker", "webhook", "system"], ...] = ()
    error_type: tuple[str, ...] = ()
    severity: tuple[Literal["low", "medium", "high"], ...] = ()
    workflow_id: tuple[UUID, ...] = ()
    project_id: tuple[UUID, ...] = ()
    fingerprint: tuple[str, ...] = ()

    def filters(self) -> Filters:
        """The same as filters of a query."""
        return Filters(**{name: getattr(self, name) for name in type(self).model_fields})


class RuleDraft(BaseModel):
    """A rule as it is entered. Durations are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: _Name
    enabled: bool = True
    signal: Signal = "count"
    scope: Scope = Scope()
    window_seconds: int = Field(300, ge=10, le=86_400, description="The trailing window; a multiple of 10.")
    threshold: float = Field(gt=0, allow_inf_nan=False, description="The least value that is a breach.")
    for_seconds: _Duration = Field(0, description="How long a breach must last before it fires.")
    keep_firing_seconds: _Duration = Field(60, description="How long all must be well before it resolves.")
    min_executions: int = Field(10, ge=1, le=1_000_000_000, description="Fewer finished executions tell no rate.")
    no_data: Literal["keep", "resolve", "fire"] = Field("keep", description="What an unknown rate does to the state.")
    channel_ids: tuple[UUID, ...] = ()

    @field_validator("window_seconds")
    @classmethod
    def _whole_buckets(cls, value: int) -> int:
        if value % 10:
            raise ValueError("The window must be a multiple of 10 seconds.")
        return value

    @model_validator(mode="after")
    def _fits_the_signal(self) -> "RuleDraft":
        if self.signal == "error_rate_percent":
            if self.threshold > 100:
                raise ValueError("An error rate can't be above 100 percent. Choose a threshold up to 100.")
            unknown = [name for name in self.scope.filters().active() if name not in EXECUTION_COLUMNS]
            if unknown:
                raise ValueError(
                    f"Executions know no {' or '.join(unknown)}: scope this rule by source, workflow or project."
                )
        return self


class AlertRule(RuleDraft):
    """A stored rule."""

    id: UUID


class ChannelDraft(BaseModel):
    """A channel as it is entered. The webhook's address is a secret and is never shown again."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: _Name
    kind: Literal["slack", "email"]
    webhook_url: str | None = None
    to: tuple[str, ...] = ()

    @field_validator("to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not _MAIL.match(address):
                raise ValueError(f"{address!r} is no mail address.")
        return value

    @model_validator(mode="after")
    def _complete(self) -> "ChannelDraft":
        if self.kind == "slack" and not _is_safe_url(self.webhook_url or ""):
            raise ValueError("A Slack channel needs its incoming webhook's address, which begins with https://.")
        if self.kind == "email" and not self.to:
            raise ValueError("A mail channel needs at least one address to send to.")
        return self

    def settings(self) -> dict[str, Any]:
        """The part that isn't secret."""
        return {"to": list(self.to)} if self.kind == "email" else {}

    def secret(self) -> str | None:
        """The part that is."""
        return self.webhook_url if self.kind == "slack" else None


class Channel(BaseModel):
    """A stored channel, without its secret."""

    id: UUID
    name: str
    kind: str
    settings: dict[str, Any]
    has_secret: bool


def _is_safe_url(url: str) -> bool:
    """https, or http to this machine (a relay, a test)."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        has_port = parts.port != 0  # asking for it raises for one that is none
    except ValueError:
        return False
    if not has_port or not url.isascii() or not url.isprintable() or " " in url:
        return False
    if parts.scheme == "https" and host:
        return True
    try:
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    return parts.scheme == "http" and is_here
