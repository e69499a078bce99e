"""Log lines: what a reader or a program looks for stands in them as plain values."""

import subprocess
import sys

from tests.end_to_end.running import ROOT


def test_a_member_of_an_enumeration_is_logged_as_its_value() -> None:
    code = """
import structlog
from analytics.evaluation import Transition
from jobs.log import configure_logging
configure_logging("info")
structlog.get_logger("alerting").info(Transition.FIRED, rule="many")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "event='firing' rule='many'" in done.stdout
