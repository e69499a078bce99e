"""The client away from this project: copied under another name, installed alone, and light to import."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.client.writing import _HERE
from tests.ingest.receiver import Receiver
from tests.ingest.scripts import ROOT

CLIENT = ROOT / "ingest" / "client"
REPORT = """
import sys
{setup}
client.init({url!r}, "the-key")
with client.step("copied"):
    raise ValueError("from elsewhere")
"""


def run(python: Path | str, script: str, *flags: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *flags, "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd="/", **kwargs
    )


def test_a_copy_under_another_name_works_alone(receiver: Receiver, tmp_path: Path) -> None:
    shutil.copytree(CLIENT, tmp_path / "errors_client", ignore=shutil.ignore_patterns("__pycache__"))
    setup = f"sys.path.insert(0, {str(tmp_path)!r})\nimport errors_client as client\n"
    names = "client.ErrorHandler, client.AsgiMiddleware, client.WsgiMiddleware, client.watch_loop\n"
    done = run(sys.executable, REPORT.format(setup=setup + names, url=receiver.url), "-I", "-S")
    assert "ValueError: from elsewhere" in done.stderr
    assert "meshhook-errors:" not in done.stderr
    (event,) = receiver.taken()
    assert (event["message"], event["metadata"]["node"]) == ("from elsewhere", "copied")
    assert [frame["module"] for frame in event["metadata"]["frames"]] == ["__main__"]


@pytest.mark.parametrize("path", sorted(CLIENT.glob("*.py")), ids=lambda path: path.name)
def test_no_module_of_it_names_the_project(path: Path) -> None:
    assert os.path.dirname(path) + os.sep == _HERE  # noqa: PTH120
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert not [line for line in imports if "ingest" in line and line != "from ingest import client"]


def test_installed_without_extras_it_brings_nothing_along(receiver: Receiver, tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "checkout" / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "-q", "install"]
    done = subprocess.run([*install, tmp_path / "checkout"], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    listing = "from importlib.metadata import distributions\nprint({d.name for d in distributions()} - {'pip'})"
    assert run(python, listing, "-I").stdout == "{'meshhook-errors'}\n"
    done = run(python, REPORT.format(setup="from ingest import client", url=receiver.url), "-I")
    assert "meshhook-errors:" not in done.stderr
    assert receiver.messages() == ["from elsewhere"]
    extras = "from importlib.metadata import metadata\nprint(*metadata('meshhook-errors').get_all('Provides-Extra'))"
    assert "server" in run(python, extras, "-I").stdout.split()


def test_importing_it_brings_few_modules() -> None:
    script = f"""
import sys
before = set(sys.modules)
sys.path.insert(0, {str(ROOT)!r})
from ingest import client
new = set(sys.modules) - before
print(len(new))
print(sorted(new & set("asyncio email hashlib http.client inspect json logging socket ssl tempfile".split())))
"""
    done = run(sys.executable, script, "-I", "-S")
    count, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert int(count) <= 60  # of which 10 are ours, and most others are there in any program
