"""The tables in the docs say what the code does."""

from pathlib import Path

import pytest

from tests.generated_docs import ROOT, TABLES, names_in, pages, renewed

PAGES = list(pages())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_are_those_that_the_code_makes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, "run `make docs`"


def test_every_table_stands_on_one_page() -> None:
    names = [name for page in PAGES for name in names_in(page.read_text(encoding="utf-8"))]
    assert sorted(names) == sorted(TABLES)


def test_a_table_that_is_behind_is_written_anew() -> None:
    name = next(iter(TABLES))
    old = f"before\n<!-- generated: {name} -->\n| old |\n<!-- end -->\nafter\n"
    assert renewed(old).splitlines()[2:-2] == list(TABLES[name]())
    assert renewed(renewed(old)) == renewed(old)


def test_a_table_without_its_end_or_that_nobody_makes_is_refused() -> None:
    with pytest.raises(ValueError, match="without its end"):
        renewed("<!-- generated: masking-words -->\n| a |\n")
    with pytest.raises(KeyError):
        renewed("<!-- generated: nobody -->\n<!-- end -->\n")
