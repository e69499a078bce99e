"""A fingerprint that the caller gives wins over every version of ours."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from ingest.masking import mask_value

_LONGEST = 64
_DEFAULT = ("{{ default }}", "{{default}}")
_MOST_CHARACTERS, _MOST_PARTS = 10_000, 100  # what counts of a given one, in characters of each part and in parts


def own_fingerprint(given: Any, default: Callable[[], str], mask: Callable[[Any], Any] = mask_value) -> str | None:
    """The caller's own, text or a list of texts, masked and at most 64 characters; None for nothing usable. The part
    `{{ default }}` stands for the group that the error would belong to otherwise. `mask` hides secrets in any JSON
    value."""
    listed = (given if isinstance(given, list) else [given])[:_MOST_PARTS]
    parts = mask([part[:_MOST_CHARACTERS] if isinstance(part, str) else part for part in listed])
    texts = [str(part) for part in parts if isinstance(part, str | int) and not isinstance(part, bool)]
    lines = [default() if text in _DEFAULT else " ".join(text.split()) for text in texts]
    text = str(mask("|".join(filter(None, lines))))
    if not text:
        return None
    if len(text) <= _LONGEST:
        return text
    return f"own-{blake2b(text.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def refers_to_default(given: Any) -> bool:
    """Whether our own group is a part of what the caller gives."""
    return isinstance(given, list) and any(part in _DEFAULT for part in given[:_MOST_PARTS] if isinstance(part, str))
