"""A rule that a user can read and change: what it looks for, and what it says an error is.

The models are what the API takes and gives, and what is stored. A wrong value is refused with a sentence that says what
to do; sizes are bounded, and so is what an expression may cost.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ingest.classification.expressions import checked_expression, expression_cost
from ingest.classification.titles import PLACEHOLDERS, placeholders
from ingest.models import MAX_TITLE
from ingest.plain_text import plain_line

MOST_VALUES = 100  # of one condition
MOST_TAGS = 20
MOST_RULES = 200  # of a user's own
LARGEST_COST = 50_000  # of the expressions of all own rules together, in steps of their programs
DEFAULT = "default"  # the name of what decides about an error that no rule holds for

_RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_ERROR_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")  # as the hall stores it
_STATUS = re.compile(r"[1-9]\d\d")
_CLASS = re.compile(r"[1-9]xx")


def _rule_name(value: str) -> str:
    if not _RULE_NAME.fullmatch(value):
        raise ValueError(
            f"{value[:70]!r} is no rule's name: take up to 64 small letters, digits, '-', '_' and '.', such as "
            "crm-is-away, and begin with a letter or a digit."
        )
    if value == "given":
        raise ValueError("'given' says that the caller decided. Choose another name.")
    return value


def _error_type(value: str) -> str:
    name = value.strip().lower()
    if not _ERROR_TYPE.fullmatch(name):
        raise ValueError(f"{value[:70]!r} is no error type: it is a short word such as execution, input or system.")
    return name


def _http_status(value: str) -> str:
    text = value.strip().lower()
    first, dash, last = text.partition("-")
    is_range = bool(dash) and bool(_STATUS.fullmatch(first)) and bool(_STATUS.fullmatch(last)) and first <= last
    if not (is_range or _STATUS.fullmatch(text) or _CLASS.fullmatch(text)):
        raise ValueError(f"{value[:20]!r} is no HTTP status: write 404, 4xx or 500-504.")
    return text


def _title(value: str) -> str:
    for name in placeholders(plain_line(value)):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise ValueError(f"{{{name[:30]}}} stands for nothing: use {known}, and {{{{ or }}}} for a brace.")
    return value


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


_Item = TypeVar("_Item")
# Some values, each once; one alone needs no list around it.
_Few = Annotated[
    tuple[_Item, ...], BeforeValidator(_as_list), Field(max_length=MOST_VALUES), AfterValidator(_each_once)
]
_Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain_line)]  # with * as wildcard
_Expression = Annotated[str, AfterValidator(checked_expression)]
_Status = Annotated[str, BeforeValidator(_as_text), AfterValidator(_http_status)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]


class Attempts(BaseModel):
    """From which try to which, both included; one of them may be left open."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    first: _Count | None = Field(None, alias="from")
    last: _Count | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _is_a_span(self) -> "Attempts":
        if self.first is None and self.last is None:
            raise ValueError("Say from which try, to which try, or both.")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError("The first try must not be after the last one. Exchange from and to.")
        return self


class Conditions(BaseModel):
    """What a rule looks for. All that are given must hold; of the values of one, any."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    source: _Few[Literal["worker", "webhook", "system"]] = ()
    exception: _Few[_Pattern] = Field(
        (), description="Names, with or without their module, `*` for anything: TimeoutError, psycopg.*, *Timeout."
    )
    message: _Few[_Expression] = Field(
        (),
        description="RE2 expressions, searched in the message and in the exception's own; small and capital letters "
        "are the same.",
    )
    http_status: _Few[_Status] = Field((), description="404, 4xx or 500-504.")
    node_type: _Few[_Pattern] = Field((), description="`*` for anything.")
    attempt: Attempts | None = Field(None, description='{"from": 1, "to": 3}')
    last_try: bool | None = Field(
        None, description="true: the last try, or given up; false: it will be tried again; null: either, or unknown."
    )
    handled: bool | None = None
    logger: _Few[_Pattern] = Field((), description="`*` for anything.")
    tags: dict[_Pattern, _Few[_Pattern]] = Field(
        {}, max_length=MOST_TAGS, description="Values by the tag's name, `*` for anything."
    )

    @field_validator("tags")
    @classmethod
    def _tags_have_values(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, values in value.items():
            if not values:
                raise ValueError(f"The tag {name[:70]!r} needs a value: * stands for any.")
        return value

    def is_empty(self) -> bool:
        """Whether every error fulfils them."""
        return self == Conditions()


class Rule(BaseModel):
    """What holds for an error that fulfils `when`. What a rule leaves open (no error type) the next ones decide."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "crm-is-away",
                    "when": {"exception": ["*Timeout*"], "node_type": ["http_call"], "tags": {"host": ["crm.*"]}},
                    "error_type": "system",
                    "severity": "medium",
                    "title": "The CRM doesn't answer: {node}",
                }
            ]
        },
    )

    name: Annotated[str, AfterValidator(_rule_name)]
    when: Conditions = Conditions()
    error_type: Annotated[str, AfterValidator(_error_type)] | None = None
    severity: Literal["low", "medium", "high"] | None = Field(
        None, description="null: by its tries, and by the error type."
    )
    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE), AfterValidator(_title)] | None = Field(
        None, description=f"May hold {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}."
    )

    @model_validator(mode="after")
    def _says_something(self) -> "Rule":
        if self.error_type is None and self.severity is None and self.title is None:
            raise ValueError("The rule says nothing yet: give an error_type, a severity or a title.")
        if self.when.is_empty() and self.name != DEFAULT:
            raise ValueError(f"The rule would hold for every error: give a condition, or change the rule {DEFAULT!r}.")
        return self


class StoredRule(NamedTuple):
    """A user's own rule as it is kept; one that is switched off decides nothing."""

    rule: Rule
    is_enabled: bool = True


def check_together(rules: Iterable[Rule]) -> None:
    """Raises ValueError, with a sentence, where own rules are too many, have a name twice or would cost too much."""
    listed = list(rules)
    if len(listed) > MOST_RULES:
        raise ValueError(f"There can be {MOST_RULES} rules of your own. Take one out, or put two together.")
    names: set[str] = set()
    for rule in listed:
        if rule.name in names:
            raise ValueError(f"There is a rule {rule.name!r} already. Choose another name.")
        names.add(rule.name)
    if sum(expression_cost(expression) for rule in listed for expression in rule.when.message) > LARGEST_COST:
        raise ValueError("The messages of all rules together are too much to search for. Make an expression shorter.")
