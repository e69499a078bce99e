"""What people configure: alert rules, and the channels that messages go to."""

import ipaddress
import re
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from analytics.filters import EXECUTION_COLUMNS, Filters
from ingest.plain_text import plain_line
from ingest.settings import Settings, environment_name

Signal = Literal["count", "rate_per_minute", "error_rate_percent", "new_groups", "regressed_groups"]
SIGNALS: dict[Signal, str] = {
    "count": "Errors in the window",
    "rate_per_minute": "Errors per minute",
    "error_rate_percent": "Failed executions, percent",
    "new_groups": "New groups in the window",
    "regressed_groups": "Groups that came back in the window",
}
# Signals that count what groups have become, and the kind of event that each counts.
GROUP_EVENTS: dict[Signal, str] = {"new_groups": "new", "regressed_groups": "regressed"}
_MAIL = re.compile(r"^[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,253}$")
_ERROR_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")  # as the hall stores it
MOST_VALUES = 100
MOST_CHANNELS = 20
MOST_ADDRESSES = 50
_Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(plain_line)]
_Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain_line)]
_Duration = Annotated[int, Field(ge=0, le=86_400)]


def _error_type(value: str) -> str:
    name = value.strip().lower()
    if not _ERROR_TYPE.fullmatch(name):
        raise ValueError(f"{value[:70]!r} is no error type: it is a short word such as execution, input or system.")
    return name


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


_ErrorType = Annotated[str, AfterValidator(_error_type)]
_Item = TypeVar("_Item")
# Some values, each once.
_Few = Annotated[tuple[_Item, ...], Field(max_length=MOST_VALUES), AfterValidator(_each_once)]


class Scope(BaseModel):
    """What a rule looks at; an empty field accepts everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: _Few[Literal["worker", "webhook", "system"]] = ()
    error_type: _Few[_ErrorType] = ()
    severity: _Few[Literal["low", "medium", "high"]] = ()
    workflow_id: _Few[UUID] = ()
    project_id: _Few[UUID] = ()
    fingerprint: _Few[_Line] = ()

    def filters(self) -> Filters:
        """The same as filters of a query."""
        return Filters(**{name: getattr(self, name) for name in type(self).model_fields})


class RuleDraft(BaseModel):
    """A rule as it is entered. Durations are in seconds."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Worker errors",
                    "signal": "count",
                    "threshold": 5,
                    "window_seconds": 60,
                    "scope": {"source": ["worker"]},
                    "channel_ids": ["00000000-0000-4000-8000-000000000000"],
                }
            ]
        },
    )

    name: _Name
    enabled: bool = True
    signal: Signal = "count"
    scope: Scope = Scope()
    window_seconds: int = Field(300, ge=10, le=86_400, description="The trailing window; a multiple of 10.")
    threshold: float = Field(
        gt=0, allow_inf_nan=False, description="The least value that is a breach; 1 for groups if missing."
    )
    for_seconds: _Duration = Field(0, description="How long a breach must last before it fires.")
    keep_firing_seconds: _Duration = Field(60, description="How long all must be well before it resolves.")
    min_executions: int = Field(10, ge=1, le=1_000_000_000, description="Fewer finished executions tell no rate.")
    no_data: Literal["keep", "resolve", "fire"] = Field("keep", description="What an unknown rate does to the state.")
    channel_ids: Annotated[tuple[UUID, ...], Field(max_length=MOST_CHANNELS), AfterValidator(_each_once)] = Field(
        (), description="Whom to tell; without any the alert is shown only."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_group(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("signal") in list(GROUP_EVENTS):
            return {"threshold": 1} | value
        return value

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

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [{"name": "On call", "kind": "slack", "webhook_url": "https://hooks.slack.com/services/…"}]
        },
    )

    name: _Name
    kind: Literal["slack", "email"]
    webhook_url: Annotated[str, Field(max_length=2000), AfterValidator(plain_line)] | None = None
    to: Annotated[tuple[str, ...], Field(max_length=MOST_ADDRESSES), AfterValidator(_each_once)] = ()

    @field_validator("to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not _MAIL.match(address):
                raise ValueError(f"{address[:100]!r} is no mail address.")
        return value

    @model_validator(mode="after")
    def _complete(self) -> "ChannelDraft":
        if self.kind == "slack" and not _is_safe_url(self.webhook_url or ""):
            raise ValueError("A Slack channel needs its incoming webhook's address, which begins with https://.")
        if self.kind == "email" and not self.to:
            raise ValueError("A mail channel needs at least one address to send to.")
        if self.kind == "slack" and self.to:
            raise ValueError("A Slack channel has no addresses: take `to` out, or make a second channel for mail.")
        if self.kind == "email" and self.webhook_url is not None:
            raise ValueError("A mail channel has no webhook: take `webhook_url` out, or make a second one for Slack.")
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


def missing_for(kind: str, options: Settings) -> str | None:
    """What has to be set before a channel of this kind can deliver; None where nothing is."""
    if kind == "email" and not options.smtp_host:
        return f"No mail server is set: mails are sent as soon as {environment_name('smtp_host')} names one."
    return None


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
