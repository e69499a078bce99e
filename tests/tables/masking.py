"""The tables of docs/masking.md."""

from ingest.masking import _INNOCENT_AFTER, _LONG_WORDS, _PAIRS, _SECRET_LAST, _SHORT_WORDS
from tests.tables.markdown import code, table


def words() -> list[str]:
    """What makes the name of a key telling."""
    rows = [
        ["anywhere in a name, also at a word's end", code(_LONG_WORDS)],
        ["as a word of its own", code(sorted(_SHORT_WORDS))],
        ["as the last word", code(sorted(_SECRET_LAST))],
        *([f"`{last}` after one of", code(firsts.split())] for last, firsts in _PAIRS.items()),
        ["no longer, where one of these follows", code(sorted(_INNOCENT_AFTER))],
    ]
    return table(["where", "words"], rows)
