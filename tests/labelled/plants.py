"""Secrets planted in events, and innocent texts: what masking is measured with.

The sets stand beside, as texts and as whole events with `<<kind>>` where a made-up value goes. A planted event says
which pieces of text must be nowhere afterwards; `Search` finds them, also where they are escaped or percent-encoded.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, unquote, urlencode

import re2

from tests.labelled.made_up import KINDS

FOLDER = Path(__file__).parent
Event = dict[str, Any]
Place = Callable[[str], Event]
_FILLER = " ".join(f"Line {number} of a long report says that nothing happened." for number in range(120))
_PLACEHOLDER = re.compile(r"<<([a-z0-9_]+)((?::[a-z0-9]+)*)>>")
_WHOLE = {"email", "card", "card_spaced", "card_dashed", "iban", "iban_spaced", "simple_password", "pin"}
_ENCODINGS: dict[str, Callable[[str], str]] = {
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: json.dumps(text)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}
_TURNS = 2  # places at which each text of the corpus stands

PLACES: dict[str, Place] = {
    "message": lambda text: {"message": text},
    "title": lambda text: {"title": text, "message": "x"},
    "exception": lambda text: {"metadata": {"exception": {"type": "Error", "module": "app", "value": text}}},
    "cause": lambda text: {"message": "x", "metadata": {"causes": [{"type": "Error", "value": text}]}},
    "variable": lambda text: {"message": "x", "metadata": {"frames": [_frame(vars={"line": repr(text)})]}},
    "context line": lambda text: {"message": "x", "metadata": {"frames": [_frame(context_line=f"    log({text!r})")]}},
    "stack": lambda text: {"message": "x", "metadata": {"stack": f"Error: {text}\n    at pay (/app/pay.js:3:4)"}},
    "breadcrumb": lambda text: {"message": "x", "metadata": {"breadcrumbs": [{"category": "log", "message": text}]}},
    "tag": lambda text: {"message": "x", "metadata": {"tags": {"said": text}}},
    "list": lambda text: {"message": "x", "metadata": {"arguments": [1, [text, [[text]]], None]}},
    "JSON": lambda text: {"message": "x", "metadata": {"body": json.dumps({"detail": text, "code": 3})}},
    "JSON in JSON": lambda text: {"message": json.dumps({"body": json.dumps({"detail": [text]})})},
    "form": lambda text: {"message": "x", "metadata": {"data": urlencode({"detail": text, "code": 3})}},
    "object": lambda text: {"message": "x", "metadata": {"context": {"a": {"b": {"detail": text}}}}},
    "unknown field": lambda text: {"message": "x", "remark": text},
    "logger": lambda text: {"message": "x", "metadata": {"logger": text, "node": text}},
    "own fingerprint": lambda text: {"message": "x", "fingerprint": ["group", text]},
    "title of a wrong type": lambda text: {"message": "x", "title": [text]},
    "key": lambda text: {"message": "x", "metadata": {"seen": {text: 1}}},
    "column of a wrong type": lambda text: {"message": "x", "workflow_id": text},
}


@dataclass(frozen=True, slots=True)
class Planted:
    """`traces` are what must not be found of its secrets: of long ones each piece of up to 16 characters. `text` is
    what was planted in an event; None where the event was written as a whole."""

    name: str
    kind: str
    event: Event
    traces: frozenset[str]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Innocent:
    """An event that masking should leave as it is."""

    name: str
    kind: str
    event: Event


class Search:
    """Finds the traces of all of `planted` in one pass, whatever the letters' case."""

    def __init__(self, planted: Iterable[Planted]) -> None:
        self._owners: dict[str, str] = {}
        for plant in planted:
            self._owners.update({trace.casefold(): plant.name for trace in plant.traces})
        options = re2.Options()
        options.max_mem = 1 << 30
        options.log_errors = False
        self._pattern = re2.compile("|".join(map(re2.escape, sorted(self._owners))), options)

    def found(self, text: str) -> dict[str, str]:
        """The name of each planted event of which a trace occurs in `text`, and the trace."""
        return {self._owners[trace]: trace for view in views(text) for trace in self._pattern.findall(view.casefold())}


def views(text: str) -> set[str]:
    """The text as it stands, and with its escapes resolved: of JSON, of URLs and of forms, twice."""
    unquoted = unquote(text)
    plain = re.sub(r"\\u00([2-7][0-9a-fA-F])", lambda match: chr(int(match[1], 16)), text)
    plain = re.sub(r'\\+(["/\\\'])', r"\1", plain)
    seen = {text, unquoted, unquote(unquoted), plain, unquote(plain)}
    return seen | {view.replace("+", " ") for view in seen}


