"""Rules: their order, each condition, a user's own beside the shipped ones, and what wrong ones are told."""

import random
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from analytics.wording import explained
from ingest.classification import (
    Classifier,
    Rule,
    StoredRule,
    Verdict,
    check_together,
    facts_of,
    ordered,
    shipped_rules,
)
from ingest.hall import Hall

SHIPPED = Classifier()

CASES = [
    ("worker", {"message": "Error: HTTP 502"}, "execution", "medium"),
    ("worker", {"message": "Error: HTTP 404"}, "input", "low"),
    ("worker", {"message": "boom", "http_status": 503}, "execution", "medium"),
    ("webhook", {"message": "invalid signature", "http_status": 401}, "input", "low"),
    ("webhook", {"message": "crashed", "http_status": 500}, "execution", "medium"),
    ("webhook", {"message": "unavailable", "http_status": 503}, "system", "high"),
    ("worker", {"message": "TypeError: fetch failed"}, "system", "high"),
    ("worker", {"exception": {"type": "JSONDecodeError", "value": "Expecting value"}}, "input", "low"),
    ("worker", {"exception": {"type": "psycopg.OperationalError"}}, "system", "high"),
    ("worker", {"exception": {"type": "ZeroDivisionError"}}, "execution", "medium"),
    ("worker", {"exception": {"type": "ZeroDivisionError"}, "handled": False}, "execution", "high"),
    ("system", {"message": "mirror stopped"}, "system", "high"),
    ("worker", {"message": "deadlock detected"}, "system", "high"),
    ("webhook", {"message": "name is required"}, "input", "low"),
    ("worker", {"message": "slow down", "http_status": 429}, "execution", "medium"),
    ("webhook", {"exception": {"type": "KeyError", "value": "'id'"}}, "input", "low"),
    ("worker", {"exception": {"type": "KeyError", "value": "'id'"}}, "execution", "medium"),
    ("worker", {"exception": {"type": "ValueError", "value": "the payload has no id"}}, "input", "low"),
    ("worker", {"exception": {"type": "MemoryError"}}, "system", "high"),
    ("worker", {"message": "connect ECONNREFUSED 127.0.0.1:5432"}, "system", "high"),
    ("worker", {"message": ["odd"], "exception": "odd", "attempt": "x"}, "execution", "medium"),
    # The log line says nothing, the exception does.
    (
        "worker",
        {"message": "step failed", "exception": {"type": "Error", "value": "read ECONNRESET"}},
        "system",
        "high",
    ),
    # The exception is named in the text only.
    ("worker", {"message": "step failed: ZeroDivisionError: division by zero"}, "execution", "medium"),
    # A wrapper says nothing, its cause does; an exception that says something itself needs no cause.
    (
        "worker",
        {"exception": {"type": "StepFailed", "value": "charge"}, "causes": [{"type": "gaierror", "module": "socket"}]},
        "system",
        "high",
    ),
    (
        "worker",
        {"exception": {"type": "RuntimeError"}, "causes": [{"type": "Error", "value": "JSON: Unexpected token }"}]},
        "input",
        "low",
    ),
    (
        "worker",
        {"exception": {"type": "ValidationError"}, "causes": [{"type": "KeyError", "value": "a"}]},
        "input",
        "low",
    ),
    ("worker", {"exception": {"type": "Odd"}, "causes": ["odd", {"type": 7}, {"value": ["x"]}]}, "execution", "medium"),
    # A code in a tag.
    ("worker", {"message": "odd", "tags": {"sqlstate": "23505"}}, "input", "low"),
]

# What is said of tries, and whether it was the last one.
TRIES = [
    ({"message": "Error: HTTP 502", "attempt": 2, "max_attempts": 5}, "low"),
    ({"message": "Error: HTTP 502", "attempt": 5, "max_attempts": 5}, "high"),
    ({"message": "Error: HTTP 404", "attempt": 5, "max_attempts": 5}, "high"),
    ({"message": "Error: HTTP 502, retrying in 4 s"}, "low"),
    ({"message": "Error: HTTP 502 (attempt 2 of 5)"}, "low"),
    ({"message": "Error: HTTP 502 (attempt 5/5)"}, "high"),
    ({"message": "Error: HTTP 502, giving up after 5 attempts"}, "high"),
    ({"message": "job 7 dead-lettered: Error: HTTP 404"}, "high"),
    ({"message": "Error: HTTP 502, retry limit reached"}, "high"),
    ({"message": "permanent failure, not retrying: Error: HTTP 404"}, "high"),
    ({"message": "Error: HTTP 502, backing off after 2 tries"}, "low"),
    ({"message": "Error: HTTP 502, message re-enqueued"}, "low"),
    ({"message": "Error: HTTP 502", "attempt": 2}, "medium"),
    # urllib3 says so of every request, also of one that was tried once
    ({"message": "Max retries exceeded with url: /a (Caused by timeout)", "attempt": 1, "max_attempts": 3}, "low"),
    ({"message": "panic: the impossible happened"}, "high"),
    ({"message": "panic: the impossible happened", "handled": True}, "medium"),
]

