"""No secret that the masking knows comes through the hall, and innocent texts stay as they are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import to_json

from ingest.hall import Hall
from ingest.masking import USUAL, is_secret_key, mask_text, mask_value, needs_walk

normalise = Hall().normalise

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
    # Names
    *(
        ({"metadata": {"request": {key: ["Zq7Xw9Lm"]}}}, "Zq7Xw9Lm")
        for key in (
            "session", "PHPSESSID", "connect.sid", "auth", "basic_auth", "csrftoken", "dbpassword", "userPin",
            "credit_card", "cardnumber", "database_url_password", "error_token", "connection_string", "ssh_key",
            "AWSSecretKey", "accesstoken", "pass", "Proxy-Authorization", "api_keys", "credentials",
        )
    ),
    # Values after a name, in the forms that texts have them
    *(
        ({"message": text}, "Zq7Xw9Lm")
        for text in (
            "password='two words Zq7Xw9Lm'", "{'secret': b'Zq7Xw9Lm'}", '"token" : "a;b&c Zq7Xw9Lm"',
            r'"password":"a\"Zq7Xw9Lm"', "Authorization=Zq7Xw9Lm", '{"Authorization":"Zq7Xw9Lm"}',
            "Authorization: Digest username=bob, response=Zq7Xw9Lm", "curl -H 'Authorization: Zq7Xw9Lm' host",
            "user[password]=Zq7Xw9Lm", "user%5Bpin%5D=Zq7Xw9Lm", "%22token%22%3A%22Zq7Xw9Lm%22", "--token Zq7Xw9Lm",
            "<password>Zq7Xw9Lm</password>", '["password", "Zq7Xw9Lm"]', "('x-api-key', 'Zq7Xw9Lm')",
            "password is Zq7Xw9Lm", "url=password=Zq7Xw9Lm", "line one\npin: Zq7Xw9Lm", "password=ab,Zq7Xw9Lm",
            "password=ab)Zq7Xw9Lm", '{"credentials":{"user":"bob","word":"Zq7Xw9Lm"}}', "password = “Zq7Xw9Lm”",
            "login(password=Secret('Zq7Xw9Lm'))", "password=[masked:email]Zq7Xw9Lm", "Token [masked:jwt]Zq7Xw9Lm",
            "host=db;Password=Zq7Xw9Lm;", "'client_secret' => 'Zq7Xw9Lm'", "x" * 100_000 + " password=Zq7Xw9Lm",
        )
    ),
    # Looks
    ({"message": "k_AKIAIOSFODNN7EXAMPLE"}, "IOSFODNN7"),
    ({"message": "xapp-1-A02-123456-abcdef"}, "abcdef"),
    ({"message": "glpat-a1B2a1B2a1B2a1B2a1B2"}, "a1B2a1B2"),
    ({"message": "npm_" + "a1B2" * 9}, "a1B2a1B2"),
    ({"message": "ya29." + "a1B2" * 8}, "a1B2a1B2"),
    ({"message": "SG." + "a1B2" * 5 + "." + "c3D4" * 10}, "c3D4c3D4"),
    ({"message": "SK" + "0123456789abcdef" * 2}, "0123456789abcdef"),
    ({"message": "/api/webhooks/123456789012345678/" + "a1B2" * 8}, "a1B2a1B2"),
    ({"message": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nMIIabc"}, "MIIabc"),
    ({"message": "postgres://app:p@s3cretpw@db:5432/x"}, "s3cretpw"),
    ({"message": "postgres://app:p/s3cretpw@db:5432/x"}, "s3cretpw"),
    ({"message": "https://0123456789abcdef0123@errors.example/1"}, "0123456789abcdef0123"),
    ({"message": "https://h/?to=bob.smith%40example.com"}, "bob.smith"),
    ({"message": "bob.smith@müller.de"}, "bob.smith"),
    ({"message": "bobsmith" * 9 + "@example.com"}, "bobsmith"),
    ({"message": "amex 378282246310005."}, "378282246310005"),
    ({"message": "card_4242424242424242"}, "4242424242424242"),
    ({"message": "4242 4242 4242 4242 12 27"}, "4242 4242"),
    ({"metadata": {"number": 4242424242424242}}, "4242424242424242"),
    # Places
    ({"fingerprint": ["password", "Zq7Xw9Lm"]}, "Zq7Xw9Lm"),
    ({"workflow_id": "token=Zq7Xw9Lm", "run_id": ["token=Zq7Xw9Lm"]}, "Zq7Xw9Lm"),
    ({"title": {"password": "Zq7Xw9Lm"}}, "Zq7Xw9Lm"),
    ({"exception": {"type": "E", "value": "token=Zq7Xw9Lm"}, "node": "secret=Zq7Xw9Lm"}, "Zq7Xw9Lm"),
    ({"metadata": {"rawHeaders": ["Host", "x", "Authorization", "Zq7Xw9Lm"]}}, "Zq7Xw9Lm"),
    ({"metadata": {"headers": [{"Name": "authorization", "values": ["Zq7Xw9Lm"]}]}}, "Zq7Xw9Lm"),
    ({"metadata": {"fields": [{"name": "x", "key": "password", "value": "Zq7Xw9Lm"}]}}, "Zq7Xw9Lm"),
    ({"metadata": {"password": "[masked:email] Zq7Xw9Lm"}}, "Zq7Xw9Lm"),
    ({"metadata": {"4242424242424242.session": "x"}}, "4242424242424242"),
]  # fmt: skip

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
    "git@github.com:org/repo.git",
    "npm ERR! @scope/pkg@1.2.3",
    "docker.io/library/postgres@sha256:0123456789abcdef",
    "Basic authentication failed",
    "Bearer authentication required",
    "token authentication failed for user",
    "password: must be at least 8 characters",
    "secret: not set",
    "jwt: malformed",
    "api_key: not found",
    "SecretNotFoundException: prod/db",
    "TokenExpiredError: jwt expired",
    "AttributeError: 'Session' object has no attribute 'x'",
    "token = read_token(path)",
    "def login(user: str, password: str) -> None:",
    "https://example.com/reset-password?step=2",
    "https://host:8443/path?to=a&b=@c",
    "postgres://db:5432/x",
    "arn:aws:iam::123456789012:role/x",
    "lat 52.5200066 lng 13.4049540",
    "0.4242424242424242",
    "id=1234567890123456789012345",
    "msg_id 987654321098",
    "job 4242424242424243",
    "SQLSTATE[23505]: Unique violation: Key (email)=(x) already exists.",
    "ORA-00001: unique constraint",
    "primary_key=12",
    "KeyError: 'password'",
    "passing: 5 of 6",
    "secretary: Ann",
    "turkey: 4",
    "spin: 2",
    "task-1 on disk-2 in Asia/Tokyo: msg.id missing",
    "at async Promise.all (index 0)",
    "Error: connect ECONNREFUSED 127.0.0.1:5432",
    "tokenize: fast",
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
    "key",
    [
        "max_token_length",
        "session_timeout",
        "secret_name",
        "private_key_path",
        "primary_key",
        "total_tokens",
        "compass",
        "token_count",
        "tokens_used",
        "author",
        "keyboard",
        "password_reset_required",
        "monkey",
        "key",
        "opinion",
    ],
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


WORDS = """password pin userPin connect.sid x-api-key token Tokens secret Cookie authorization auth session sig
    dbPass key is was -- < </ > = : & @ %40 %5B %22 :// http a Zq7 hunter2 4242424242424242 4242-4242
    378282246310005 1 null missing Bearer Basic abcdef123456 eyJhbGciOi . eyJzdWIi -----BEGIN
    [masked:email] [masked:password] bob example com ü я “ ” ＝ AKIAIOSFODNN7EXAMPLE xoxb- 12345678 sk- sk_live_ - _ $
    %3D %253A %2525 %26 + signature state code= pass / Zq7Xw9Lm3Qe5Rt8U DE89370400440532013000 values identified by
    Set max count url \" ' ` \\ \\n [ ] { } ( ) , ; /x"""
