"""Processes of their own that report through the client."""

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
# From 3.12 on Python warns of any fork of a process with threads; ours is made for it.
_PYTHON = [sys.executable, "-W", "ignore::DeprecationWarning", "-c"]


def script_of(url: str, body: str, options: str = "", setup: str = "") -> list[str]:
    """The command of a process that has called init."""
    return [
        *_PYTHON,
        f"from ingest import client\nclient.init({url!r}, 'the-key'{options})\n{setup}{textwrap.dedent(body)}",
    ]


def run_script(url: str, body: str, options: str = "", setup: str = "") -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = script_of(url, body, options, setup)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def start_script(url: str, body: str, options: str = "", setup: str = "") -> subprocess.Popen[str]:
    """Start it, and wait until it has printed a line."""
    command = script_of(url, body, options, setup)
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
