"""Rules made ready to decide fast: one pass over the message finds which expressions it holds, a table the exceptions,
and only rules that can hold at all are tried."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from ingest.classification.expressions import Expressions, compiled
from ingest.classification.facts import Facts
from ingest.classification.reading import CODE_TAGS, Reading
from ingest.classification.rules import Conditions, Rule
from ingest.classification.shipped import shipped_rules

_Test = Callable[[Facts, Reading], bool]
_SEPARATOR = re.compile(r"[.:\\/]")


class RuleBook:
    """Rules in their order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self.tag_names = CODE_TAGS.union(name for rule in rules for name in rule.when.tags)
        self._by_expression: list[int] = []  # the shipped expressions' rules
        self._by_exception: dict[str, list[int]] = {}
        self._by_wildcard: list[tuple[_Matcher, int]] = []
        self._always: list[int] = []
        self._has_message: set[int] = set()
        self._tests: list[tuple[_Test, ...]] = []
        harmless = {entry.rule.name: entry.rule.when.message for entry in shipped_rules()}
        in_one_pass: list[str] = []
        for place, rule in enumerate(self._rules):
            when = rule.when
            tests = _tests_of(when)
            if when.message and harmless.get(rule.name) == when.message:
                in_one_pass += when.message
                self._by_expression += [place] * len(when.message)
                self._has_message.add(place)
            elif when.message:
                tests = (*tests, _searches(when.message))
            self._tests.append(tests)
            if when.exception:
                self._index_exceptions(when.exception, place)
            elif place not in self._has_message:
                self._always.append(place)
        self._expressions = Expressions(in_one_pass)
        self._named = lru_cache(maxsize=4096)(self._places_of_name)

    def holding(self, facts: Facts, reading: Reading) -> Iterator[Rule]:
        """The rules that hold, in their order."""
        found = {self._by_expression[each] for each in self._expressions.found_in(reading.text)}
        named: set[int] = set()
        for name in reading.names:
            named |= self._named(name)
        places = named - (self._has_message - found)
        places.update(place for place in found if not self._rules[place].when.exception)
        for place in sorted([*places, *self._always]):
            if all(test(facts, reading) for test in self._tests[place]):
                yield self._rules[place]

    def _index_exceptions(self, patterns: tuple[str, ...], place: int) -> None:
        for pattern in patterns:
            folded = pattern.casefold()
            if "*" in pattern:
                self._by_wildcard.append((wildcards((pattern,)), place))
            else:
                self._by_exception.setdefault(folded, []).append(place)

    def _places_of_name(self, name: str) -> frozenset[int]:
        """The rules that ask for this exception, with its module or without."""
        bare = bare_name(name)
        found = {*self._by_exception.get(name.casefold(), ()), *self._by_exception.get(bare.casefold(), ())}
        found.update(place for matches, place in self._by_wildcard if matches(name) or matches(bare))
        return frozenset(found)


_Matcher = Callable[[str], bool]


def bare_name(name: str) -> str:
    """An exception's name without its module, in any language's spelling."""
    return _SEPARATOR.split(name)[-1] or name


def wildcards(patterns: Sequence[str]) -> _Matcher:
    """Whether a text is one of `patterns`, in which * stands for anything; small and capital letters are the same."""
    exact = frozenset(pattern.casefold() for pattern in patterns if "*" not in pattern)
    loose = [
        compiled(r"(?s)\A" + ".*".join(re.escape(part) for part in re.split(r"\*+", pattern)) + r"\z")
        for pattern in patterns
        if "*" in pattern
    ]

    def matches(text: str) -> bool:
        return text.casefold() in exact or any(each.search(text) is not None for each in loose)

    return matches


def _searches(expressions: Sequence[str]) -> _Test:
    """A user's own are searched for one by one: each has its own bound of memory."""
    patterns = [compiled(expression) for expression in expressions]
    return lambda _, reading: any(pattern.search(reading.text) is not None for pattern in patterns)


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
        tests.append(_has_node_type(wildcards(when.node_type)))
    if when.logger:
        tests.append(_has_logger(wildcards(when.logger)))
    tests += [_has_tag(name, wildcards(values)) for name, values in when.tags.items()]
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


def _has_node_type(matches: _Matcher) -> _Test:
    return lambda facts, _: bool(facts.node_type) and matches(facts.node_type)


def _has_logger(matches: _Matcher) -> _Test:
    return lambda facts, _: bool(facts.logger) and matches(facts.logger)


def _has_tag(name: str, matches: _Matcher) -> _Test:
    return lambda facts, _: any(tag == name and matches(value) for tag, value in facts.tags)