# A rule's condition, an error that fulfils it, and one that doesn't.
CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"source": ["webhook"]}, {"source": "webhook"}, {"source": "worker"}),
    ({"exception": ["OddError"]}, {"exception": {"type": "OddError"}}, {"exception": {"type": "OddErrors"}}),
    ({"exception": ["OddError"]}, {"exception": {"type": "app.OddError"}}, {"exception": {"type": "app.Odd"}}),
    (
        {"exception": ["app.odd.*"]},
        {"exception": {"type": "OddError", "module": "app.odd"}},
        {"exception": {"type": "OddError", "module": "app.even"}},
    ),
    ({"exception": ["*Timeout"]}, {"exception": {"type": "ReadTimeout"}}, {"exception": {"type": "TimeoutRead"}}),
    ({"exception": ["O*Er*r"]}, {"exception": {"type": "OddError"}}, {"exception": {"type": "OddErrors"}}),
    ({"exception": ["oddError"]}, {"message": "it said OddError: x"}, {"message": "it said Oddity: x"}),
    ({"message": [r"card \d+ declined"]}, {"message": "Card 12 Declined"}, {"message": "card declined"}),
    (
        {"message": ["declined"]},
        {"message": "step failed", "exception": {"type": "E", "value": "card declined"}},
        {"message": "step failed", "exception": {"type": "declined", "value": "card"}},
    ),
    ({"http_status": [404]}, {"http_status": 404}, {"http_status": 405}),
    ({"http_status": ["5xx"]}, {"message": "Error: HTTP 502"}, {"message": "Error: HTTP 404"}),
    ({"http_status": ["500-502"]}, {"http_status": 502}, {"http_status": 503}),
    ({"node_type": ["http_*"]}, {"node_type": "http_call"}, {"node_type": "loop"}),
    ({"attempt": {"from": 2, "to": 3}}, {"attempt": 3, "max_attempts": 9}, {"attempt": 4, "max_attempts": 9}),
    ({"attempt": {"from": 2}}, {"attempt": 2}, {"message": "no try is known"}),
    ({"last_try": True}, {"attempt": 3, "max_attempts": 3}, {"attempt": 2, "max_attempts": 3}),
    ({"last_try": False}, {"attempt": 2, "max_attempts": 3}, {"message": "no try is known"}),
    ({"handled": False}, {"handled": False}, {"message": "nothing is known of it"}),
    ({"logger": ["app.*", "db"]}, {"logger": "app.steps"}, {"logger": "db.pool"}),
    ({"tags": {"host": ["crm.*"]}}, {"tags": {"host": "crm.example"}}, {"tags": {"shop": "crm.example"}}),
    ({"tags": {"host": ["a"], "shop": ["7"]}}, {"tags": {"host": "a", "shop": 7}}, {"tags": {"host": "a"}}),
    ({"source": ["worker"], "http_status": [404]}, {"http_status": 404}, {"source": "webhook", "http_status": 404}),
    (
        {"exception": ["OddError"], "message": ["declined"]},
        {"exception": {"type": "OddError", "value": "declined"}},
        {"exception": {"type": "OddError", "value": "accepted"}},
    ),
]