SPACES = (" ", "\n", "\t", "\r", "\x1f")
PIECES = st.sampled_from([*WORDS.split(), *SPACES, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"])
TELLING_TEXTS = st.lists(PIECES, min_size=1, max_size=9).map("".join)


@given(TELLING_TEXTS)
@example("4242424242424242--x-api-key＝я")
@example("secret＝{4242-4242password}{")
def test_masking_what_looks_like_secrets_twice_changes_nothing_more(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


@given(TELLING_TEXTS)
@example("line\npin=4711")
@example("%5Bauth=b9")
def test_the_first_look_never_misses_what_a_rule_would_hide(text: str) -> None:
    assert USUAL.once(text) == text or (needs_walk(to_json({"a": text})) and needs_walk(text.encode()))
    assert not is_secret_key(text) or not text.isprintable() or needs_walk(to_json({text: "x"}))


def test_names_that_look_the_same_once_masked_are_both_kept() -> None:
    assert sorted(mask_value({"ann@example.com": 1, "bob@example.com": 2}).values()) == [1, 2]


def test_an_address_with_a_port_keeps_its_path() -> None:
    masked = mask_text("https://host:8443/users/17?to=bob@example.com")
    assert masked == "https://host:8443/users/17?to=[masked:email]"


def test_only_the_password_of_an_address_is_hidden() -> None:
    masked = mask_text("postgres://app:pw@db:5432/x?mail=bob@example.com")
    assert masked == "postgres://app:[masked:password]@db:5432/x?mail=[masked:email]"


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=20)), st.sampled_from(["password", "apiKey", "set-cookie"])
)
def test_a_secret_among_anything_is_found(around: dict[str, str], key: str) -> None:
    event = {"metadata": around | {"inner": [around, {key: "planted-secret-42"}]}}
    assert b"planted-secret-42" not in normalise(event, NOW).metadata


