"""Tables of the docs that follow from code: `make docs` writes them, a test fails where a page is behind.

A page holds `<!-- generated: NAME -->` and, below, `<!-- end -->`. What stands between is made by the function that
TABLES has under NAME; it answers lines of Markdown.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.tables import classification, grouping, masking

ROOT = Path(__file__).parents[1]
TABLES: dict[str, Callable[[], Sequence[str]]] = {
    "classification-rules": classification.rules,
    "classification-placeholders": classification.placeholders,
    "classification-codes": classification.codes,
    "grouping-varies": grouping.varies,
    "grouping-tells": grouping.tells,
    "masking-words": masking.words,
    "masking-kinds": masking.kinds,
    "masking-beside": masking.beside,
    "masking-settings": masking.settings,
}
_BLOCK = re.compile(r"(<!-- generated: ([^\s>]+) -->)\n.*?(<!-- end -->)", re.DOTALL)


def pages() -> Iterator[Path]:
    """Every page that may hold a table."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def names_in(text: str) -> list[str]:
    """The tables that a page asks for, in their order. Raises ValueError where one has no end."""
    names = [match[2] for match in _BLOCK.finditer(text)]
    if text.count("<!-- generated:") != len(names):
        raise ValueError("a table without its end")
    return names


def renewed(text: str) -> str:
    """A page with its tables as they follow from the code. Raises KeyError for a table that nobody makes."""
    names_in(text)
    return _BLOCK.sub(lambda match: "\n".join((match[1], *TABLES[match[2]](), match[3])), text)


def main() -> None:
    """Write what is behind."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
