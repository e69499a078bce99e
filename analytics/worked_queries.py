"""Ten questions about the lake in SQL: the page offers them, docs/lake.md shows them, a test asks them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ingest.statements import load_statements

_TITLE = re.compile(r"^-- (?P<name>[a-z_]+): (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class WorkedQuery:
    """A question in words, and how it is written."""

    name: str
    title: str
    sql: str


@lru_cache(maxsize=1)
def worked_queries() -> tuple[WorkedQuery, ...]:
    """All of them, the simple ones first."""
    statements = load_statements(__file__)
    titles = dict(_TITLE.findall(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")))
    return tuple(WorkedQuery(name, titles[name], sql.decode()) for name, sql in statements.items())