# A wrong rule, and a part of the sentence that it gets.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "Über alles"}, "is no rule's name: take up to 64 small letters"),
    ({"name": 'a"b'}, "is no rule's name"),
    ({"name": "a" * 65}, "is no rule's name"),
    ({"name": "given"}, "Choose another name"),
    ({"error_type": None}, "give an error_type, a severity or a title"),
    ({"error_type": "two words"}, "is a short word such as execution"),
    ({"severity": "fatal"}, "severity: must be 'low', 'medium' or 'high'"),
    ({"colour": "red"}, "colour: isn't known here"),
    ({"when": {}}, "would hold for every error: give a condition"),
    ({"when": {"sauce": ["worker"]}}, "when.sauce: isn't known here"),
    ({"when": {"source": ["cron"]}}, "when.source: must be 'worker', 'webhook' or 'system'"),
    ({"when": {"http_status": ["4x"]}}, "write 404, 4xx or 500-504"),
    ({"when": {"http_status": ["504-500"]}}, "write 404, 4xx or 500-504"),
    ({"when": {"message": ["(a"]}}, "is no RE2 expression"),
    ({"when": {"message": [r"(a)\1"]}}, "back-references don't exist"),
    ({"when": {"message": ["(?=a)b"]}}, "look-around"),
    ({"when": {"message": ["a*"]}}, "is found in every text"),
    ({"when": {"message": ["(x{10}){100}y{900}"]}}, "too large an expression"),
    ({"when": {"message": [".{500}.{500}"]}}, "too large an expression"),
    ({"when": {"message": ["a" * 1001]}}, "has 1 to 1000 characters"),
    ({"when": {"message": ["\ud800"]}}, "half a character"),
    ({"when": {"exception": [f"E{number}" for number in range(101)]}}, "may have at most 100 entries"),
    ({"when": {"exception": ["a" * 201]}}, "may have at most 200 characters"),
    ({"when": {"exception": [""]}}, "must have at least 1 character"),
    ({"when": {"logger": ["a\nb"]}}, "Take it out"),
    ({"when": {"tags": {"host": []}}}, "needs a value: * stands for any"),
    ({"when": {"tags": {f"t{number}": ["a"] for number in range(21)}}}, "20"),
    ({"when": {"attempt": {}}}, "Say from which try"),
    ({"when": {"attempt": {"from": 3, "to": 2}}}, "Exchange from and to"),
    ({"when": {"attempt": {"from": -1}}}, "must be at least 0"),
    ({"when": {"last_try": "perhaps"}}, "must be true or false"),
    ({"title": "{password}"}, "{password} stands for nothing: use {exception}"),
    ({"title": "{node!r}"}, "stands for nothing"),
    ({"title": "{node.__class__}"}, "stands for nothing"),
    ({"title": "a } b"}, "A brace stands alone"),
    ({"title": "a" * 201}, "may have at most 200 characters"),
    ({"title": "a\u202eb"}, "Take it out"),
]


def own(name: str = "own", is_enabled: bool = True, **fields: Any) -> StoredRule:
    """A user's rule about OddError that says «odd», where nothing else is given."""
    values = {"when": {"exception": ["OddError"]}, "error_type": "odd"} | fields
    return StoredRule(Rule.model_validate({"name": name} | values), is_enabled)


def judged(classifier: Classifier, error: dict[str, Any]) -> Verdict:
    return classifier.classify(facts_of(error.get("source", "worker"), error), None, None)


ODD = {"exception": {"type": "OddError"}}


@pytest.mark.parametrize(("source", "metadata", "error_type", "severity"), CASES)
def test_it_classifies(source: str, metadata: dict[str, Any], error_type: str, severity: str) -> None:
    verdict = judged(SHIPPED, {"source": source, **metadata})
    assert (verdict.error_type, verdict.severity) == (error_type, severity), verdict


@pytest.mark.parametrize(("error", "severity"), TRIES)
def test_a_try_that_is_repeated_weighs_little_and_the_last_one_much(error: dict[str, Any], severity: str) -> None:
    assert judged(SHIPPED, error).severity == severity


def test_given_values_win_and_say_so() -> None:
    facts = facts_of("worker", {"message": "Error: HTTP 502"})
    assert SHIPPED.classify(facts, "billing", "high")[:3] == ("billing", "high", "given")
    assert SHIPPED.classify(facts, None, "low")[:3] == ("execution", "low", "given, upstream-failed")
    assert SHIPPED.classify(facts, "system", None)[:3] == ("system", "high", "given, upstream-failed")
    weighed = Classifier([own(when={"source": "worker"}, error_type=None, severity="low")])
    assert weighed.classify(facts, "system", None)[:3] == ("system", "low", "given, own")


@pytest.mark.parametrize(
    ("rule", "example"),
    [
        pytest.param(entry.rule, example, id=f"{entry.rule.name}-{number}")
        for entry in shipped_rules()
        for number, example in enumerate(entry.examples)
    ],
)
def test_a_shipped_rule_decides_its_examples_and_none_before_it_does(rule: Rule, example: dict[str, Any]) -> None:
    verdict = judged(SHIPPED, example)
    assert (verdict.rule, verdict.error_type) == (rule.name, rule.error_type)


def test_shipped_rules_have_names_of_their_own_a_reason_and_an_example() -> None:
    names = [entry.rule.name for entry in shipped_rules()]
    assert len(set(names)) == len(names)
    assert names[-1] == "default"
    for entry in shipped_rules():
        assert entry.examples, entry.rule.name
        assert entry.reason.endswith("."), entry.rule.name
        assert len(entry.reason) <= 120, entry.rule.name


