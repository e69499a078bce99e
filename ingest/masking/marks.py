"""What stands in place of a secret: `[masked:KIND]`, or `[masked:KIND:1f3a9c04]` with a keyed hash of the value.

The hash tells that two values are the same and, without the installation's key, not which. Eight hexadecimal digits are
enough to tell the values of one investigation apart; of 10,000 values two share one with a chance of one in a hundred.
"""

import base64
import re
from functools import lru_cache
from hashlib import blake2b

MARK = re.compile(r"\[masked:[a-z0-9_]{1,40}(?::[0-9a-f]{8})?\]")
_KEYED = re.compile(r"(\[masked:[a-z0-9_]{1,40}):[0-9a-f]{0,8}(?=\]|…|\Z)")  # also one that was cut
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def unkeyed(text: str) -> str:
    """`text` with the hashes of its marks left out: two values of a kind look the same, and so do their causes."""
    return _KEYED.sub(r"\1", text) if "[masked:" in text else text


@lru_cache(maxsize=1024)
def mark_of_name(name: str) -> str:
    """The mark for a value under the key `name`."""
    kind = "_".join(word.lower() for word in _WORDS.findall(name[-200:]) if word.isalpha())[:40] or "secret"
    return f"[masked:{kind}]"


class Marks:
    """Makes the marks of one installation. `secret_key` is its setting, url-safe base64; without it none is keyed."""

    def __init__(self, secret_key: str = "") -> None:
        raw = base64.urlsafe_b64decode(secret_key) if secret_key else b""
        self._key = blake2b(raw, digest_size=32, person=b"masking marks").digest() if raw else b""

    def plain(self, kind: str) -> str:
        """The mark of a value that nobody may recognise."""
        return f"[masked:{kind}]"

    def keyed(self, kind: str, value: str) -> str:
        """The mark of a value that may be recognised; `value` in its normal form."""
        if not self._key:
            return f"[masked:{kind}]"
        text = f"{kind}\x00{value}".encode("utf-8", "replace")
        return f"[masked:{kind}:{blake2b(text, digest_size=4, key=self._key).hexdigest()}]"
