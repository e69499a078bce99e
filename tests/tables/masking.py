"""The tables of docs/masking.md."""

from ingest.masking.beside import ASSIGNED_EXAMPLES
from ingest.masking.look import Look
from ingest.masking.looks import ALSO, LATE_LOOKS, LOOKS
from ingest.masking.marks import Marks
from ingest.masking.masker import PHONE_NAMES
from ingest.masking.names import (
    DOUBTFUL_WORDS,
    INNOCENT_AFTER,
    INNOCENT_BEFORE,
    LAST_WORDS,
    LONG_WORDS,
    PAIRS,
    SHORT_WORDS,
)
from ingest.masking.spoken import FORMS
from ingest.settings import Settings, environment_name
from tests.tables.markdown import code, table

_DEMO_KEY = "bWFzaw=="


def words() -> list[str]:
    """What makes the name of a key telling."""
    rows = [
        ["as a word, or at the end of one", code(LONG_WORDS)],
        ["as a word", code(sorted(SHORT_WORDS))],
        ["as the last word", code(sorted(LAST_WORDS))],
        *([f"`{last}` after one of", code(firsts.split())] for last, firsts in PAIRS.items()),
        ["with `MESHHOOK_ERRORS_MASK_ALSO=phone`", code(PHONE_NAMES)],
        ["as the last word, where the value is random", code(sorted(DOUBTFUL_WORDS))],
        ["not where one of these follows", code(sorted(INNOCENT_AFTER))],
        ["not where one of these goes before", code(sorted(INNOCENT_BEFORE))],
    ]
    return table(["where", "words"], rows)


def kinds() -> list[str]:
    """What is recognised by its looks, one example of each form."""
    rows = [*map(_row, (*LOOKS, *LATE_LOOKS))]
    rows += [[*_row(look)[:2], f"{_row(look)[2]}, on demand"] for looks in ALSO.values() for look in looks]
    return table(["kind", "for example", "mark"], rows)


def beside() -> list[str]:
    """The forms in which a value stands beside a telling name."""
    examples = (*ASSIGNED_EXAMPLES, *(form.example for form in FORMS))
    return table(["form"], [[f"`{example}`"] for example in examples])


def settings() -> list[str]:
    """The settings of masking."""
    fields = {name: field for name, field in Settings.model_fields.items() if name.startswith("mask_")}
    return table(
        ["variable", "what"],
        [[f"`{environment_name(name)}`", field.description or ""] for name, field in fields.items()],
    )


def _row(look: Look) -> list[str]:
    mark = Marks(_DEMO_KEY).keyed(look.kind, look.normal(look.example)) if look.normal else Marks().plain(look.kind)
    return [look.kind.replace("_", " "), f"`{look.example}`", f"`{mark}`"]
