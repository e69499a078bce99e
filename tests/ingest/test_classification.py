"""Type and severity of typical errors."""

from typing import Any

import pytest

from ingest.classification import classify, facts_of

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
