"""Whoever waits for a backup at a terminal sees how far it is; a script sees nothing of it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.database import Connection
from tests.apis import SECRET_KEY
from tests.end_to_end.running import ROOT
from tests.installations import back_up, mirror_of
from tests.seeding import insert_many

MEGABYTE = 2**20


@pytest.fixture
def filled(connection: Connection, lake_dir: Path) -> Connection:
    """Some megabytes in Postgres, and a file of several in the lake beside its usual ones."""
    insert_many(connection, 20_000)
    mirror_of(connection, lake_dir).tick(everything=True)
    part = next((lake_dir / "errors").rglob("*.parquet"))
    beside = lake_dir / "rollups" / "hour" / "errors" / part.parent.name / f"{part.stem}-{'0' * 16}.parquet"
    beside.write_bytes(bytes(3 * MEGABYTE))
    return connection


def test_every_byte_of_the_lake_is_told_of_and_tables_while_they_are_copied(
    filled: Connection, lake_dir: Path, tmp_path: Path
) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    manifest = back_up(filled, lake_dir, tmp_path / "backup", lambda what, *how: told.setdefault(what, []).append(how))
    assert list(told) == ["lake", "tables"]
    for steps in told.values():
        done = [step[0] for step in steps]
        assert done == sorted(done)
        assert done[0] == 0
        assert done[-1] == steps[0][1] > MEGABYTE
        assert len({step[1] for step in steps}) == 1
    assert told["lake"][-1][1] == manifest.lake_bytes
    assert len({done for done, _ in told["lake"]}) > len(manifest.lake) + 1  # amid a large file, too
    assert len({done for done, _ in told["tables"]}) >= 6  # a megabyte after the other; most tables are empty


def test_what_an_earlier_backup_has_isn_t_waited_for(filled: Connection, lake_dir: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    back_up(filled, lake_dir, tmp_path / "first")
    manifest = back_up(filled, lake_dir, tmp_path / "second", lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == "lake"][-1] == ("lake", manifest.lake_bytes, manifest.lake_bytes)


def backup_command(database_url: str, lake_dir: Path, directory: Path, output: int) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESHHOOK")}
    environment |= {"DATABASE_URL": database_url, "LAKE_URL": str(lake_dir), "TERM": "xterm", "COLUMNS": "120"}
    environment["MESHHOOK_ERRORS_SECRET_KEY"] = SECRET_KEY
    command = [sys.executable, "-m", "jobs.cli", "backup", str(directory)]
    subprocess.run(command, cwd=ROOT, env=environment, stdout=output, check=True, timeout=60)


def test_a_terminal_shows_a_bar_and_anything_else_the_answer_alone(
    filled: Connection, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    backup_command(database_url, lake_dir, tmp_path / "seen", theirs)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 65536):
            seen += block
    except OSError:
        pass  # the terminal's other end is closed
    os.close(ours)
    assert "Copying the lake" in seen.decode() and "Copying the tables" in seen.decode()
    assert "100%" in seen.decode() and "MB" in seen.decode()

    piped = tmp_path / "piped.txt"
    with piped.open("wb") as file:
        backup_command(database_url, lake_dir, tmp_path / "unseen", file.fileno())
    lines = piped.read_text().splitlines()
    assert len(lines) == 2 and "rows of" in lines[0] and "\x1b" not in piped.read_text()
