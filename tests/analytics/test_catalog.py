"""The lake as other tools read it: the catalogue, and the lines of docs/lake.md, over files of two versions."""

import glob
import os
import re
import threading
from datetime import UTC, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from analytics.catalog import NAME, CatalogFailed, refresh_catalog, write_catalog
from analytics.coverage import received_to
from tests.analytics.lake_files import DAYS, FIRST_DAY, errors_of, make_lake, write_part

DOCS = (Path(__file__).parents[2] / "docs" / "lake.md").read_text(encoding="utf-8")
READING = DOCS[DOCS.index("## Reading it with any tool") : DOCS.index("## The catalogue")]
EXAMPLES = DOCS[DOCS.index("## The catalogue") : DOCS.index("## `meshhook-errors query`")]


def blocks(section: str, language: str, lake: Path) -> list[str]:
    found = re.findall(rf"```{language}\n(.+?)\n```", section, re.DOTALL)
    return [block.replace("LAKE", str(lake)) for block in found]


def count(path: Path, sql: str = "select count(*), sum(stands_for) from errors") -> tuple[object, ...]:
    with duckdb.connect(str(path), read_only=True) as catalog:
        row = catalog.execute(sql).fetchall()[0]
    return tuple(row)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return make_lake(tmp_path / "lake")


def test_duckdb_polars_and_pandas_read_old_and_new_files_together_as_documented(lake: Path) -> None:
    (sql,) = blocks(READING, "sql", lake)
    assert duckdb.sql(sql).fetchall() == [(3020,)]
    scripts = blocks(READING, "python", lake)
    assert len(scripts) == 2
    for script in scripts:
        names = {"glob": glob, "pl": pl, "pd": pd}
        exec(script, names)
        assert names["total"] == 3020


def test_the_catalogue_is_read_as_documented(lake: Path) -> None:
    write_catalog(lake)
    (script,) = blocks(EXAMPLES, "python", lake)
    names = {"duckdb": duckdb}
    exec(script, names)
    assert names["busiest"].row(0)[0] == "1-0"
    (shell,) = blocks(EXAMPLES, "sh", lake)
    sql = re.findall(r'"(select .+)"', shell)[0]
    with duckdb.connect(str(lake / NAME), read_only=True) as catalog:
        assert len(catalog.execute(sql).fetchall()) == DAYS


def test_the_catalogue_holds_views_alone_and_shows_what_comes_later(lake: Path) -> None:
    path = write_catalog(lake)
    assert count(path) == (2521, 3020)
    size = path.stat().st_size
    write_part(lake, "errors", FIRST_DAY, 900, errors_of(FIRST_DAY, 10, stands_for=3, xact=901))
    assert count(path) == (2531, 3050)
    assert count(path, "select count(*) from duckdb_tables()") == (0,)
    assert path.stat().st_size == size
    with duckdb.connect(str(path), read_only=True) as first, duckdb.connect(str(path), read_only=True) as second:
        assert first.execute("from errors limit 1").fetchall()
        assert second.execute("show tables").fetchall() == [("errors",), ("executions",)]


def test_the_catalogue_is_written_anew_when_there_is_a_reason(lake: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    assert refresh_catalog(empty)
    assert count(empty / NAME) == (0, None)
    assert not refresh_catalog(empty)
    write_part(empty, "errors", FIRST_DAY, 0, errors_of(FIRST_DAY, 10))
    assert refresh_catalog(empty), "the first file has come"
    assert count(empty / NAME) == (10, 10)
    assert not refresh_catalog(empty)
    (empty / NAME).write_bytes(b"torn")
    assert refresh_catalog(empty), "it can't be read"
    moved = tmp_path / "moved"
    empty.rename(moved)
    assert refresh_catalog(moved), "the lake was moved"
    assert count(moved / NAME) == (10, 10)


def test_a_reader_has_a_whole_catalogue_while_it_is_written(lake: Path) -> None:
    path, failed, done = write_catalog(lake), [], threading.Event()

    def write() -> None:
        for _ in range(10):
            write_catalog(lake)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    read = 0
    while not done.is_set():
        if count(path) != (2521, 3020):
            failed.append(read)
        read += 1
    writer.join()
    assert not failed
    assert read > 1
    assert [left.name for left in lake.iterdir() if left.name.endswith((".tmp", ".wal"))] == []


def test_a_lake_that_cant_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CatalogFailed, match=r"^Can't write .*catalog\.duckdb: .*Check space and permissions\.$"):
        write_catalog(tmp_path / "file")


def test_a_quote_in_the_name_of_a_directory_stays_one(tmp_path: Path) -> None:
    assert count(write_catalog(make_lake(tmp_path / "it's"))) == (2521, 3020)


def test_up_to_when_the_files_go_is_when_the_last_row_was_received(lake: Path, tmp_path: Path) -> None:
    assert received_to(tmp_path / "nothing") is None
    last = FIRST_DAY + timedelta(days=DAYS - 1)
    moment = received_to(lake)
    assert moment is not None
    assert moment.astimezone(UTC).date() == last
    write_part(lake, "errors", FIRST_DAY, 900, errors_of(FIRST_DAY, 10, xact=901))  # late ones
    assert received_to(lake) == errors_of(FIRST_DAY, 10)["received_at"].max()
    path = next(lake.glob("errors/day=*/part-*900-*.parquet"))
    os.truncate(path, 10)
    assert received_to(lake) is None
