"""Same cause, same group; different causes apart."""

from typing import Any

import pytest

from ingest.fingerprint import fingerprint, own_fingerprint, template


def frames(*functions: str, line: int = 1, file: str = "/srv/app/crm.py", in_app: bool = True) -> list[dict[str, Any]]:
    return [{"file": file, "line": line, "function": name, "in_app": in_app} for name in functions]


def of(message: str = "m", kind: str = "E", trace: list[dict[str, Any]] | None = None, source: str = "worker") -> str:
    metadata: dict[str, Any] = {"message": message, "exception": {"type": kind}}
    return fingerprint(source, metadata | ({"frames": trace} if trace else {}), message)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("user 17 not found", "user 90210 not found", id="numbers"),
        pytest.param(
            "run 9f86d081-884c-4d65-a62f-ea0c55ad015a failed",
            "run 11111111-2222-3333-4444-555555555555 failed",
            id="uuid",
        ),
        pytest.param("no file /var/a/b.txt", "no file /srv/c/d/e.txt", id="paths"),
        pytest.param("GET https://a.example/1 failed", "GET https://b.example/2?x=1 failed", id="urls"),
        pytest.param("at 2026-11-24T12:00:00Z", "at 2025-01-02 03:04:05.678", id="times"),
        pytest.param("key 'customer' missing", "key 'order' missing", id="quoted"),
        pytest.param("commit 9f86d081884c7d65", "commit a3bf4f1b2b0b822c", id="hex"),
        pytest.param("host 10.0.0.1:5432 is down", "host 192.168.7.12:5433 is down", id="addresses"),
    ],
)
def test_what_varies_does_not_split_a_group(one: str, other: str) -> None:
    assert template(one) == template(other)
    assert of(one) == of(other)


def test_a_status_is_a_cause() -> None:
    assert of("Error: HTTP 502") != of("Error: HTTP 404")


def test_lines_that_shift_do_not_split_a_group() -> None:
    assert of(trace=frames("a", "b", line=1)) == of(trace=frames("a", "b", line=99))


def test_recursion_depth_does_not_split_a_group() -> None:
    assert of(trace=frames("a", "walk", "walk")) == of(trace=frames("a", *["walk"] * 12))


def test_rebuilt_bundles_do_not_split_a_group() -> None:
    one = frames("f", file="/assets/app-3f2a1b9c.js")
    assert of(trace=one) == of(trace=frames("f", file="/assets/app-99aa88bb.js"))


def test_library_frames_do_not_count_beside_our_own() -> None:
    ours = frames("handler")
    assert of(trace=ours) == of(trace=ours + frames("send", file="/site-packages/http.py", in_app=False))


def test_types_functions_and_sources_tell_causes_apart() -> None:
    assert len({of(kind="A"), of(kind="B"), of(trace=frames("a")), of(trace=frames("b")), of(source="webhook")}) == 5


def own(given: object) -> str | None:
    return own_fingerprint(given, lambda: "1-default")


def test_a_placeholder_stands_for_the_group_that_it_would_be_otherwise() -> None:
    assert own(["{{ default }}", "tenant-7"]) == "1-default|tenant-7"
    assert own(["{{default}}"]) == "1-default"


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


@pytest.mark.parametrize("given", ["  ", [], [None], True, {"a": 1}])
def test_a_fingerprint_of_nothing_usable_is_none(given: Any) -> None:
    assert own(given) is None


def test_a_fingerprint_is_one_line_of_at_most_64_characters() -> None:
    assert own("a\n b") == "a b"
    assert len(own(["x" * 100_000] * 1000) or "") <= 64


def test_a_computed_fingerprint_names_its_version() -> None:
    version, digest = of().split("-")
    assert (version, len(bytes.fromhex(digest))) == ("1", 8)
