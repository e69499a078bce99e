"""Text that people type and read: one line, without characters that can't be stored, seen or trusted."""

import unicodedata

# Controls (newlines too), halves of pairs, and what separates lines.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")
# They turn the direction of what follows, so that a name reads as another one.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class NotPlain(ValueError):
    """The message is the end of a sentence that begins with the field's name."""


def plain_line(text: str) -> str:
    """`text` unchanged. Raises NotPlain for a control character, half a character, or one that turns the direction."""
    for character in text:
        if character in _TURNING or unicodedata.category(character) in _REFUSED:
            raise NotPlain(f"holds the character U+{ord(character):04X}, which a line of text can't have. Take it out.")
    return text


def is_plain_line(text: str) -> bool:
    """Whether `plain_line` takes it."""
    try:
        plain_line(text)
    except NotPlain:
        return False
    return True


def checked_name(text: str, longest: int = 100) -> str:
    """A name that people read, without blanks around it. Raises NotPlain."""
    name = plain_line(text.strip())
    if not 0 < len(name) <= longest:
        raise NotPlain(f"must have 1 to {longest} characters.")
    return name
