"""Takes secrets out of texts and JSON values, by one installation's policy.

One look (`trigger`) spares texts that can't hold a secret. It must match wherever a rule could: a test checks.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import re2

from ingest.masking.beside import ASSIGNED, Beside
from ingest.masking.escapes import apart, begins_words, joined
from ingest.masking.look import Look
from ingest.masking.looks import ALSO, LATE_LOOKS, LOOKS
from ingest.masking.marks import MARK, Marks, mark_of_name
from ingest.masking.names import KeyNames
from ingest.masking.numbers import is_card
from ingest.masking.own import Allowed, OwnPatterns
from ingest.masking.percent import DEEPEST, may_be_encoded, meanings, through_percent
from ingest.masking.policy import Policy
from ingest.masking.randomness import has_random
from ingest.masking.spoken import FORMS
from ingest.models import JsonObject

MAX_DEPTH = 40
CUT = "[cut]"
PHONE_NAMES = ("phone", "telephone", "msisdn", "mobile_number", "fax_number")
_HEADER_NAMES = ("name", "key", "header", "field", "Name", "Key")
_HEADER_VALUES = ("value", "values", "Value", "Values")
_MOST_PASSES = 4
_MOST_INNOCENT, _LONGEST_INNOCENT = 8192, 120


class Rule(NamedTuple):
    """`hints`: one of them must occur in the lower-case text. `trigger`: a narrower form of them, for RE2."""

    hints: tuple[str, ...]
    hide: Callable[[str], str]
    trigger: str


class Masker:
    """Works by `policy`. Marks are keyed by the installation's `secret_key`; without one they name the kind alone. For
    many threads."""

    def __init__(self, policy: Policy | None = None, secret_key: str = "") -> None:
        policy = policy or Policy()
        phones = PHONE_NAMES if "phone" in policy.also else ()
        self.names = KeyNames((*policy.keys, *phones), policy.allowed_keys)
        self._marks = Marks(secret_key)
        self._stays = Allowed(policy)
        self._own = OwnPatterns(policy.patterns, self._marks, self._stays) if policy.patterns else None
        self._early, self._late = self._rules(policy)
        self.rules = (*self._early, *self._late)
        self._trigger = re2.compile(f"(?i){'|'.join(dict.fromkeys(rule.trigger for rule in self.rules))}".encode())
        self._shortest = 1 if policy.patterns or policy.also else 5
        self._innocent: set[str] = set()  # errors repeat files, functions and tags; a secret is never kept here
        self._key = lru_cache(maxsize=8192)(self._judge)

    def _rules(self, policy: Policy) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        beside = Beside(self.names, self._stays)
        named = self.names.trigger
        also = [look for kind in policy.also for look in ALSO[kind]]
        early = (
            *(self._rule(look) for look in LOOKS),
            *(Rule(form.hints, partial(beside.spoken, form), named) for form in FORMS),
            Rule(ASSIGNED, beside.assigned, named),
            self._rule(LATE_LOOKS[0]),
        )
        return early, tuple(self._rule(look) for look in (*LATE_LOOKS[1:], *also))

    def _rule(self, look: Look) -> Rule:
        group = "secret" if "secret" in look.expression.groupindex else 0

        def replacement(match: re.Match[str]) -> str:
            secret = match[group]
            if (look.holds and not look.holds(match)) or MARK.fullmatch(secret) or self._stays(secret):
                return match[0]
            mark = self._marks.keyed(look.kind, look.normal(secret)) if look.normal else self._marks.plain(look.kind)
            begin, end = (position - match.start() for position in match.span(group))
            return f"{match[0][:begin]}{mark}{match[0][end:]}"

        return Rule(look.hints, partial(look.expression.sub, replacement), look.trigger)

    def needs_walk(self, document: bytes) -> bool:
        """Whether a JSON document may hold a secret. May answer True without need, never False."""
        if self._trigger.search(document) is not None or (may_be_encoded(document) and self._may_mean(document)):
            return True
        return self._own is not None and self._own.may_be_in_document(document)

    def _may_mean(self, encoded: bytes) -> bool:
        """Whether what is percent-encoded may hold a secret."""
        return any(self._trigger.search(meant) is not None for meant in meanings(encoded))

    def _is_suspect(self, encoded: bytes) -> bool:
        """The same for a text."""
        if self._trigger.search(encoded) is not None or (may_be_encoded(encoded) and self._may_mean(encoded)):
            return True
        return self._own is not None and self._own.may_be_in(encoded)

    def text(self, text: str) -> str:
        """`text` with every secret that is recognised replaced by a mark."""
        if len(text) < self._shortest or text in self._innocent:
            return text
        if not self._is_suspect(text.encode("utf-8", "replace")):
            if len(text) <= _LONGEST_INNOCENT:
                if len(self._innocent) >= _MOST_INNOCENT:
                    self._innocent.clear()
                self._innocent.add(text)
            return text
        for _ in range(_MOST_PASSES):  # what is hidden can lay another secret bare; nearly always the first is enough
            before, text = text, self.once(text)
            if text == before:
                return text
        return text if self._own is None or self._own.hide(text) == text else "[masked:text]"

    def once(self, text: str, depth: int = 0) -> str:
        """One pass of all rules, without the first look. `depth`: how often percent-encoding was undone."""
        if self._own is not None and depth == 0:
            text = self._own.hide(text)
        text = self._ruled(text, depth)
        if not begins_words(text):
            return text
        return joined(self._ruled(apart(text), depth))

    def _ruled(self, text: str, depth: int) -> str:
        text = _applied(self._early, text)
        if depth < DEEPEST:  # before the rest, since a part of what is encoded may look like an address
            text = through_percent(text, partial(self.once, depth=depth + 1))
        return _applied(self._late, text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """A copy of a JSON value without secrets, NUL characters and lone surrogates; deeper than 40 levels is cut."""
        if isinstance(value, str):
            return self.text(clean(value))
        if isinstance(value, dict):
            return self._object(value, depth) if depth < MAX_DEPTH else CUT
        if isinstance(value, list | tuple):
            return self._list(list(value), depth) if depth < MAX_DEPTH else CUT
        return _number(value) if isinstance(value, int | float) else value

    def _object(self, value: JsonObject, depth: int) -> dict[str, Any]:
        masked: dict[str, Any] = {}
        hidden, telling = self._header_of(value)
        for key, item in value.items():
            name, told, is_secret, may_be = self._key(key) if len(key) <= 200 else self._judge(key)
            while name in masked:  # two names that look the same once they are masked
                name = f"{name} {len(masked)}"
            if key in hidden:
                masked[name] = self._hidden(telling, item)
            elif may_be and isinstance(item, str) and has_random(item):
                masked[name] = self._hidden(told, item)
            elif not is_secret or item is None or isinstance(item, bool):
                flat = isinstance(item, list) and name.lower().endswith("headers")
                masked[name] = self.value(self._hide_flat(item) if flat else item, depth + 1)
            else:
                masked[name] = self._hidden(told, item)
        return masked

    def _judge(self, key: str) -> tuple[str, str, bool, bool]:
        """The name as it is kept, what of it may tell, whether it does, and whether it does of a random value."""
        name = self.text(clean(key))
        told = MARK.sub("", name)[-200:]
        return name, told, self.names.is_secret(told), self.names.may_be_secret(told)

    def _hidden(self, name: str, item: Any) -> Any:
        """What stands in place of a value under a telling name."""
        if isinstance(item, str) and (not item or MARK.fullmatch(item) or self._stays(item)):
            return item
        return mark_of_name(name)

    def _header_of(self, value: JsonObject) -> tuple[tuple[str, ...], str]:
        """{"name": "authorization", "value": …} is as telling as {"authorization": …}: what to hide, and the name."""
        values = tuple(key for key in _HEADER_VALUES if key in value)
        names = [value[key] for key in _HEADER_NAMES if isinstance(value.get(key), str)] if values else []
        telling = next((name for name in names if self.names.is_secret(name[-200:])), None)
        return (values, telling) if telling else ((), "")

    def _hide_flat(self, items: list[Any]) -> list[Any]:
        """Headers as Node keeps them: name, value, name, value."""
        hidden = list(items)
        for position in range(0, len(items) - 1, 2):
            name, item = items[position : position + 2]
            if isinstance(name, str) and isinstance(item, str) and self.names.is_secret(name[-200:]):
                hidden[position + 1] = self._hidden(name, item)
        return hidden

    def _list(self, items: list[Any], depth: int) -> list[Any]:
        if 2 <= len(items) <= 3 and isinstance(items[0], str) and isinstance(items[1], str):
            name = items[0]
            if self.names.is_secret(name[-200:]):
                items = [name, self._hidden(name, items[1]), *items[2:]]  # a header as a pair
        return [self.value(item, depth + 1) for item in items]


def _applied(rules: tuple[Rule, ...], text: str) -> str:
    lowered = text.lower()
    for hints, hide, _trigger in rules:
        if any(map(lowered.__contains__, hints)):
            text = hide(text)
    return text


def _number(value: float) -> Any:
    if -(10**12) < value < 10**12:
        return value
    if isinstance(value, int) and value.bit_length() > 1024:
        return CUT  # Python refuses to write much longer ones
    whole = isinstance(value, int) or value.is_integer()
    return "[masked:card]" if whole and is_card(str(abs(int(value)))) else value


def clean(text: str) -> str:
    """`text` as Postgres and UTF-8 can hold it."""
    if "\x00" in text:
        text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