def test_a_user_can_take_over_every_shipped_rule_as_it_is() -> None:
    copies = [Rule.model_validate_json(entry.rule.model_dump_json()) for entry in shipped_rules()]
    assert copies == [entry.rule for entry in shipped_rules()]
    check_together(copies)


@pytest.mark.parametrize(("when", "fulfils", "fails"), CONDITIONS)
def test_a_condition_holds_for_what_it_names_and_for_nothing_else(
    when: dict[str, Any], fulfils: dict[str, Any], fails: dict[str, Any]
) -> None:
    classifier = Classifier([own(when=when)])
    assert judged(classifier, fulfils).rule == "own"
    assert judged(classifier, fails).rule != "own"


def test_a_user_s_own_rules_stand_before_the_shipped_ones_in_their_order() -> None:
    rules = [own("first"), own("second", when={"exception": ["*"]})]
    assert judged(Classifier(rules), ODD).rule == "first"
    assert judged(Classifier(rules[::-1]), ODD).rule == "second"
    assert [entry.rule.name for entry in ordered(rules)][:2] == ["first", "second"]
    assert judged(Classifier([own(is_enabled=False)]), ODD).rule == "default"


def test_a_rule_with_a_shipped_one_s_name_stands_in_its_place() -> None:
    error = {"message": "Error: HTTP 502"}
    names = [entry.rule.name for entry in ordered()]
    shipped = shipped_rules()[names.index("upstream-failed")].rule
    changed = StoredRule(shipped.model_copy(update={"error_type": "vendor", "severity": "high"}))
    assert judged(Classifier([changed]), error)[:3] == ("vendor", "high", "upstream-failed")
    listed = ordered([changed, own()])
    assert [entry.rule.name for entry in listed] == ["own", *names]
    assert {entry.rule.name: entry.origin for entry in listed if entry.origin != "shipped"} == {
        "own": "own",
        "upstream-failed": "changed",
    }
    off = Classifier([changed._replace(is_enabled=False)])
    assert judged(off, error).rule != "upstream-failed"


def test_a_changed_rule_searches_for_its_new_words_and_not_for_the_old_ones() -> None:
    classifier = Classifier([own("deprecation", when={"message": ["obsolete"]}, error_type="old")])
    assert judged(classifier, {"message": "this is obsolete"})[::2] == ("old", "deprecation")
    assert judged(classifier, {"message": "DeprecationWarning: use b"}).rule != "deprecation"


def test_the_default_can_be_changed_and_is_still_there_when_it_is_switched_off() -> None:
    assert judged(Classifier([own("default", when={}, error_type="unknown")]), ODD)[::2] == ("unknown", "default")
    assert judged(Classifier([own("default", is_enabled=False)]), ODD)[::2] == ("execution", "default")


def test_what_a_rule_leaves_open_the_next_ones_decide() -> None:
    rules = [
        own("titled", error_type=None, title="Odd"),
        own("weighed", error_type=None, severity="low"),
        own("typed", severity="high", title="Typed"),
    ]
    assert judged(Classifier(rules), ODD) == ("odd", "low", "titled", "Odd")
    assert judged(Classifier(rules[:2]), ODD) == ("execution", "low", "titled", "Odd")


def test_a_rule_that_names_a_type_leaves_nothing_to_the_rules_behind_it() -> None:
    classifier = Classifier([own("typed"), own("behind", severity="low", title="Behind")])
    assert judged(classifier, ODD) == ("odd", "medium", "typed", None)


def test_a_last_resort_decides_where_the_causes_tell_no_more_than_it_does() -> None:
    error = {"exception": {"type": "RuntimeError"}, "causes": [{"type": "OddError", "value": "odd"}]}
    assert judged(SHIPPED, error).rule == "code-bug-weak"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("{exception} at {node} ({http_status})", "OddError at charge (502)"),
        ("{message}", "card declined"),
        ("{{{source}}} {node_type} {attempt} {logger}", "{worker} http_call 2 app"),
        ("plain", "plain"),
    ],
)
def test_a_title_is_filled_with_what_is_known(title: str, shown: str) -> None:
    error = ODD | {
        "message": "  card declined\nand more",
        "node": "charge",
        "node_type": "http_call",
        "http_status": 502,
        "attempt": 2,
        "logger": "app",
    }
    raw = {"source": "worker", "metadata": error}
    hall = Hall(Classifier([own(title=title)]))
    assert hall.normalise(raw, datetime.now(UTC)).title == shown
    assert hall.normalise(raw | {"title": "mine"}, datetime.now(UTC)).title == "mine"


