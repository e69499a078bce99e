"""What an installation wants masked, and what it wants to keep, beyond the usual; and marks that can be compared."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from ingest.database import Connection
from ingest.doors.meshhook.run_states import save_runs
from ingest.doors.meshhook.runs import Exhausted, Run
from ingest.exceptions import InvalidEvent
from ingest.hall import hall_of
from ingest.masking import Masker, mask_text, policy_of
from ingest.masking.beside import ASSIGNED_EXAMPLES
from ingest.masking.look import Look
from ingest.masking.looks import ALSO, LATE_LOOKS, LOOKS
from ingest.masking.marks import MARK
from ingest.masking.spoken import FORMS
from ingest.settings import BadSettings, Settings, read_settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEY = base64.urlsafe_b64encode(b"one key of thirty-two bytes here").decode()
OTHER_KEY = base64.urlsafe_b64encode(b"another key of thirty-two bytes!").decode()
KEYS = ["customer_no", "patientId", "x-internal-ref", "Steuernummer", "kundenschlüssel"]
PATTERNS = (
    r"customer#=K-[0-9]{6} ticket=^T[0-9]{8}$ order=\border\s[0-9]{4}\b quoted=\x22[a-z]+\x22"
    r" path=C:\\secret\\[a-z]+"
)
ALLOW = "key=session value=support@example.com value=changeme pattern=[a-z.]+@example\\.org"
MASKER = Masker(policy_of(" ".join(KEYS), PATTERNS, ALLOW, "phone ip"), KEY)
PLAIN = Masker(secret_key=KEY)


def masked_event(raw: dict[str, Any], **options: Any) -> str:
    event = hall_of(Settings(secret_key=KEY, **options)).normalise(raw, NOW)
    return f"{event.metadata.decode()} {event.title} {event.fingerprint}"


@pytest.mark.parametrize("text", [*ASSIGNED_EXAMPLES, *(form.example for form in FORMS)])
def test_the_examples_of_the_docs_are_masked(text: str) -> None:
    masked = mask_text(f"so: {text}".replace("⏎", "\n"))
    assert "Zq7Xw9Lm" not in masked
    assert "8a7b1d3f" not in masked.lower()


@pytest.mark.parametrize("look", [*LOOKS, *LATE_LOOKS], ids=lambda look: look.example[:20])
def test_each_look_is_masked_as_its_kind(look: Look) -> None:
    assert f"[masked:{look.kind}]" in mask_text(f"it was ({look.example}), and more")


@pytest.mark.parametrize(("name", "look"), [(name, look) for name, looks in ALSO.items() for look in looks])
def test_what_is_masked_on_demand_stays_without_it(name: str, look: Look) -> None:
    text = f"it was ({look.example}), and more"
    assert mask_text(text) == text
    assert f"[masked:{look.kind}]" in Masker(policy_of(also=name)).text(text)


# Key names


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A configured name in some spelling, alone or within a longer name."""
    words = draw(
        st.sampled_from(
            [["customer", "no"], ["patient", "id"], ["x", "internal", "ref"], ["steuernummer"], ["kundenschlüssel"]]
        )
    )
    style = draw(st.sampled_from(["snake", "kebab", "camel", "pascal", "upper", "dotted", "spaced"]))
    if style in ("camel", "pascal"):
        before = draw(st.sampled_from(["", "old", "the"]))
        name = "".join(word.capitalize() for word in ([before] if before else []) + words)
        return name if style == "pascal" else name[0].lower() + name[1:]
    gap = {"snake": "_", "kebab": "-", "upper": "_", "dotted": ".", "spaced": " "}[style]
    around = draw(st.sampled_from([[], ["old"], ["a", "b"]]))
    name = gap.join(around + words + draw(st.sampled_from([[], ["s"], ["text"]])))
    return name.upper() if style == "upper" else name


NESTING = st.recursive(
    st.just("{}"),
    lambda inner: st.one_of(
        inner.map(lambda text: f'[1,{text},"x"]'),
        inner.map(lambda text: f'{{"outer":{text}}}'),
        inner.map(lambda text: f'{{"headers":[{text}],"b":null}}'),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(spelled(), NESTING, st.sampled_from(["planted-42", 421337, ["planted-42"], {"value": "planted-42"}]))
def test_a_value_under_any_spelling_of_a_configured_name_is_hidden_at_any_depth(
    name: str, nesting: str, planted: Any
) -> None:
    value = json.loads(nesting.replace("{}", json.dumps({name: planted, "by": "x"})))
    assert MASKER.needs_walk(to_json(value))
    assert "planted" not in str(MASKER.value(value))
    assert "421337" not in str(MASKER.value(value))


@given(
    spelled().filter(lambda name: " " not in name), st.sampled_from(["{}=planted", '"{}": "planted"', "{}: planted"])
)
def test_a_value_beside_a_configured_name_in_a_text_is_hidden(name: str, form: str) -> None:
    assert "planted" not in MASKER.text(f"failed with {form.format(name)}, sorry")


def test_the_configured_names_are_told_from_their_neighbours() -> None:
    value = {"customer": 1, "customer_note": 2, "patient_idle": 3, "customer_no_count": 4, "reference": 5}
    assert MASKER.value(value) == value


# Patterns


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("T20261124", "[masked:ticket]"),
        ("first\nT20261124\nlast", "first\n[masked:ticket]\nlast"),
        ("not T20261124", "not T20261124"),
        ("an order 1234\tgone", "an [masked:order]\tgone"),
        ('said "hello" to', "said [masked:quoted] to"),
        (r"at C:\secret\files today", "at [masked:path] today"),
    ],
)
def test_an_own_pattern_finds_in_a_document_what_it_finds_in_a_text(text: str, masked: str) -> None:
    assert MASKER.text(text) == masked
    document = to_json({"a": text})
    assert MASKER.needs_walk(document) or text == masked
    assert MASKER.value({"a": text}) == {"a": masked}


