"""The API under a fuzzer that reads its OpenAPI document: whatever comes in, nothing fails inside.

`make fuzz` runs the same for long.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import ROOT, running
from tests.fuzzing import examples

EXAMPLES = examples(15)
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.timeout(600 + EXAMPLES)
def test_no_input_of_the_described_kind_fails_inside(tmp_path: Path) -> None:
    with running(tmp_path / "data") as installation:
        done = fuzz(installation.info["api_url"], installation.info["admin_key"])
    assert done.returncode == 0, done.stdout[-8000:]


def fuzz(api_url: str, key: str) -> "subprocess.CompletedProcess[str]":
    schemathesis = Path(sys.executable).with_name("schemathesis")
    command = [str(schemathesis), "run", f"{api_url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {key}", "--header", f"X-Sentry-Auth: Sentry sentry_key={key}"]
    command += ["--checks", CHECKS]
    command += ["--max-examples", str(EXAMPLES), "--continue-on-failure"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.end_to_end.fuzz_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
