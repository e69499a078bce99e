"""What kind of error it is, and how bad: ordered rules, which a user can read and change.

`rules` is what a rule is, `shipped` the ones that come along, `facts` and `reading` what they look at, `matching` makes
them fast, and the `classifier` decides.
"""

from ingest.classification.classifier import Classifier, Ordered, Verdict, by_tries, ordered
from ingest.classification.facts import Facts, facts_of
from ingest.classification.rules import Attempts, Conditions, Rule, StoredRule, check_together
from ingest.classification.shipped import ShippedRule, shipped_rules

__all__ = [
    "Attempts",
    "Classifier",
    "Conditions",
    "Facts",
    "Ordered",
    "Rule",
    "ShippedRule",
    "StoredRule",
    "Verdict",
    "by_tries",
    "check_together",
    "facts_of",
    "ordered",
    "shipped_rules",
]
