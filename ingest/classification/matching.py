"""Rules made ready to decide fast: one pass over the message finds which expressions it holds, a table the exceptions,
and only rules that can hold at all are tried."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from ingest.classification.expressions import Expressions
from ingest.classification.facts import Facts
from ingest.classification.reading import CODE_TAGS, Reading
from ingest.classification.rules import Conditions, Rule
from ingest.classification.shipped import shipped_rules
from ingest.classification.wildcards import Matcher, matcher

_Test = Callable[[Facts, Reading], bool]
_SEPARATOR = re.compile(r"[.:\\/]")


class RuleBook:
    """Rules in their order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self.tag_names = CODE_TAGS.union(name for rule in rules for name in rule.when.tags)
        self._by_exception: dict[str, list[int]] = {}
        self._by_wildcard: list[tuple[Matcher, int]] = []
        self._always = [at for at, rule in enumerate(rules) if not (rule.when.exception or rule.when.message)]
        self._has_message = {at for at, rule in enumerate(rules) if rule.when.message}
        self._tests = [_tests_of(rule.when) for rule in rules]
        for at, rule in enumerate(rules):
            self._index_exceptions(rule.when.exception, at)
        self._searches = _searches_of(rules)
        self._named = lru_cache(maxsize=4096)(self._places_of_name)

    def holding(self, facts: Facts, reading: Reading) -> Iterator[Rule]:
        """The rules that hold, in their order."""
        found = {at for search in self._searches for at in search.found_in(reading.text)}
        named: set[int] = set()
        for name in reading.names:
            named |= self._named(name)
        places = named - (self._has_message - found)
        places.update(at for at in found if not self._rules[at].when.exception)
        for at in sorted([*places, *self._always]):
            if all(test(facts, reading) for test in self._tests[at]):
                yield self._rules[at]

    def _index_exceptions(self, patterns: tuple[str, ...], at: int) -> None:
        for pattern in patterns:
            if "*" not in pattern:
                self._by_exception.setdefault(pattern.casefold(), []).append(at)
        loose = [pattern for pattern in patterns if "*" in pattern]
        if loose:
            self._by_wildcard.append((matcher(loose), at))

    def _places_of_name(self, name: str) -> frozenset[int]:
        """The rules that ask for this exception, with its module or without."""
        bare = bare_name(name)
        found = {*self._by_exception.get(name.casefold(), ()), *self._by_exception.get(bare.casefold(), ())}
        found.update(place for matches, place in self._by_wildcard if matches(name) or matches(bare))
        return frozenset(found)


class _Search(NamedTuple):
    """Expressions, and the place of the rule that each belongs to; None where it is of a rule that isn't in force."""

    expressions: Expressions
    places: list[int | None]

    def found_in(self, text: str) -> Iterator[int]:
        for each in self.expressions.found_in(text):
            at = self.places[each]
            if at is not None:
                yield at


@cache
def _shipped_expressions() -> tuple[Expressions, list[tuple[str, tuple[str, ...]]]]:
    """Made once, however often a user changes rules: that takes a tenth of a second."""
    owners = [(entry.rule.name, entry.rule.when.message) for entry in shipped_rules() for _ in entry.rule.when.message]
    return Expressions([text for entry in shipped_rules() for text in entry.rule.when.message]), owners


def _searches_of(rules: Sequence[Rule]) -> list[_Search]:
    shipped, owners = _shipped_expressions()
    searched = {(rule.name, rule.when.message): at for at, rule in enumerate(rules) if rule.when.message}
    own = [(text, at) for owner, at in searched.items() if owner not in owners for text in owner[1]]
    searches = [_Search(shipped, [searched.get(owner) for owner in owners])]
    if own:
        searches.append(_Search(Expressions([text for text, _ in own]), [at for _, at in own]))
    return searches


def bare_name(name: str) -> str:
    """An exception's name without its module, in any language's spelling."""
    return _SEPARATOR.split(name)[-1] or name


def _tests_of(when: Conditions) -> tuple[_Test, ...]:
    """One for each condition but exception and message, cheap ones first."""
    tests: list[_Test] = []
    if when.source:
        tests.append(_is_source(frozenset(when.source)))
    if when.handled is not None:
        tests.append(_is_handled(when.handled))
    if when.last_try is not None:
        tests.append(_is_last_try(when.last_try))
    if when.http_status:
        tests.append(_has_status(when.http_status))
    if when.attempt is not None:
        tests.append(_is_attempt(when.attempt.first or 0, 2**31 if when.attempt.last is None else when.attempt.last))
    if when.node_type:
        tests.append(_has_node_type(matcher(when.node_type)))
    if when.logger:
        tests.append(_has_logger(matcher(when.logger)))
    tests += [_has_tag(name, matcher(values)) for name, values in when.tags.items()]
    return tuple(tests)


def _is_source(sources: frozenset[str]) -> _Test:
    return lambda facts, _: facts.source in sources


def _is_handled(handled: bool) -> _Test:
    return lambda facts, _: facts.handled is handled


def _is_last_try(last: bool) -> _Test:
    return lambda _, reading: reading.is_last_try is last


def _is_attempt(first: int, last: int) -> _Test:
    return lambda facts, _: facts.attempt is not None and first <= facts.attempt <= last


def _has_status(patterns: Sequence[str]) -> _Test:
    statuses: set[int] = set()
    for pattern in patterns:
        first, _, last = pattern.partition("-")
        if pattern.endswith("xx"):
            statuses.update(range(int(pattern[0]) * 100, int(pattern[0]) * 100 + 100))
        else:
            statuses.update(range(int(first), int(last or first) + 1))
    found = frozenset(statuses)
    return lambda _, reading: reading.http_status in found


def _has_node_type(matches: Matcher) -> _Test:
    return lambda facts, _: bool(facts.node_type) and matches(facts.node_type)


def _has_logger(matches: Matcher) -> _Test:
    return lambda facts, _: bool(facts.logger) and matches(facts.logger)


def _has_tag(name: str, matches: Matcher) -> _Test:
    return lambda facts, _: any(tag == name and matches(value) for tag, value in facts.tags)