HOSTILE = [
    "a", "@", "=", "1", "1 ", "{", "a@", "@a.", "a@a.", "a.b@c.", "key: ", "://", "a://b:", "a://b:x@", "Bearer ",
    "eyJ", "-eyJ", "_eyJaaaaaaaa", "sk-", "SG.aaaaaaaaaaaaaaaaaa.", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "<a",
    "<password>", "--password ", "['a','", "[('token',", "token is 1", "%5B", "%aa", "\\n", "\\\\\"", "password=",
    "password: ", "password:'", "password=\\", "password=[", "password={", "cookie: ", 'Authorization: "', "4242-",
    "%2525", "a=%61", "a=+", "-u a:", "mysql -p", "sshpass -p", "DE89 3704 ", '<a name="p" value=', "'a-b','", "[]a{",
    "token a1", "token aaaaaaaaaaaaaaaa1", "credentials: a / ", "password\n", "signature=", "state: ", "password: a&b ",
    "code=aaaaaaaa1aaaaaaa&", " -> ", "(a,token) values (",
    "password=a,", "password=a)", "[masked:a]", "token=[masked:token]", "token = f(", "x.", "é@",
]  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_of_a_megabyte_takes_linear_time(piece: str) -> None:
    once = mask_text(piece * (1_000_000 // len(piece)))
    assert len(once) > 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "metadata", [{"a": ["password=planted-42"] * 500_000}, {"a": "password=planted-42 " * 500_000}]
)
def test_an_event_of_ten_megabytes_of_secrets_keeps_none_and_does_not_hang(metadata: dict[str, Any]) -> None:
    document = normalise({"metadata": metadata}, NOW).metadata
    assert b"planted" not in document
    assert b"[cut" in document


@pytest.mark.parametrize(
    "text",
    [
        r"C:\new\tables\report.txt for user=ann password=…, C:\bin\token is a file",
        r"it failed\nand then\ttwice, token=…, and\nat once",
        "\\nfirst \U000f006e and \U000f0072 stay, token=…",
    ],
)
def test_line_ends_that_are_written_out_stay_as_they_were(text: str) -> None:
    secret = "Zq7Xw9LmPq4r"
    masked = USUAL.text(text.replace("…", secret))
    assert masked.replace("[masked:token]", "…").replace("[masked:password]", "…") == text
