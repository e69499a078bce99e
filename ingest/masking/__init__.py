"""Secrets out, before anything is stored: by the name of a key, and by their looks in any text.

What is hidden leaves a mark that names its kind, such as `[masked:email]`. Masking a masked text changes nothing. A
`Masker` works by the policy of an installation; the functions here work without one.
"""

from ingest.masking.marks import unkeyed
from ingest.masking.masker import CUT, MAX_DEPTH, Masker, clean
from ingest.masking.policy import Policy, policy_of

__all__ = [
    "CUT",
    "MAX_DEPTH",
    "USUAL",
    "Masker",
    "Policy",
    "clean",
    "is_secret_key",
    "mask_text",
    "mask_value",
    "needs_walk",
    "policy_of",
    "unkeyed",
]

USUAL = Masker()
mask_text = USUAL.text
mask_value = USUAL.value
needs_walk = USUAL.needs_walk
is_secret_key = USUAL.names.is_secret
