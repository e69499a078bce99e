"""How well the shipped rules do on the labelled set doesn't get worse."""

from tests.scores.classification import classification_scores

FLOORS = {
    ("error type", "seen"): 0.98,
    ("severity", "seen"): 0.98,
    ("error type", "unseen"): 0.955,
    ("severity", "unseen"): 0.95,
}


def test_the_shipped_rules_are_right_about_as_many_labelled_errors_as_before() -> None:
    scores = {(score.what, score.of): score for score in classification_scores()}
    assert scores.keys() == FLOORS.keys()
    for name, floor in FLOORS.items():
        assert scores[name].is_met, name
        assert scores[name].share >= floor, f"{name}: {scores[name].share:.1%}, {floor:.1%} before"
