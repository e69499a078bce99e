"""Where the JavaScript programs of this folder run: beside the packages that tests/node.py installed."""

import subprocess
from pathlib import Path

from tests import node as system_node

HERE = Path(__file__).parent


class Workshop:
    """A directory with the programs and their packages."""

    def __init__(self, directory: Path) -> None:
        packages = system_node.FOLDER / "node_modules"
        found = system_node.find()
        assert found and packages.is_dir(), "no Node with its packages: `make test` finds or installs them"
        self.node = found
        self.directory = directory
        (directory / "node_modules").symlink_to(packages)
        for program in HERE.glob("*.mjs"):  # imports are looked up from where a program lies
            (directory / program.name).write_bytes(program.read_bytes())

    def command(self, program: str, *arguments: str) -> list[str]:
        return [self.node.program, str(self.directory / program), *arguments]

    def bundle(self, program: str) -> Path:
        """The program in one file for a browser."""
        bundled = self.directory / f"{program}.js"
        tool = str(self.directory / "node_modules" / "esbuild" / "bin" / "esbuild")
        command = [self.node.program, tool, program, "--bundle", f"--outfile={bundled.name}", "--log-level=error"]
        subprocess.run(command, cwd=self.directory, check=True, timeout=60)
        return bundled
