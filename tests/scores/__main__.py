"""`make scores`: how well the hall masks, classifies and groups, measured on labelled sets, as a table.

A set is divided in two by a hash of each entry's name: rules are written with the seen half at hand, and scored on
both.
"""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from tests.scores import classification, grouping, masking
from tests.scores.marks import Score

SCORED: list[Callable[[], list[Score]]] = [masking.scores, classification.classification_scores, grouping.scores]


def main() -> int:
    """Print the table; 1 where a target is missed."""
    table = Table("what", "set", "right", "of", "score", "target", "", title="Scores")
    scores: list[Score] = [score for scored in SCORED for score in scored()]
    for score in scores:
        mark = "" if score.target is None else "ok" if score.is_met else "MISSED"
        target = "" if score.target is None else f"≥ {score.target:.1%}"
        table.add_row(score.what, score.of, str(score.right), str(score.total), f"{score.share:.1%}", target, mark)
    Console(width=120).print(table)
    return 0 if all(score.is_met for score in scores) else 1


if __name__ == "__main__":
    sys.exit(main())
