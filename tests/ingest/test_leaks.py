"""No secret of the planted corpus passes the hall, wherever it stands; texts without one pass as they are."""

import json
import re
from collections import Counter

from ingest.models import ErrorEvent
from tests.labelled.made_up import with_check_digit
from tests.labelled.plants import Planted, Search, innocent, planted, planted_everywhere
from tests.scores.masking import OURS, fresh_hall, leaks, said_of, touched


def listed(found: dict[str, str]) -> str:
    """The leaks and the columns they are in, as a message."""
    return "\n".join(f"{name} → {column}" for name, column in sorted(found.items()))


def test_no_planted_secret_is_in_what_the_hall_makes_of_its_event() -> None:
    found = leaks(planted())
    assert not found, f"{len(found)} leak:\n{listed(found)}"


def test_no_planted_secret_passes_at_any_place_of_an_event() -> None:
    found = leaks(planted_everywhere())
    assert not found, f"{len(found)} leak:\n{listed(found)}"


def test_a_masked_event_does_not_change_when_it_is_masked_again() -> None:
    changed = []
    for plant in planted():
        once = said_of(fresh_hall(), plant.event).get("metadata")
        if once is not None:
            twice = said_of(fresh_hall(), {"metadata": once})["metadata"]
            ours = {name: twice.get(name) for name in OURS}
            if twice != once | {f"{name}_given": once[name] for name in OURS if name in once} | ours:
                changed.append(plant.name)
    assert not changed, f"{len(changed)} change:\n" + "\n".join(changed)


def test_at_most_one_in_fifty_innocent_texts_is_touched() -> None:
    texts = innocent()
    changed = [forms[0].name for forms in texts if any(touched(form) for form in forms)]
    assert len(changed) <= len(texts) / 50, f"{len(changed)} of {len(texts)}:\n" + "\n".join(changed)


def test_the_corpus_is_as_large_as_it_has_to_be_and_of_many_kinds() -> None:
    secrets = planted()
    assert len(secrets) >= 300
    assert len({plant.name for plant in secrets}) == len(secrets)
    assert len(innocent()) >= 200
    assert len(Counter(plant.kind for plant in secrets)) >= 20


def test_each_planted_secret_would_be_found_if_nothing_masked_it() -> None:
    for plant in planted_everywhere():
        assert plant.traces, plant.name
        assert all(len(trace) >= 8 for trace in plant.traces), plant.name
        assert Search([plant]).found(json.dumps(plant.event)), plant.name


def test_no_trace_of_a_secret_is_in_an_innocent_text() -> None:
    search = Search(planted_everywhere())
    for forms in innocent():
        assert not search.found(json.dumps(forms[0].event, ensure_ascii=False)), forms[0].name


def test_no_innocent_number_is_a_card_number() -> None:
    for forms in innocent():
        for number in re.findall(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])", json.dumps(forms[0].event)):
            bare = re.sub(r"\D", "", number)
            assert with_check_digit(bare[:-1]) != bare, forms[0].name


def test_what_is_searched_is_every_column_of_a_row() -> None:
    assert set(said_of(fresh_hall(), {"message": "x"})) == {*ErrorEvent._fields, "row"}


def test_a_leak_is_found_where_masking_is_switched_off() -> None:
    plant = Planted("x", "x", {"message": "the word abcdefgh12345678"}, frozenset({"abcdefgh12345678"}))
    assert set(leaks([plant])) == {"x"}
