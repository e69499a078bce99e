"""Whether a word was made by a generator of keys, or by a person."""

import re

_LEAST = 16
_SWITCH = re.compile(r"[a-zA-Z](?=[0-9])|[0-9](?=[a-zA-Z])|[a-z](?=[A-Z])|[A-Z]{2}(?=[a-z])")
_LETTERS = re.compile(r"[A-Za-z0-9]")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PARTS = re.compile(r"[=,;:&\s]+")
_MOST_SCANNED, _LONGEST = 200, 2000


def is_random(word: str) -> bool:
    """Whether letters and digits, or small and capital letters, change as often as they do by chance, in a word of 16
    characters or more with a digit in it."""
    word = word[:_MOST_SCANNED]
    if len(word) < _LEAST or not any(map(str.isdigit, word)) or word.isdigit():
        return False
    return len(_SWITCH.findall(word)) * 5 >= len(_LETTERS.findall(word))


def has_random(value: str) -> bool:
    """Whether a part of it is random; a UUID says who or what, and isn't."""
    return any(is_random(part) and not is_uuid(part) for part in _PARTS.split(value[:_LONGEST]))


def is_uuid(word: str) -> bool:
    """Whether it is a UUID in its usual form."""
    return _UUID.fullmatch(word) is not None
