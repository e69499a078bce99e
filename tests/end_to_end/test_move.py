"""Moving a whole installation of `up` into another directory, with the command line alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import ROOT, running, until


def command(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "LAKE_URL")}
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=ROOT,
        env=environment | {"MESHHOOK_ERRORS_DATA_DIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.timeout(300)
def test_an_installation_of_up_moves_into_another_directory(tmp_path: Path) -> None:
    old, new, backup = tmp_path / "old", tmp_path / "new", tmp_path / "backup"
    with running(old, MESHHOOK_ERRORS_MIRROR_MAX_LAG="1") as first:
        first.request("POST", "/api/error-events", [{"message": f"failure {n}"} for n in range(5)], "ingest_key")
        until(lambda: list((old / "lake" / "errors").rglob("*.parquet")))
        made = first.command("backup", str(backup))
        assert made.returncode == 0, made.stderr
        assert "secret key isn't in it" in made.stdout
        before = first.request("GET", "/api/error-metrics?interval=1d")["buckets"]
        keys = first.info
        refused = first.command("restore", str(backup))
        assert (refused.returncode, "runs already" in refused.stderr) == (1, True), refused.stderr
    assert command(new, "restore", "--check", str(backup)).returncode == 0
    without_key = command(new, "restore", str(backup))
    assert (without_key.returncode, "secrets.json" in without_key.stderr) == (1, True)
    shutil.copy(old / "secrets.json", new)
    restored = command(new, "restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    with running(new, MESHHOOK_ERRORS_MIRROR_MAX_LAG="1") as second:
        assert second.request("GET", "/api/error-metrics?interval=1d")["buckets"] == before
        second.info["ingest_key"] = keys["ingest_key"]
        second.request("POST", "/api/error-events", {"message": "after the move"}, "ingest_key")
        until(lambda: "6 rows compared" in second.command("verify").stdout)
        assert second.command("verify").returncode == 0
