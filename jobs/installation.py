"""The data directory of `up`: one owner at a time, secrets made once, and what scripts need to connect."""

import base64
import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ingest.keys import new_key
from ingest.settings import environment_name
from jobs.exceptions import StartFailed

ADMIN = "admin"
_LEAST_FREE_BYTES = 300 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made at the first start, kept in `secrets.json`."""

    secret_key: str
    admin_password: str
    ingest_key: str
    admin_key: str


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Written to `connection.json`, so that scripts can drive an installation."""

    api_url: str
    app_url: str
    database_url: str
    lake_url: str
    dsn: str
    ingest_key: str
    admin_key: str


class Installation:
    """A directory that is locked while it is in use."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Take the directory. Raises StartFailed when another `up` has it, or it can't be made."""
        try:
            _make_private(self.directory)
            self._lock = (self.directory / "lock").open("a+")
        except OSError as error:
            raise StartFailed(
                f"Can't use {self.directory}: {error.strerror}. Choose another with --data-dir."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = self._running_at()
            raise StartFailed(f"MeshHook Errors runs already on {self.directory}{where}.") from None
        except OSError as error:
            raise StartFailed(
                f"{self.directory} can't be locked ({error.strerror}). Choose a local disk with --data-dir."
            ) from error

    def _running_at(self) -> str:
        try:
            return f": open {json.loads((self.directory / 'connection.json').read_text())['app_url']}"
        except (OSError, ValueError, KeyError):
            return ""

    def check_space(self) -> None:
        """Raises StartFailed when the disk is nearly full."""
        free = shutil.disk_usage(self.directory).free
        if free < _LEAST_FREE_BYTES:
            raise StartFailed(
                f"Only {free // 2**20} MB are free where {self.directory} lies; {_LEAST_FREE_BYTES // 2**20} MB are "
                "needed. Free some space, or choose another disk with --data-dir."
            )

    def secrets(self) -> tuple[Secrets, bool]:
        """The secrets, and whether they were made just now."""
        path = self.directory / "secrets.json"
        try:
            return Secrets(**json.loads(path.read_text(encoding="utf-8"))), False
        except FileNotFoundError:
            pass
        except (ValueError, TypeError) as error:
            raise StartFailed(f"{path} can't be read. Restore it from a backup; deleting it makes new keys.") from error
        secret_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        made = Secrets(secret_key, secrets.token_urlsafe(12), new_key("ingest"), new_key("admin"))
        _write_private(path, asdict(made))
        return made, True

    def write_connection(self, info: ConnectionInfo) -> None:
        """Say where everything is."""
        _write_private(self.directory / "connection.json", asdict(info))

    @property
    def logs(self) -> Path:
        """Where the parts write what they have to say."""
        return self.directory / "logs"


def _make_private(directory: Path) -> None:
    """For the owner alone. One that was there and holds other things is left as open as it is.

    As root the way through stays as it is: the embedded Postgres runs as another user there (see jobs/postgres.py).
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    is_ours = (directory / "secrets.json").exists() or not any(directory.iterdir())
    closed = 0o066 if os.geteuid() == 0 else 0o077
    if is_ours and found.st_uid == os.geteuid() and found.st_mode & closed:
        directory.chmod(stat.S_IMODE(found.st_mode) & ~closed)


def check_lake(directory: Path) -> None:
    """Raises StartFailed when nothing can be written there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".probe-"):
            pass
    except OSError as error:
        raise StartFailed(
            f"Can't write to the lake at {directory}: {error.strerror}. Let this user write there, or set "
            f"{environment_name('lake_url')} to another directory."
        ) from error


def check_port(port: int, option: str, host: str = "127.0.0.1") -> None:
    """Raises StartFailed when `host` isn't ours to listen on, or somebody listens there already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                setting = environment_name(option.removeprefix("--").replace("-port", "_host"))
                raise StartFailed(
                    f"{host!r} is no address of this machine ({error.strerror}). Set {setting} to one, or to "
                    "0.0.0.0 for all of them."
                ) from error
            raise StartFailed(
                f"Port {port} on {host} can't be used ({error.strerror}). Choose another with {option}."
            ) from error


def _write_private(path: Path, content: dict[str, str]) -> None:
    """Whole or not at all, readable by the owner alone."""
    beside = path.with_suffix(".tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)