TEXTS = st.text(st.sampled_from('K-T0123456789or der"\\\n\t\x08\x0ca-zC:secret/äя[masked:customer]@.'), max_size=40)
WORDS = """K-123456 T20261124 "abc" [masked:email:1f3a9c04] [masked:customer:12345678] ann@example.com +491711234567
    10.0.0.7 2001:db8::7 DE89370400440532013000 customerNo= support@example.com password= changeme 1 : \\ C:\\secret\\x
    %40 ü"""
TELLING = st.lists(st.sampled_from([*WORDS.split(), "order 1234", " ", "\n"]), max_size=8).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(TEXTS, TELLING))
@example('"\\"a"')
@example("+491711234567" * 6)
@example("T20261124[masked:email:1f3a9c04]T20261124")
def test_masking_twice_changes_nothing_more_and_no_document_is_spared_wrongly(text: str) -> None:
    once = MASKER.text(text)
    assert MASKER.text(once) == once
    assert once == text or MASKER.needs_walk(to_json({"a": text}))
    assert PLAIN.text(PLAIN.text(text)) == PLAIN.text(text)


@given(st.text("abcdefghijklmnopqrstuvwyz ,;\n", max_size=200))
def test_a_text_that_holds_nothing_of_it_stays(text: str) -> None:
    assert MASKER.text(text) == text


def test_patterns_that_lay_each_other_bare_without_end_hide_the_whole() -> None:
    masker = Masker(policy_of(patterns=r"x=\bx"))
    once = masker.text("x" * 50)
    assert "x" not in once.replace("[masked:x]", "").replace("[masked:text]", "")
    assert masker.text(once) == once


@pytest.mark.timeout(20)
@pytest.mark.parametrize("expression", [r"[a-z]{1,140}", r"(a|b)*a(a|b){20}", r"(a?){70}b", r".*.*=.*", r"\pL+\s\pL+"])
def test_a_wild_expression_and_a_wild_text_take_linear_time(expression: str) -> None:
    masker = Masker(policy_of(patterns=f"wild={expression}"))
    for piece in ("a", "ab", "a ", "ä"):
        masker.text(piece * (100_000 // len(piece)))


# What stays


def test_what_is_allowed_stays_and_nothing_else_does() -> None:
    assert MASKER.text("to support@example.com") == "to support@example.com"
    assert MASKER.text("to ann@example.org") == "to ann@example.org"
    assert "support2" not in MASKER.text("to support2@example.com")
    assert "eve" not in MASKER.text("to eve@example.org.evil.com")
    assert MASKER.text("password=changeme") == "password=changeme"
    assert "changeme2" not in MASKER.text("password=changeme2")


def test_an_allowed_name_is_none_that_tells_but_its_values_are_still_looked_at() -> None:
    masked = MASKER.value({"session": "blue", "sessionId": "planted", "Session": "password=planted"})
    assert masked == {"session": "blue", "sessionId": "[masked:session_id]", "Session": "password=[masked:password]"}
    assert MASKER.value({"password": "changeme", "pin": "other"}) == {"password": "changeme", "pin": "[masked:pin]"}


# Marks that can be compared


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("Ann@Example.com", "ann%40example.com", "bob@example.com"),
        ("DE89 3704 0044 0532 0130 00", "de89370400440532013000", "GB82WEST12345698765432"),
        ("+49 171 1234567", "0049 171-1234567", "+49 171 1234568"),
        ("10.0.0.7", "::ffff:10.0.0.7", "10.0.0.8"),
        ("2001:db8::7", "2001:DB8:0:0:0:0:0:7", "2001:db8::8"),
        ("K-123456", "K-123456", "K-123457"),
    ],
)
def test_the_same_value_has_the_same_mark_and_another_value_another(one: str, same: str, other: str) -> None:
    marks = [MASKER.text(f"of {value}").removeprefix("of ") for value in (one, same, other)]
    assert all(MARK.fullmatch(mark) and mark.count(":") == 2 for mark in marks)
    assert marks[0] == marks[1] != marks[2]
    assert Masker(policy_of(patterns=PATTERNS, also="ip phone"), OTHER_KEY).text(f"of {one}") != f"of {marks[0]}"


