"""A caller's own fingerprint wins."""

from typing import Any

import pytest

from ingest.fingerprint import own_fingerprint


def own(given: object) -> str | None:
    return own_fingerprint(given, lambda: "2-default")


def test_a_placeholder_stands_for_the_group_that_it_would_be_otherwise() -> None:
    assert own(["{{ default }}", "tenant-7"]) == "2-default|tenant-7"
    assert own(["{{default}}"]) == "2-default"


def test_the_caller_s_own_wins() -> None:
    assert own("billing") == "billing"
    assert own(["billing", 42]) == "billing|42"
    assert own("x" * 500) == own("x" * 500)
    assert len(own("x" * 500) or "") < 64
    assert own({}) is None


def test_the_caller_s_own_is_masked_before_it_is_shortened() -> None:
    assert own(["billing", "bob@example.com"]) == "billing|[masked:email]"
    long = "billing " * 7
    assert own(f"{long}ann@example.com") == own(f"{long}bob@example.com")


def test_an_installation_s_own_masking_applies_to_it() -> None:
    def mask(value: Any) -> Any:
        return [mask(item) for item in value] if isinstance(value, list) else str(value).replace("secret", "[masked]")

    assert own_fingerprint(["a", "my secret"], lambda: "2-default", mask) == "a|my [masked]"


@pytest.mark.parametrize("given", ["  ", [], [None], True, {"a": 1}])
def test_a_fingerprint_of_nothing_usable_is_none(given: Any) -> None:
    assert own(given) is None


def test_a_fingerprint_is_one_line_of_at_most_64_characters() -> None:
    assert own("a\n b") == "a b"
    assert len(own(["x" * 100_000] * 1000) or "") <= 64
