"""The ten questions of the docs and the page, asked of a small lake."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics.result_charts import KINDS, result_chart, suggested
from analytics.sandbox.child import in_known_types
from analytics.sandbox.engine import furnish, started
from analytics.sandbox.statement import allowed
from analytics.sandbox.views import views
from analytics.worked_queries import WorkedQuery, worked_queries
from tests.analytics.lake_files import DAYS, make_lake

DOCS = Path(__file__).parents[2] / "docs"
ROWS = {
    "errors_by_day": 14,
    "groups_of_the_week": 6,
    "failing_workflows": 5,
    "new_groups": 0,
    "week_against_week": 6,
    "hours_of_the_week": 48,
    "busiest_minutes": 14,
    "reach": 6,
    "statuses": 1,
    "lateness": 3,
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    first_day = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    queries, paths = views(make_lake(tmp_path_factory.mktemp("worked") / "lake", first_day))
    opened = started(500)
    furnish(opened, queries, paths, 2)
    yield opened
    opened.close()


def answer(engine: duckdb.DuckDBPyConnection, name: str) -> pl.DataFrame:
    query = next(query for query in worked_queries() if query.name == name)
    relation = engine.sql(allowed(engine, query.sql, ("errors", "executions")).sql)
    assert relation is not None
    return pl.DataFrame(in_known_types(relation).pl())


def test_there_are_ten_with_a_question_each() -> None:
    assert len(worked_queries()) == 10
    assert all(query.title.endswith("?") for query in worked_queries())
    assert {query.name for query in worked_queries()} == set(ROWS)


@pytest.mark.parametrize("query", worked_queries(), ids=lambda query: query.name)
def test_each_is_answered_and_drawn(engine: duckdb.DuckDBPyConnection, query: WorkedQuery) -> None:
    frame = answer(engine, query.name)
    assert frame.height == ROWS[query.name]
    if axes := suggested(frame):
        for kind in KINDS:
            assert result_chart(frame, *axes, kind, "light").to_dict()["data"]


def test_the_answers_are_those_of_the_lake(engine: duckdb.DuckDBPyConnection) -> None:
    days = answer(engine, "errors_by_day")
    assert days["errors"].to_list() == [120] * 7 + [240] * 6 + [740]
    assert days["high"].to_list()[-1] == 80 + 500
    assert (days["errors"] == days["high"] + days["medium"] + days["low"]).all()
    groups = answer(engine, "groups_of_the_week")
    assert groups["fingerprint"][0] == "1-0"  # the flood's
    assert groups["percent"].sum() == pytest.approx(100, abs=0.5)
    assert answer(engine, "failing_workflows")["percent_failed"].to_list() == [5, 4, 3, 2, 1]
    assert answer(engine, "week_against_week").height == 6
    assert answer(engine, "busiest_minutes")["errors"].to_list()[-1] == 501
    assert answer(engine, "statuses").row(0)[:2] == ("call", 502)
    assert answer(engine, "lateness")["median_seconds"].is_between(1, 7).all()


def test_the_docs_show_them_as_they_are() -> None:
    text = (DOCS / "lake.md").read_text(encoding="utf-8")
    shown = re.findall(r"^### ([^\n]+\?)\n+```sql\n(.+?)\n```", text, re.MULTILINE | re.DOTALL)
    assert shown == [(query.title, query.sql) for query in worked_queries()]
