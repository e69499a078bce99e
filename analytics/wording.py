"""What pydantic finds wrong, in words for whoever sent it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

_Context = Mapping[str, Any]
_WORDS: dict[str, Callable[[_Context], str]] = {
    "value_error": lambda context: str(context["error"]),
    "missing": lambda _: "is missing.",
    "extra_forbidden": lambda _: "isn't known here. Take it out.",
    "tuple_type": lambda _: "must be a list.",
    "list_type": lambda _: "must be a list.",
    "model_type": lambda _: "must be a JSON object.",
    "model_attributes_type": lambda _: "must be a JSON object.",
    "dict_type": lambda _: "must be a JSON object.",
    "literal_error": lambda context: f"must be {context['expected']}.",
    "string_type": lambda _: "must be text.",
    "string_unicode": lambda _: "holds half a character (a lone surrogate). Take it out.",
    "string_too_short": lambda context: f"must have at least {_counted(context['min_length'], 'character')}.",
    "string_too_long": lambda context: f"may have at most {_counted(context['max_length'], 'character')}.",
    "too_long": lambda context: f"may have at most {_counted(context['max_length'], 'entry', 'entries')}.",
    "bool_type": lambda _: "must be true or false.",
    "bool_parsing": lambda _: "must be true or false.",
    "int_type": lambda _: "must be a whole number.",
    "int_parsing": lambda _: "must be a whole number.",
    "int_from_float": lambda _: "must be a whole number.",
    "int_parsing_size": lambda _: "is too large.",
    "float_type": lambda _: "must be a number.",
    "float_parsing": lambda _: "must be a number.",
    "finite_number": lambda _: "must be a number, not infinite.",
    "greater_than": lambda context: f"must be greater than {context['gt']:g}.",
    "greater_than_equal": lambda context: f"must be at least {context['ge']}.",
    "less_than_equal": lambda context: f"may be at most {context['le']}.",
    "uuid_type": lambda _: "must be a UUID.",
    "uuid_parsing": lambda _: "must be a UUID.",
    "json_invalid": lambda context: f"The body isn't JSON: {context['error']}.",
}
_MOMENT = "isn't a time. Write it as 2026-11-24T12:00:00Z."


def explained(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each problem, which begins with the field's name where it is about one field."""
    return [_sentence(problem) for problem in errors]


def explained_in_a_form(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """The same for somebody who sees labels instead of names."""
    return explained(
        {**problem, "loc": [str(name).replace("_", " ").capitalize() for name in problem["loc"][:1]]}
        for problem in errors
    )


def _sentence(problem: Mapping[str, Any]) -> str:
    kind = problem["type"]
    if kind in _WORDS:
        words = _WORDS[kind](problem.get("ctx", {}))
    else:
        words = _MOMENT if kind.startswith("datetime") else f"{problem['msg']}."
    field = ".".join(name for name in problem["loc"] if isinstance(name, str))  # without the number in a list
    if not field or kind == "json_invalid":
        return words if words[0].isupper() else f"The body {words}"
    return f"{field[:200]}: {words}"


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
