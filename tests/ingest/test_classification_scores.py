"""How well the shipped rules do doesn't get worse: on the labelled set, and on errors that every ecosystem knows."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.classification import Classifier, facts_of
from tests.scores.classification import classification_scores

FLOORS = {
    ("error type", "seen"): 0.99,
    ("severity", "seen"): 0.99,
    ("error type", "unseen"): 0.97,
    ("severity", "unseen"): 0.97,
}


def test_the_shipped_rules_are_right_about_as_many_labelled_errors_as_before() -> None:
    scores = {(score.what, score.of): score for score in classification_scores()}
    assert scores.keys() == FLOORS.keys()
    for name, floor in FLOORS.items():
        assert scores[name].is_met, name
        assert scores[name].share >= floor, f"{name}: {scores[name].share:.1%}, {floor:.1%} before"


def known_errors() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Type, source and metadata of each."""
    with Path(__file__).with_name("known_errors.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            module, _, kind = row["exception"].rpartition(":")
            metadata: dict[str, Any] = {"message": row["message"]}
            if kind:
                metadata = {"exception": {"type": kind, "module": module, "value": row["message"]}}
            if row["http_status"]:
                metadata["http_status"] = int(row["http_status"])
            yield row["error_type"], row["source"], metadata


def test_well_known_errors_of_each_ecosystem_have_the_type_that_whoever_meets_them_expects() -> None:
    classifier = Classifier()
    judged = [
        (error_type, classifier.classify(facts_of(source, metadata), None, None), metadata)
        for error_type, source, metadata in known_errors()
    ]
    assert len(judged) > 400
    assert [line for line in judged if line[0] != line[1].error_type] == []
