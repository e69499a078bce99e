"""Decides by ordered rules: the first that holds for an error names its type, and is named in the event."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from ingest.classification.facts import Facts
from ingest.classification.matching import RuleBook
from ingest.classification.reading import Reading, read
from ingest.classification.rules import DEFAULT, Rule, StoredRule
from ingest.classification.shipped import last_resorts, shipped_rules
from ingest.classification.titles import filled_title

_MOST_CACHED = 4096


class Verdict(NamedTuple):
    """`rule` names what decided; `title` is the one that it gives, None for the usual one."""

    error_type: str
    severity: str
    rule: str
    title: str | None = None


class _Decision(NamedTuple):
    """A verdict, and whether its severity follows from the tries rather than from a rule's word."""

    verdict: Verdict
    is_by_tries: bool


class Ordered(NamedTuple):
    """A rule in its place. `origin`: a user's own, a shipped one, or a shipped one that a user has changed; where that
    is switched off it decides nothing. `reason` is why a shipped rule is."""

    rule: Rule
    origin: Literal["own", "shipped", "changed"]
    is_enabled: bool
    reason: str | None


def ordered(own: Sequence[StoredRule] = ()) -> list[Ordered]:
    """All rules in the order in which they are tried: a user's own in their order, then the shipped ones, each of
    which the user's rule of the same name replaces."""
    shipped = shipped_rules()
    names = {entry.rule.name for entry in shipped}
    changed = {stored.rule.name: stored for stored in own if stored.rule.name in names}
    found = [Ordered(stored.rule, "own", stored.is_enabled, None) for stored in own if stored.rule.name not in names]
    for entry in shipped:
        stored = changed.get(entry.rule.name)
        if stored is None:
            found.append(Ordered(entry.rule, "shipped", True, entry.reason))
        else:
            found.append(Ordered(stored.rule, "changed", stored.is_enabled, entry.reason))
    return found


class Classifier:
    """Decides by the shipped rules and a user's own; safe for many threads. Verdicts about repeating facts come from a
    cache."""

    tag_names: frozenset[str]  # those that a rule asks for

    def __init__(self, own: Sequence[StoredRule] = ()) -> None:
        self.replace(own)

    def replace(self, own: Sequence[StoredRule]) -> None:
        """Decide by these rules of the user's from now on. An event that is being decided is decided by the old ones.
        What `check_together` would refuse must not come here."""
        book = RuleBook([entry.rule for entry in ordered(own) if entry.is_enabled])

        def decide(facts: Facts) -> _Decision:
            return _decision(book, facts)

        self.tag_names = book.tag_names
        self._decide: Callable[[Facts], _Decision] = lru_cache(maxsize=_MOST_CACHED)(decide)

    def classify(self, facts: Facts, error_type: str | None, severity: str | None) -> Verdict:
        """Given values win; what isn't given is decided by the rules."""
        verdict, is_by_tries = self._decide(facts)
        if error_type is None and severity is None:
            return verdict
        rule = "given" if error_type and severity else f"given, {verdict.rule}"
        kind = error_type or verdict.error_type
        if severity is None:
            severity = by_tries(read(facts), kind) if is_by_tries and kind != verdict.error_type else verdict.severity
        return Verdict(kind, severity, rule, verdict.title)


def by_tries(reading: Reading, error_type: str) -> str:
    """How bad an error is that no rule says more of: low where it will be tried again, high where it was the last try,
    given up, or nobody caught it; otherwise low for a wrong input, high for a broken system, and medium."""
    if reading.is_last_try is not None:
        return "high" if reading.is_last_try else "low"
    if reading.is_crash or error_type == "system":
        return "high"
    return "low" if error_type == "input" else "medium"


def _decision(book: RuleBook, facts: Facts) -> _Decision:
    """The first rule that holds; what it leaves open is decided by the next ones that hold."""
    reading = read(facts)
    error_type = severity = title = name = None
    for rule in _holding(book, facts, reading):
        name = name or rule.name
        severity = severity or rule.severity
        if title is None and rule.title is not None:
            title = filled_title(rule.title, _values(facts, reading))
        if rule.error_type is not None:
            error_type = rule.error_type
            break
    kind = error_type or "execution"
    verdict = Verdict(kind, severity or by_tries(reading, kind), name or DEFAULT, title)
    return _Decision(verdict, severity is None)


def _holding(book: RuleBook, facts: Facts, reading: Reading) -> Iterator[Rule]:
    """The rules that hold. Before one that is a last resort come those that hold for the error's causes: a wrapper
    tells nothing of what went wrong."""
    for rule in book.holding(facts, reading):
        for name, message in facts.causes if rule.name in last_resorts() else ():
            inner = facts._replace(exception=name, module="", message=message, value="", causes=())
            yield from (each for each in book.holding(inner, read(inner)) if each.name not in last_resorts())
        yield rule


def _values(facts: Facts, reading: Reading) -> dict[str, str]:
    text = (facts.message or facts.value).strip()
    return {
        "exception": reading.exception,
        "message": text.partition("\n")[0].strip(),
        "node": facts.node,
        "node_type": facts.node_type,
        "http_status": "" if reading.http_status is None else str(reading.http_status),
        "attempt": "" if facts.attempt is None else str(facts.attempt),
        "source": facts.source,
        "logger": facts.logger,
    }