def planted() -> list[Planted]:
    """The corpus: each text at some places in turn, and each event."""
    names = list(PLACES)
    found = []
    for number, (kind, text) in enumerate(_texts("secrets")):
        for turn in range(_TURNS):
            found.append(_plant_text(number, kind, text, names[(number + 7 * turn) % len(names)]))
    return found + _planted_events()


def planted_everywhere() -> list[Planted]:
    """Each text at every place, and each event."""
    texts = enumerate(_texts("secrets"))
    return [_plant_text(number, kind, text, place) for number, (kind, text) in texts for place in PLACES] + (
        _planted_events()
    )


def innocent() -> list[list[Innocent]]:
    """For each text or event of the innocent set the forms in which it is sent."""
    places = ("message", "exception", "variable", "breadcrumb", "tag", "list", "object")
    found = [
        [Innocent(f"{kind}: {text} ({place})", kind, PLACES[place](text)) for place in places]
        for kind, text in _texts("innocent")
    ]
    return found + [
        [Innocent(f"{line['kind']}: {line['event']}", line["kind"], line["event"])] for line in _events("innocent")
    ]


def pieces(kind: str, secret: str) -> set[str]:
    """What must be nowhere of a secret. Public parts may stay: a token's header, a key's label, a hook's channel."""
    if kind in _WHOLE:
        return {secret, secret.replace(" ", "").replace("-", "")} if kind.startswith(("card", "iban")) else {secret}
    if kind == "slack_hook":
        secret = secret.rpartition("/")[2]
    elif kind.startswith("jw"):
        secret = secret.partition(".")[2]
    elif kind.endswith("_key") and "\n" in secret:
        return {piece for line in secret.splitlines()[1:-1] for piece in _cut(line)}
    found = set(_cut(secret))
    if kind == "basic":
        found |= set(_cut(base64.b64decode(secret).decode().partition(":")[2]))
    return found


def _cut(text: str) -> Iterator[str]:
    size = max(8, min(16, len(text) // 2))
    for start in range(0, len(text), size):
        piece = text[start : start + size]
        if len(piece) >= 8:
            yield piece


def _frame(**more: Any) -> Event:
    return {"file": "app/pay.py", "line": 3, "function": "pay", "in_app": True} | more


def _plant_text(number: int, kind: str, text: str, place: str) -> Planted:
    name = f"{kind} {number} in {place}: {text[:60]!r}"
    traces: set[str] = set()
    filled = str(_filled(text, Random(name), traces))
    return Planted(name, kind, PLACES[place](filled), frozenset(traces), filled)


def _planted_events() -> list[Planted]:
    found = []
    for number, line in enumerate(_events("secrets")):
        name = f"{line['kind']} {number}: {json.dumps(line['event'])[:100]}"
        traces: set[str] = set()
        event = _walked(line["event"], Random(name), traces)
        found.append(Planted(name, line["kind"], event, frozenset(traces)))
    return found


def _walked(value: Any, random: Random, traces: set[str]) -> Any:
    if isinstance(value, str):
        return _filled(value, random, traces)
    if isinstance(value, list):
        return [_walked(item, random, traces) for item in value]
    if isinstance(value, dict):
        return {_filled(key, random, traces): _walked(item, random, traces) for key, item in value.items()}
    return value


def _filled(text: str, random: Random, traces: set[str]) -> Any:
    """The text with made-up values in it; a number where the whole of it is `<<kind:number>>`."""
    text = text.replace("<<filler>>", _FILLER)

    def value_of(match: re.Match[str]) -> str:
        secret = KINDS[match[1]](random)
        traces.update(pieces(match[1], secret))
        for encoding in match[2].split(":")[1:]:
            secret = _ENCODINGS.get(encoding, str)(secret)
        return secret

    filled = _PLACEHOLDER.sub(value_of, text)
    return int(filled) if text.endswith(":number>>") and filled.isdigit() else filled


def _texts(folder: str) -> Iterator[tuple[str, str]]:
    for line in (FOLDER / folder / "texts.txt").read_text(encoding="utf-8").splitlines():
        kind, separator, text = line.partition(" | ")
        if separator and not line.startswith("#"):
            yield kind, text.replace("⏎", "\n")


def _events(folder: str) -> Iterator[Event]:
    for line in (FOLDER / folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
