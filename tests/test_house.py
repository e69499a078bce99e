"""The house itself: everything documented, nothing where it doesn't belong."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from analytics.lake import COLUMNS
from ingest.database import Connection
from ingest.settings import Settings, environment_name
from ingest.statements import load_statements
from jobs.cli import app

ROOT = Path(__file__).parents[1]
DOCS = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
)
SOURCES = [path for package in ("ingest", "analytics", "jobs") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("name", [environment_name(field) for field in Settings.model_fields])
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS


def commands() -> list[str]:
    top = get_command(app)
    names = []
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        names += [f"{name} {sub}" for sub in inner] if inner else [name]
    return names


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    assert f"`meshhook-errors {command}" in DOCS


@pytest.mark.parametrize("dataset", list(COLUMNS))
def test_every_column_of_the_lake_is_documented(dataset: str) -> None:
    schema = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
    for column in COLUMNS[dataset]:  # type: ignore[index]
        assert f"| `{column}` |" in schema, column


def test_every_table_is_documented(connection: Connection) -> None:
    schema = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
    rows = connection.execute(
        """select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'meshhook_errors' and relkind in ('r', 'p') and not relispartition"""
    )
    for (table,) in rows:
        assert f"`{table}`" in schema, table


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_the_entry_and_pages_hold_no_sql(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    folders = path.relative_to(ROOT).parts
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert "app" not in names
        if "pages" in folders:
            assert not {"psycopg", "duckdb"} & set(names)
        elif "analytics" in folders:
            assert "streamlit" not in names


def test_files_stay_readable() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split():
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 450, name


def test_a_statement_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.sql").write_text("-- one: a\nselect 1;\n-- one: b\nselect 2;\n")
    with pytest.raises(ValueError, match="stands twice"):
        load_statements(str(tmp_path / "twice.py"))


def test_statements_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "two.sql").write_text(
        "-- one: a purpose\nselect 1;\n\n-- two: another\n-- a comment stays\nselect 2;\n"
    )
    assert load_statements(str(tmp_path / "two.py")) == {"one": b"select 1", "two": b"-- a comment stays\nselect 2"}
