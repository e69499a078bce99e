"""What is hidden in a message is hidden too where that message stands in JSON, a form, a quotation or a list."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.labelled.plants import PLACES, Planted, planted
from tests.scores.masking import leaks

WRAPPINGS: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps({"detail": text, "code": 3}),
    "JSON list": lambda text: json.dumps([1, [text]]),
    "readable JSON": lambda text: json.dumps({"detail": {"inner": text}}, indent=2, ensure_ascii=False),
    "form": lambda text: urlencode({"code": 3, "detail": text}),
    "address": lambda text: f"GET https://api.example.com/log?{urlencode({'detail': text})} answered 500",
    "quotation": lambda text: f"ValueError({text!r}) (try 2 of 5)",
    "log line": lambda text: f"2026-11-25T12:00:00Z ERROR [worker-3] orders - {text}",
    "lines": lambda text: f"it failed\n{text}\nand was tried again",
}
TEXTS = [plant for plant in planted() if plant.text is not None]


def named(part: str) -> Planted:
    """The first of the texts whose template has this part."""
    return next(plant for plant in TEXTS if part in plant.name)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(list(WRAPPINGS)), min_size=1, max_size=3),
    st.sampled_from(list(PLACES)),
)
@example(TEXTS[0], ["JSON", "JSON"], "message")
@example(TEXTS[0], ["form", "JSON"], "list")
@example(named("apiKey"), ["JSON", "JSON", "JSON"], "JSON in JSON")  # before its quote stand 31 backslashes
@example(named("recovery code"), ["lines", "JSON"], "tag")  # the n of \n right before the first word
@example(named("--password '"), ["JSON", "quotation"], "key")
@example(named("_dashed"), ["lines", "JSON"], "title")
@example(named("Basic"), ["lines", "quotation"], "title")
def test_what_is_hidden_in_a_message_is_hidden_however_it_is_wrapped(
    plant: Planted, wrappings: list[str], place: str
) -> None:
    text = str(plant.text)
    assume(sum(name in ("form", "address") for name in wrappings) < 2)
    assume(not leaks([Planted("bare", plant.kind, {"message": text}, plant.traces)]))
    for name in wrappings:
        text = WRAPPINGS[name](text)
    found = leaks([Planted(plant.name, plant.kind, PLACES[place](text), plant.traces)])
    assert not found, f"{found} in {text[:500]}"
