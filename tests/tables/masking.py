"""The tables of docs/masking.md."""

from ingest.masking.names import INNOCENT_AFTER, LAST_WORDS, LONG_WORDS, PAIRS, SHORT_WORDS
from tests.tables.markdown import code, table


def words() -> list[str]:
    """What makes the name of a key telling."""
    rows = [
        ["anywhere in a name, also at a word's end", code(LONG_WORDS)],
        ["as a word of its own", code(sorted(SHORT_WORDS))],
        ["as the last word", code(sorted(LAST_WORDS))],
        *([f"`{last}` after one of", code(firsts.split())] for last, firsts in PAIRS.items()),
        ["no longer, where one of these follows", code(sorted(INNOCENT_AFTER))],
    ]
    return table(["where", "words"], rows)
