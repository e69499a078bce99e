"""What is told in Postgres itself (migrations, capture of MeshHook) holds on the system's older server, too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import ROOT
from tests.system_postgres import installed_postgres, system_postgres

_WHAT = (
    "tests/ingest/test_database.py",
    *(f"tests/ingest/doors/meshhook/test_{name}.py" for name in ("capture", "trials", "backfill", "connection")),
    "tests/jobs/test_tally.py",
)


@pytest.mark.timeout(300)
def test_migrations_capture_and_tally_work_on_the_systems_postgres(tmp_path: Path) -> None:
    programs = installed_postgres()
    if programs is None:
        pytest.skip("this machine has no PostgreSQL 15, 16 or 17 in /usr/lib/postgresql")
    with system_postgres(programs) as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *_WHAT],
            cwd=ROOT,
            env={**os.environ, "TEST_DATABASE_URL": url, "PYTEST_DEBUG_TEMPROOT": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-4000:]
