"""docs/classification.md says what the code does."""

from pathlib import Path

import pytest

from tests.tables import classification

PAGE = Path(__file__).parents[2] / "docs" / "classification.md"
TABLES = {
    "classification-rules": classification.rules,
    "classification-placeholders": classification.placeholders,
    "classification-codes": classification.codes,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_code_makes(name: str) -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- generated: {name} -->\n")
    assert rest.partition("<!-- end -->")[0].splitlines() == TABLES[name]()
