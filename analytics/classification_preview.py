"""What a draft of a rule would have caught: the classifier that would run, over what happened in the last days."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from analytics.classification_store import Rulebook, with_draft
from ingest.classification import Classifier, Rule, StoredRule, Verdict, facts_of
from ingest.classification.matching import RuleBook
from ingest.classification.reading import read
from ingest.database import Connection
from ingest.exceptions import StoreUnavailable
from ingest.models import JsonObject
from ingest.statements import load_statements

MOST_DAYS = 7
MOST_ROWS = 10_000
MOST_EXAMPLES = 20
_MOST_SECONDS = 8.0
_AT_ONCE = 200  # rows in memory: each may have 256 KB
_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class Change:
    """So many errors are classified as the first three say, and would be as the last two."""

    error_type: str
    severity: str
    classified_by: str
    new_error_type: str
    new_severity: str
    errors: int


@dataclass(frozen=True, slots=True)
class Example:
    """So many of the errors that would be caught have this title; `new_title` is the one that the rule would give. The
    id is that of the newest of them."""

    title: str
    new_title: str | None
    errors: int
    error_id: str


@dataclass(frozen=True, slots=True)
class Preview:
    """In errors, not rows. `since` is how far back was looked: the beginning of the days that were asked for where
    `is_all`. `without_details` are those that no rule can be tried on: they were only counted.

    `caught` are those about which the draft would have decided (`changes`, the most first); of others that it holds for
    the sender's word on both type and severity would have been kept (`kept_as_given`)."""

    since: datetime
    is_all: bool
    looked_at: int
    without_details: int
    caught: int
    kept_as_given: int
    changes: list[Change]
    examples: list[Example]


class _Row(NamedTuple):
    error_id: str
    timestamp: datetime
    source: str
    error_type: str
    severity: str
    title: str
    stands_for: int
    metadata: JsonObject


@dataclass(slots=True)
class _Sums:
    looked_at: int = 0
    without_details: int = 0
    kept_as_given: int = 0
    changes: Counter[tuple[str, str, str, str, str]] = field(default_factory=Counter)
    titles: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    newest: dict[tuple[str, str | None], str] = field(default_factory=dict)


class _Trial:
    """The rules as they would be beside those without the draft."""

    def __init__(self, book: Rulebook, draft: Rule, replaces: str | None, position: int | None) -> None:
        own = with_draft(book, draft, replaces=replaces, position=position)
        self._name = draft.name
        self._draft = RuleBook([draft])
        self._after = Classifier(own)
        self._without = Classifier([StoredRule(rule, is_on and rule.name != draft.name) for rule, is_on in own])
        self._tags = self._after.tag_names | self._without.tag_names
        self._types = {view.rule.name: view.rule.error_type for view in book.rules}

    def verdict(self, row: _Row) -> Verdict | None:
        """What would be said where the draft has a say in it: nobody else's rule stands before it, or it changes what
        the others say."""
        facts = facts_of(row.source, row.metadata, self._tags)
        if next(self._draft.holding(facts, read(facts)), None) is None:
            return None
        after = self._after.classify(facts, None, None)
        if after.rule == self._name or after != self._without.classify(facts, None, None):
            return after
        return None

    def with_given(self, row: _Row, classified_by: str, verdict: Verdict) -> tuple[str, str]:
        """Type and severity as they would be beside the one that the sender gave, where it gave one. Which of the two
        that was isn't stored: the type, if it is another one than the rule's of then; otherwise the severity."""
        if not classified_by.startswith("given, "):
            return verdict.error_type, verdict.severity
        by_rule = self._types.get(classified_by.removeprefix("given, "))
        if by_rule is not None and by_rule != row.error_type:
            return row.error_type, verdict.severity
        return verdict.error_type, row.severity


def preview(
    connection: Connection,
    book: Rulebook,
    draft: Rule,
    now: datetime,
    *,
    replaces: str | None = None,
    position: int | None = None,
    days: int = MOST_DAYS,
) -> Preview:
    """Try `draft` on the newest rows of the last `days` days (seven at most: give those that Postgres keeps), at the
    `position`-th place of the own rules (from 1), or where the rule stands that has its name or that it `replaces`;
    without any, as the last of them.

    Raises BadRequest for what can't be a rule beside the others, StoreUnavailable where Postgres is too busy.
    """
    trial = _Trial(book, draft, replaces, position)
    sums, since, is_all = _Sums(), now - timedelta(days=min(days, MOST_DAYS)), True
    until = time.monotonic() + _MOST_SECONDS
    for number, row in enumerate(_rows(connection, since), 1):
        _look_at(row, trial, sums)
        if number == MOST_ROWS or (number % _AT_ONCE == 0 and time.monotonic() > until):
            since, is_all = row.timestamp, False
            break
    changes = [Change(*key, errors) for key, errors in sums.changes.most_common()]
    examples = [Example(*key, errors, sums.newest[key]) for key, errors in sums.titles.most_common(MOST_EXAMPLES)]
    caught = sum(sums.changes.values())
    return Preview(since, is_all, sums.looked_at, sums.without_details, caught, sums.kept_as_given, changes, examples)


def _look_at(row: _Row, trial: _Trial, sums: _Sums) -> None:
    if row.metadata == {"counted": True}:
        sums.without_details += row.stands_for
        return
    sums.looked_at += row.stands_for
    verdict = trial.verdict(row)
    if verdict is None:
        return
    by: Any = row.metadata.get("classified_by")
    classified_by = by if isinstance(by, str) else ""
    if classified_by == "given":
        sums.kept_as_given += row.stands_for
        return
    would_be = trial.with_given(row, classified_by, verdict)
    sums.changes[row.error_type, row.severity, classified_by, *would_be] += row.stands_for
    title = row.title, verdict.title
    sums.titles[title] += row.stands_for
    sums.newest.setdefault(title, row.error_id)


def _rows(connection: Connection, since: datetime) -> Iterator[_Row]:
    """The newest first. Raises StoreUnavailable."""
    try:
        with connection.transaction(), connection.cursor("classification_preview") as cursor:
            connection.execute(_SQL["bounded"], {"milliseconds": str(int(_MOST_SECONDS * 1000))})
            cursor.itersize = _AT_ONCE
            cursor.execute(_SQL["newest_errors"], {"since": since, "limit": MOST_ROWS})
            for row in cursor:
                yield _Row(*row)
    except psycopg.errors.QueryCanceled:
        raise StoreUnavailable("Postgres is too busy to look through the last days. Try again shortly.") from None
