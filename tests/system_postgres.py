"""The oldest PostgreSQL that this machine has beside ours, started for a test; None where there is none."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def installed_postgres() -> Path | None:
    """The folder of its programs."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    fit = [path for path in found if 15 <= int(path.parent.name) < 18]
    return min(fit, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def system_postgres(programs: Path) -> Iterator[str]:
    """A server of its own in a temporary folder, behind a socket; yields its URL."""
    owner = pwd.getpwnam("nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    runs_as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    directory = Path(tempfile.mkdtemp())
    shutil.chown(directory, owner.pw_uid, owner.pw_gid)
    try:
        cluster = directory / "cluster"
        subprocess.run(
            [programs / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8"],
            check=True,
            capture_output=True,
            cwd="/",
            **runs_as,  # type: ignore[call-overload]
        )
        command = [programs / "postgres", "-D", cluster, "-k", directory, "-c", "listen_addresses=", "-c", "fsync=off"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **runs_as)  # type: ignore[call-overload]
        url = f"postgresql://postgres@/postgres?host={directory}"
        try:
            _wait_for(url)
            yield url
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the system's PostgreSQL doesn't start"
            time.sleep(0.1)
        else:
            return
