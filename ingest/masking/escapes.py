"""Line ends that are written out, as JSON within a text has them: the letter of `\\n` isn't part of the word after it.

Nor can one know that it isn't, `C:\\new\\token` being a path. So a text is read in both ways: as it is, and with those
letters replaced by characters that are part of no word.
"""

import re

_LETTERS = "bfnrt"
_STANDING = {ord(letter): chr(0xF0000 + ord(letter)) for letter in _LETTERS}  # for private use, in no text we know of
LINE_ENDS = "rn" + _STANDING[ord("r")] + _STANDING[ord("n")]
"""The letters that end a line after a backslash, in both ways of reading."""
_MEANT = {ord(standing): letter for letter, standing in zip(_LETTERS, _STANDING.values(), strict=True)}
_BEFORE_WORD = re.compile(rf"(?<=\\)[{_LETTERS}](?=[^\s\\\"'])")
_ANY_STANDING = re.compile(f"[{''.join(_STANDING.values())}]")


def begins_words(text: str) -> bool:
    """Whether a line end that is written out stands right before a word, or what else may begin a secret."""
    return "\\" in text and _BEFORE_WORD.search(text) is not None and _ANY_STANDING.search(text) is None


def apart(text: str) -> str:
    """`text` with those letters as characters apart."""
    return _BEFORE_WORD.sub(lambda match: _STANDING[ord(match[0])], text)


def joined(text: str) -> str:
    """The letters as they were."""
    return text.translate(_MEANT)
