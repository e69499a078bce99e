"""Type and severity of typical errors."""

from typing import Any

import pytest

from ingest.classification import RULES, Classifier, facts_of

classify = Classifier().classify

CASES = [
    ("worker", {"message": "Error: HTTP 502"}, "execution", "medium"),
    ("worker", {"message": "Error: HTTP 404"}, "input", "low"),
    ("worker", {"message": "boom", "http_status": 503}, "execution", "medium"),
    ("webhook", {"message": "invalid signature", "http_status": 401}, "input", "low"),
    ("webhook", {"message": "crashed", "http_status": 500}, "system", "high"),
    ("worker", {"message": "TypeError: fetch failed"}, "system", "high"),
    ("worker", {"exception": {"type": "JSONDecodeError", "value": "Expecting value"}}, "input", "low"),
    ("worker", {"exception": {"type": "psycopg.OperationalError"}}, "system", "high"),
    ("worker", {"exception": {"type": "ZeroDivisionError"}}, "execution", "medium"),
    ("worker", {"exception": {"type": "ZeroDivisionError"}, "handled": False}, "execution", "high"),
    ("system", {"message": "mirror stopped"}, "system", "high"),
    ("worker", {"message": "Error: HTTP 502", "attempt": 2, "max_attempts": 5}, "execution", "low"),
    ("worker", {"message": "Error: HTTP 502", "attempt": 5, "max_attempts": 5}, "execution", "high"),
    ("worker", {"message": "deadlock detected"}, "system", "high"),
    ("webhook", {"message": "name is required"}, "input", "low"),
    ("worker", {"message": "slow down", "http_status": 429}, "execution", "medium"),
    ("webhook", {"exception": {"type": "KeyError", "value": "'id'"}}, "input", "low"),
    ("worker", {"exception": {"type": "KeyError", "value": "'id'"}}, "execution", "medium"),
    ("worker", {"exception": {"type": "ValueError", "value": "the payload has no id"}}, "input", "low"),
    ("worker", {"exception": {"type": "MemoryError"}}, "system", "high"),
    ("worker", {"message": "connect ECONNREFUSED 127.0.0.1:5432"}, "system", "high"),
    ("worker", {"message": ["odd"], "exception": "odd", "attempt": "x"}, "execution", "medium"),
]


@pytest.mark.parametrize(("source", "metadata", "error_type", "severity"), CASES)
def test_it_classifies(source: str, metadata: dict[str, Any], error_type: str, severity: str) -> None:
    verdict = classify(facts_of(source, metadata), None, None)
    assert (verdict.error_type, verdict.severity) == (error_type, severity)


def test_given_values_win_and_say_so() -> None:
    facts = facts_of("worker", {"message": "Error: HTTP 502"})
    assert classify(facts, "billing", "high") == ("billing", "high", "given")
    assert classify(facts, None, "low") == ("execution", "low", "given, http-upstream")


def test_rules_have_names_of_their_own_and_the_last_decides_whatever_is_left() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    facts = facts_of("worker", {})
    assert [rule.name for rule in RULES if rule.holds(facts, None, "")] == ["default"]


def test_the_first_rule_that_holds_decides() -> None:
    facts = facts_of("worker", {"http_status": 404, "exception": {"type": "ConnectionError"}})
    assert classify(facts, None, None).rule == "http-4xx"
