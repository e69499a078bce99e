"""An alert's facts, and the phrases in which every channel tells them."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class Group(BaseModel):
    """A group of errors that took part."""

    fingerprint: str = ""
    title: str = ""
    errors: int = 0
    link: str = ""

    def times(self, sign: str) -> str:
        """How often, before the title: «40 × »; nothing where its errors lie before what the message is about."""
        return f"{self.errors:,} {sign} " if self.errors else ""

    def safe_link(self) -> str:
        """Where the group is shown, if that is a web address."""
        return self.link if self.link.startswith(("http://", "https://")) else ""


class Message(BaseModel):
    """What the evaluator wrote into the outbox."""

    kind: Literal["firing", "resolved"]
    alert_id: str = ""
    rule_name: str
    signal: str = "count"
    value: float | None = None
    threshold: float = 0
    window_seconds: int = 60
    since: datetime | None = None
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    peak_value: float | None = None
    reason: str = ""
    scope: dict[str, list[Any]] = Field(default_factory=dict)
    top_groups: list[Group] = Field(default_factory=list)
    series: list[tuple[str, float]] = Field(default_factory=list)
    links: dict[str, str] = Field(default_factory=dict)

    @property
    def is_firing(self) -> bool:
        """Whether it begins or ends."""
        return self.kind == "firing"

    def headline(self) -> str:
        """One line: which rule, and what."""
        if self.is_firing:
            return f"{self.rule_name}: {self.what(self.value)}"
        return f"{self.rule_name}: resolved after {self.duration()}"

    def what(self, value: float | None) -> str:
        """The signal in words, for example «42 errors in 5 min»."""
        window = in_words(self.window_seconds)
        if value is None:
            return f"no known rate in {window}"
        if self.signal == "error_rate_percent":
            return f"{number(value)} % of executions failed in {window}"
        if self.signal == "new_groups":
            return f"{number(value)} new {'group' if value == 1 else 'groups'} in {window}"
        if self.signal == "regressed_groups":
            return f"{number(value)} {'group' if value == 1 else 'groups'} came back in {window}"
        if self.signal == "rate_per_minute":
            return f"{number(value)} errors per minute over {window}"
        return f"{number(value)} {'error' if value == 1 else 'errors'} in {window}"

    def groups_title(self) -> str:
        """What the groups of the message are."""
        return {"new_groups": "New groups", "regressed_groups": "Groups that came back"}.get(self.signal, "Top groups")

    def limit(self) -> str:
        """The threshold in the signal's unit."""
        unit = {"error_rate_percent": " %", "rate_per_minute": " per minute"}.get(self.signal, "")
        return f"{number(self.threshold)}{unit}"

    def facts(self) -> list[tuple[str, str]]:
        """Label and text of everything worth telling, in reading order."""
        facts = [("Threshold", f"{self.limit()} (window {in_words(self.window_seconds)})")]
        if self.since is not None:
            facts.append(("Since", moment(self.since)))
        if not self.is_firing:
            if self.resolved_at is not None:
                facts.append(("Resolved", moment(self.resolved_at)))
            if self.peak_value is not None:
                facts.append(("Peak", self.what(self.peak_value)))
            if self.reason.startswith("rule_"):
                facts.append(("Because", self.reason.replace("_", " was ", 1)))
        if self.scope:
            parts = (f"{name.replace('_', ' ')} {', '.join(map(str, values))}" for name, values in self.scope.items())
            facts.append(("Scope", "; ".join(parts)))
        return facts

    def duration(self) -> str:
        """How long it lasted."""
        if self.since is None or self.resolved_at is None:
            return "a while"
        return in_words(max(0, round((self.resolved_at - self.since).total_seconds())))


def number(value: float) -> str:
    """A figure as people write it: 42, 12.5, 1,200."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.1f}"


def in_words(seconds: int) -> str:
    """A duration: 45 s, 5 min, 1 h 30 min, 2 d."""
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 5 else "")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{hours // 24} d"


def moment(value: datetime) -> str:
    """A time for a reader whose zone isn't known."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