def test_a_title_without_its_values_leaves_the_usual_one_and_none_re_groups() -> None:
    now, usual = datetime.now(UTC), Hall()
    by_rule = Hall(Classifier([own(title="at {node}")]))
    assert (
        by_rule.normalise({"metadata": ODD}, now).title == usual.normalise({"metadata": ODD}, now).title == "OddError"
    )
    raw = {"metadata": ODD | {"node": "charge"}}
    assert by_rule.normalise(raw, now).title == "at charge"
    assert by_rule.normalise(raw, now).fingerprint == usual.normalise(raw, now).fingerprint


def test_a_title_holds_nothing_that_masking_has_hidden() -> None:
    hall = Hall(Classifier([own(title="{message}")]))
    raw = {"metadata": ODD | {"message": "login with password=hunter2horse failed"}}
    assert "hunter2horse" not in hall.normalise(raw, datetime.now(UTC)).title


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
def test_a_wrong_rule_is_refused_with_a_sentence_that_says_what_to_do(fields: dict[str, Any], sentence: str) -> None:
    rule = {"name": "own", "when": {"source": ["worker"]}, "error_type": "odd"} | fields
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate(rule)
    told = " ".join(explained(caught.value.errors()))
    assert sentence in told


def test_one_value_needs_no_list_and_json_comes_back_as_it_went() -> None:
    rule = own(when={"source": "worker", "http_status": 404, "attempt": {"from": 1}, "tags": {"a": "b"}}).rule
    assert rule.when.http_status == ("404",)
    assert '"attempt":{"from":1,"to":null}' in rule.model_dump_json()
    assert Rule.model_validate_json(rule.model_dump_json()) == rule


def test_too_many_rules_a_name_twice_and_too_much_to_search_are_refused() -> None:
    with pytest.raises(ValueError, match="There is a rule 'own' already"):
        check_together([own().rule, own().rule])
    with pytest.raises(ValueError, match="There can be 200 rules"):
        check_together([own(f"r{number}").rule for number in range(201)])
    costly = [own(f"r{number}", when={"message": [f"x{number}(a?b){{150}}y"]}).rule for number in range(150)]
    with pytest.raises(ValueError, match="too much to search for"):
        check_together(costly)


@pytest.mark.timeout(20)
def test_a_hostile_expression_on_a_hostile_text_takes_a_moment_only() -> None:
    classifier = Classifier([own(when={"message": ["(a?b?){200}c", "(?:a.*){45}x", "((a+)+)+$z", "(.*)*y.*z.*q"]})])
    verdict = judged(classifier, {"message": "a" * 100_000, "exception": {"type": "E", "value": "ab" * 100_000}})
    assert verdict.rule != "own"


@pytest.mark.timeout(20)
def test_texts_of_any_kind_take_a_moment_only() -> None:
    chance = random.Random(7)
    words = " ".join(
        str(example.get("message", "x")) for entry in shipped_rules() for example in entry.examples
    ).split()
    for _ in range(200):
        assert judged(SHIPPED, {"message": " ".join(chance.choice(words) for _ in range(300))}).rule


def test_new_rules_hold_from_the_next_event_also_for_errors_that_were_decided_before() -> None:
    classifier = Classifier()
    assert judged(classifier, ODD).rule == "default"
    classifier.replace([own()])
    assert judged(classifier, ODD).rule == "own"
    classifier.replace([])
    assert judged(classifier, ODD).rule == "default"


def test_while_rules_are_replaced_every_event_is_decided_by_the_old_or_the_new_ones() -> None:
    classifier = Classifier([own("a", error_type="a", title="a")])
    seen: set[Verdict] = set()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            seen.add(judged(classifier, ODD))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    number, deadline = 0, time.monotonic() + 20
    while number < 40 or (len(seen) < 2 and time.monotonic() < deadline):  # the threads may begin late
        name = "ab"[number % 2]
        classifier.replace([own(name, error_type=name, title=name)])
        number += 1
    stop.set()
    for thread in threads:
        thread.join()
    assert seen == {("a", "medium", "a", "a"), ("b", "medium", "b", "b")}


def test_a_tag_that_no_rule_asks_for_makes_no_error_a_new_one() -> None:
    classifier = Classifier([own(when={"tags": {"host": ["crm.*"]}})])
    facts = [
        facts_of("worker", {"tags": {"host": "crm.a", "request": request}}, classifier.tag_names) for request in "ab"
    ]
    assert facts[0] == facts[1]
    assert facts[0].tags == (("host", "crm.a"),)