def test_another_process_with_the_same_key_makes_the_same_mark() -> None:
    code = f"from ingest.masking import Masker; print(Masker(secret_key={KEY!r}).text('ann@example.com'), end='')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == PLAIN.text("ann@example.com") != mask_text("ann@example.com") == "[masked:email]"


@pytest.mark.parametrize(
    "text",
    ["password=ann@example.com", "Bearer ann4c9e1a7b2d", "card 4242 4242 4242 4242", "ghp_abcdefghijklmnopqrstuvwx"],
)
def test_a_password_a_token_or_a_card_has_no_hash(text: str) -> None:
    assert PLAIN.text(text) == mask_text(text)
    assert "[masked:" in mask_text(text)


def test_the_same_cause_for_two_people_is_one_group_and_the_errors_tell_them_apart() -> None:
    hall = hall_of(Settings(secret_key=KEY, mask_also="ip"))
    for form in (
        {"message": "no mailbox for {0}, gave up"},
        {"message": f"{'x ' * 470} no mailbox for {{0}} and {{0}} {'x' * 1000}"},
        {"title": "no mailbox for {0}"},
        {"message": "failed", "exception": {"type": "E<{0}>"}, "node": "to {0}"},
        {"exception": {"type": "E"}, "frames": [{"file": "a.py", "function": "send {0}", "in_app": True}]},
    ):
        of = [
            hall.normalise(json.loads(json.dumps(form).replace("{0}", value)), NOW)
            for value in ("ann@example.com", "bob@example.com")
        ]
        assert of[0].fingerprint == of[1].fingerprint
        assert (of[0].metadata, of[0].title) != (of[1].metadata, of[1].title)


# The whole hall


def test_everything_in_the_hall_goes_by_the_policy() -> None:
    raw = {
        "title": "for K-123456",
        "fingerprint": ["K-123456", "a"],
        "message": "for K-123456",
        "metadata": {"customerNo": 17, "a": {"K-123456": ["K-123456"]}},
        "workflow_id": "K-123456",
        "extra": "K-123456",
    }
    options = {"mask_keys": "customer_no", "mask_patterns": "customer=K-[0-9]{6}"}
    assert "K-123456" in masked_event(raw)
    assert "K-123456" not in masked_event(raw, **options)
    assert '"customerNo":"[masked:customer_no]"' in masked_event(raw, **options)
    with pytest.raises(InvalidEvent):
        masked_event({"error_type": "k-123456"}, mask_patterns="customer=(?i)K-[0-9]{6}")


def test_the_states_of_runs_are_kept_by_the_policy(connection: Connection) -> None:
    run = Run(uuid4(), NOW, NOW)
    run.last_node = "node of K-123456"
    run.exhausted = Exhausted(1, NOW, "node of K-123456", error="for K-123456 and ann@example.com")
    save_runs(connection, [run], MASKER)
    kept = connection.execute("select last_node, exhausted from meshhook_errors.meshhook_runs").fetchone()
    assert "[masked:customer:" in str(kept)
    assert "K-123456" not in str(kept)
    assert "ann@" not in str(kept)


# The settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MASK_KEYS", "a", "no name of a key"),
        ("MASK_KEYS", " ".join(f"name{number}" for number in range(201)), "at most 200 names"),
        ("MASK_PATTERNS", "K-[0-9]+", "isn't NAME=EXPRESSION"),
        ("MASK_PATTERNS", "Name=x", "isn't NAME=EXPRESSION"),
        ("MASK_PATTERNS", "customer=K-([0-9]", "isn't understood"),
        ("MASK_PATTERNS", "customer=a(?=b)", "isn't understood"),
        ("MASK_PATTERNS", "customer=a)|(b", "isn't understood"),
        ("MASK_PATTERNS", "customer=K*", "matches the empty text"),
        ("MASK_PATTERNS", "customer=[a-z]{1,900}", "too large"),
        ("MASK_PATTERNS", "customer=" + "x" * 600, "too large"),
        ("MASK_PATTERNS", r"customer=\AK", "holds .+: write"),
        ("MASK_PATTERNS", " ".join(f"a{number}=b" for number in range(21)), "at most 20 patterns"),
        ("MASK_ALLOW", "session", "isn't key=NAME"),
        ("MASK_ALLOW", "pattern=(", "isn't understood"),
        ("MASK_ALSO", "names", "isn't one of phone, ip"),
    ],
)
def test_a_setting_that_can_not_be_used_stops_the_start_with_a_sentence(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MESHHOOK_ERRORS_{name}", value)
    with pytest.raises(BadSettings, match=said) as refused:
        read_settings()
    assert f"MESHHOOK_ERRORS_{name}: " in str(refused.value)
