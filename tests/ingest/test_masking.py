"""No secret that the masking knows comes through the hall, and innocent texts stay as they are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hall import normalise
from ingest.masking import is_secret_key, mask_text, mask_value

NOW = datetime(2026, 11, 24, tzinfo=UTC)
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"

# (event, what must not be found in any byte of the result)
PLANTED: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"password": "hunter2-x"}}, "hunter2-x"),
    ({"metadata": {"user": {"Passwd": "hunter2-x"}}}, "hunter2-x"),
    ({"metadata": {"clientSecret": "hunter2-x"}}, "hunter2-x"),
    ({"metadata": {"x-api-key": "k-123456"}}, "k-123456"),
    ({"metadata": {"STRIPE_API_KEY": "k-123456"}}, "k-123456"),
    ({"metadata": {"set-cookie": "sid=abc123"}}, "abc123"),
    ({"metadata": {"headers": [["authorization", "Token abc123"]]}}, "abc123"),
    ({"metadata": {"headers": [{"name": "Cookie", "value": "a=abc123"}]}}, "abc123"),
    ({"metadata": {"access_token": {"value": "abc123"}}}, "abc123"),
    ({"metadata": {"deep": [[{"refresh_token": "abc123"}]]}}, "abc123"),
    ({"metadata": {"pin": 4711}}, "4711"),
    ({"metadata": {"cardNumber": "4242"}}, "4242"),
    ({"access_token": "abc123"}, "abc123"),
    ({"message": "Authorization: Bearer abcdef123456"}, "abcdef123456"),
    ({"message": "got bearer abcdef123456"}, "abcdef123456"),
    ({"message": "Basic dXNlcjpwYXNzd29yZA== refused"}, "dXNlcjpwYXNzd29yZA"),
    ({"message": f"bad token {JWT}"}, "dozjgNryP4J3jVmNHl0w5N"),
    ({"title": f"jwt {JWT}"}, "dozjgNryP4J3jVmNHl0w5N"),
    ({"fingerprint": ["a", "bob@example.com"]}, "bob@example.com"),
    ({"message": "key AKIAIOSFODNN7EXAMPLE"}, "AKIAIOSFODNN7EXAMPLE"),
    ({"message": "xoxb-123456789-abcdefgh"}, "abcdefgh"),
    ({"message": "https://hooks.slack.com/services/T000/B000/XXXXYYYY"}, "XXXXYYYY"),
    ({"message": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}, "abcdefghijklmnop"),
    ({"message": "sk_live_abcdefgh12345678"}, "abcdefgh12345678"),
    ({"message": "AIzaSyA1234567890abcdefghijklmnopqrstuv"}, "SyA1234567890"),
    ({"message": "mh_ingest_abcdefghijklmnopqrst"}, "abcdefghijklmnopqrst"),
    ({"message": "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"}, "MIIabc"),
    ({"message": "-----BEGIN PRIVATE KEY-----\nMIIabc cut off"}, "MIIabc"),
    ({"message": "postgres://app:s3cretpw@db:5432/x"}, "s3cretpw"),
    ({"message": "redis://:s3cretpw@cache/0"}, "s3cretpw"),
    ({"message": "GET /a?api_key=k123456&x=1"}, "k123456"),
    ({"message": "password=hunter2-x failed"}, "hunter2-x"),
    ({"message": "{'password': 'hunter2-x'}"}, "hunter2-x"),
    ({"message": '{"client_secret":"hunter2-x"}'}, "hunter2-x"),
    ({"message": json.dumps({"body": json.dumps({"token": "hunter2-x"})})}, "hunter2-x"),
    ({"message": "for bob@example.com"}, "bob@example.com"),
    ({"metadata": {"bob@example.com": 1}}, "bob@example.com"),
    ({"metadata": {"frames": [{"context_line": "login('bob@example.com')"}]}}, "bob@example.com"),
    ({"message": "card 4242 4242 4242 4242 declined"}, "4242 4242"),
    ({"message": "card 4242424242424242"}, "4242424242424242"),
    ({"stack": "at f (https://u:pw12345@host/x)"}, "pw12345"),
    ({"metadata": {"query": "a=1&session_id=abc123def"}}, "abc123def"),
    ({"message": "Cookie: sid=abc123; other=def456"}, "def456"),
]

INNOCENT = [
    "TypeError: fetch failed",
    "HTTP 502 from https://api.example.com/v1/contacts?page=2",
    "9f86d081-884c-4d65-a62f-ea0c55ad015a",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "v18.20.4-rc.1+build.20261124",
    "2026-11-24T12:00:00.123456+00:00",
    'File "/srv/app/keys.py", line 42, in token_count',
    "at Object.<anonymous> (/srv/app/node_modules/@sentry/node/index.js:10:5)",
    "keyboard interrupt",
    "author: Jane",
    "tokens_used: 512",
    "password is required",
    "token: missing",
    "KeyError: 'customer'",
    "order 20261124120000123",
    "epoch 1795521670000000",
    "trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "10.0.0.12:5432 refused",
    "max_tokens=4096",
    "Unexpected token < in JSON at position 0",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "step createContact failed after 5 of 5 tries",
    "deadlock detected: Process 1234 waits for ShareLock on transaction 5678",
    "user@host is no address without a dot",
]


@pytest.mark.parametrize(("event", "secret"), PLANTED, ids=[secret for _, secret in PLANTED])
def test_a_planted_secret_is_nowhere_in_the_event(event: dict[str, Any], secret: str) -> None:
    result = normalise(event, NOW)
    assert secret not in f"{result.metadata.decode()} {result.title} {result.fingerprint}"
    assert "[masked:" in f"{result.metadata.decode()} {result.title} {result.fingerprint}"


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_text_stays(text: str) -> None:
    assert json.loads(normalise({"message": text}, NOW).metadata)["message"] == text


@pytest.mark.parametrize(
    "key", ["token_count", "tokens_used", "author", "keyboard", "password_reset_required", "monkey", "key", "opinion"]
)
def test_an_innocent_key_stays(key: str) -> None:
    assert not is_secret_key(key)


def test_yes_and_no_and_nothing_stay() -> None:
    value = {"password": None, "token": True, "secret": ""}
    assert mask_value(value) == value


@given(st.text(max_size=300))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=20)), st.sampled_from(["password", "apiKey", "set-cookie"])
)
def test_a_secret_among_anything_is_found(around: dict[str, str], key: str) -> None:
    event = {"metadata": around | {"inner": [around, {key: "planted-secret-42"}]}}
    assert b"planted-secret-42" not in normalise(event, NOW).metadata


@pytest.mark.parametrize(
    "piece", ["a", "@", "=", "password=", "a@", "-----BEGIN ", "://", "Bearer ", "1 ", "eyJ", "{", "a.b@c.", "key: "]
)
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    mask_text(piece * (200_000 // len(piece)))
