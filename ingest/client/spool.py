"""What waits for a server that is away, on disk: one directory for each address, shared by any number of processes.

A process appends to a file of its own and holds a lock (flock) on it; the system frees that lock when the process ends,
however it ends. Whoever is connected takes the oldest file whose lock is free, sends what is in it, and removes it. A
file that was sent only in part is sent again as a whole: its ids make that duplicates, not errors.

Nothing is flushed to the platter: the files outlive the process, not a power cut. Only the sender's thread is here, and
whoever closes the client.
"""

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from .address import Address

_KINDS = ("errors", "executions")
_LONGEST_FILE = 1_000_000  # bytes; then another is begun
_MOST_IN_BATCH = 100
_MOST_BATCH_BYTES = 4_000_000
_REST_AFTER_FULL = 5.0  # seconds without another try
_REST_AFTER_FAILURE = 60.0
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW


def places(address: Address, chosen: str | None) -> tuple[list[str], str]:
    """The directories that a spool may stand in, the first that works is used, and its name there."""
    digest = hashlib.sha256(repr(tuple(address)).encode()).hexdigest()[:16]
    if chosen is not None:
        roots = [os.path.abspath(chosen)]  # noqa: PTH100
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
        roots = [root for root in (cache, os.environ.get("TMPDIR") or "/tmp") if os.path.isabs(root)]  # noqa: PTH117, S108
    return roots, f"meshhook-errors-spool-{os.geteuid()}-{digest}"


class _File:
    """An open file of which this process holds the lock."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.kind = path.rpartition(".")[2]
        self._descriptor = descriptor
        self.size = 0
        self.lines: list[bytes] = []

    @classmethod
    def made(cls, path: str) -> "_File | None":
        """None where another process was faster than our lock, and took the file for a dead process's."""
        descriptor = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        try:
            return cls._locked(path, descriptor)
        except OSError:  # a file system without locks
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108
            raise

    @classmethod
    def claimed(cls, path: str) -> "_File | None":
        """None where its process still writes, or another one sends it."""
        try:
            return cls._locked(path, os.open(path, _OPEN | os.O_RDWR))
        except FileNotFoundError:
            return None

    @classmethod
    def _locked(cls, path: str, descriptor: int) -> "_File | None":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:  # it may have been sent and removed just before
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def is_gone(self) -> bool:
        """Whether somebody cleaned the directory up."""
        return os.fstat(self._descriptor).st_nlink == 0

    def append(self, items: list[bytes]) -> None:
        """All of the items, or none."""
        data = b"".join(item + b"\n" for item in items)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def read(self) -> None:
        """Fill `lines` with what is whole: a torn last line and anything that is no JSON object are left out."""
        with open(self._descriptor, "rb", closefd=False) as file:
            self.lines = [line for line in file.read().split(b"\n")[:-1] if _is_object(line)]

    def remove(self) -> None:
        """Let go of the file for good."""
        try:
            os.ftruncate(self._descriptor, 0)  # so that nothing comes twice where it can't be removed
            os.unlink(self.path)  # noqa: PTH108 - pathlib is an import of its own
        finally:
            self.close()

    def close(self) -> None:
        """Leave the file to whoever takes it next."""
        os.close(self._descriptor)


class Spool:
    """Written and read by one thread at a time; every failure of the disk means that things stay in memory."""

    def __init__(self, roots: list[str], name: str, most_bytes: int, complain: Callable[[str, str], None]) -> None:
        self._candidates = [(root, os.path.join(root, name)) for root in roots]  # noqa: PTH118
        self._most_bytes = most_bytes
        self._complain = complain
        self._writing: dict[str, _File] = {}
        self._reading: _File | None = None
        self._handed_out = 0
        self._resting_until = 0.0
        self._unreadable: set[str] = set()

    @property
    def is_resting(self) -> bool:
        """Whether writing just failed, and isn't worth another try yet."""
        return time.monotonic() < self._resting_until

    def has_files(self) -> bool:
        """Whether there may be something to send."""
        return any(self._names(directory) for _, directory in self._candidates)

    def write(self, kind: str, items: list[bytes], *, beyond: bool = False) -> int:
        """Append as many of the items as fit, in their order (all, if `beyond` what is allowed); answers how many."""
        try:
            directory = self._directory()
            left = self._most_bytes - self._size(directory)
            count = 0
            while count < len(items) and (beyond or (left := left - len(items[count]) - 1) >= 0):
                count += 1
            if count:
                self._file(directory, kind).append(items[:count])
            if count < len(items):
                self._resting_until = time.monotonic() + _REST_AFTER_FULL
                self._complain("spool full", f"the spool in {directory} is full, what doesn't fit in memory is dropped")
        except OSError as error:
            self._fail(error)
            return 0
        return count

    def next_batch(self) -> tuple[str, list[bytes]] | None:
        """The kind and the items to send next, of the oldest file that nobody holds; None where there is none."""
        try:
            if self._reading is None:
                self._reading = self._claim()
        except OSError as error:
            self._fail(error)
        if self._reading is None:
            return None
        items: list[bytes] = []
        size = 0
        for line in self._reading.lines:
            if items and (len(items) == _MOST_IN_BATCH or size + len(line) > _MOST_BATCH_BYTES):
                break
            items.append(line)
            size += len(line)
        self._handed_out = len(items)
        return self._reading.kind, items

    def advance(self) -> None:
        """The last batch has arrived."""
        reading = self._reading
        if reading is None:
            return
        del reading.lines[: self._handed_out]
        if not reading.lines:
            self._reading = None
            self._remove(reading)

    def close(self) -> None:
        """Leave all files to whoever comes next. In a forked child too, where the locks are the parent's as well and
        last until both have closed."""
        files = [*self._writing.values(), *([self._reading] if self._reading else [])]
        self._writing, self._reading = {}, None
        for file in files:
            with suppress(OSError):
                file.close()

    def _claim(self) -> _File | None:
        self.close()  # what was written up to now may be the oldest
        for root, directory in self._candidates:
            for name in self._names(directory):
                path = os.path.join(directory, name)  # noqa: PTH118
                if path in self._unreadable or not _is_private(directory, root):
                    continue
                try:
                    file = _File.claimed(path)
                except OSError as error:
                    self._unreadable.add(path)
                    self._fail(error)
                    continue
                if file is None:
                    continue
                with suppress(OSError):
                    file.read()
                if file.lines:
                    return file
                self._remove(file)
        return None

    def _remove(self, file: _File) -> None:
        try:
            file.remove()
        except OSError as error:
            self._unreadable.add(file.path)
            self._fail(error)

    def _file(self, directory: str, kind: str) -> _File:
        """The file that this process appends to."""
        file = self._writing.get(kind)
        if file is not None and (file.size >= _LONGEST_FILE or file.is_gone()):
            del self._writing[kind]
            file.close()
            file = None
        while file is None:
            name = f"{time.time_ns():020}-{os.getpid()}-{os.urandom(4).hex()}.{kind}"
            file = _File.made(os.path.join(directory, name))  # noqa: PTH118
        self._writing[kind] = file
        return file

    def _directory(self) -> str:
        """The first place that can be written to, made where it isn't there. Raises OSError."""
        problem: OSError | None = None
        for root, directory in self._candidates:
            try:
                os.makedirs(root, 0o700, exist_ok=True)  # noqa: PTH103
                with suppress(FileExistsError):
                    os.mkdir(directory, 0o700)  # noqa: PTH102
                if not _is_private(directory, root):
                    raise PermissionError(f"{directory} may be changed by others")
                if not os.access(directory, os.W_OK | os.X_OK):
                    raise PermissionError(f"{directory} can't be written to")
            except OSError as error:
                problem = problem or error
            else:
                return directory
        raise problem or FileNotFoundError("no directory")

    def _size(self, directory: str) -> int:
        size = 0
        for name in self._names(directory):
            with suppress(FileNotFoundError):  # another process has sent it meanwhile
                size += os.stat(os.path.join(directory, name)).st_size  # noqa: PTH116, PTH118
        return size

    def _names(self, directory: str) -> list[str]:
        """The files of all processes, oldest first."""
        try:
            return sorted(name for name in os.listdir(directory) if name.rpartition(".")[2] in _KINDS)  # noqa: PTH208
        except OSError:
            return []

    def _fail(self, error: OSError) -> None:
        self._resting_until = time.monotonic() + _REST_AFTER_FAILURE
        self._complain("spool", f"the spool can't be used, what waits is kept in memory ({error})")


def _is_private(directory: str, root: str) -> bool:
    """Ours, a directory and no link, closed to everybody else, and nobody can put another one in its place."""
    try:
        ours, above = os.lstat(directory), os.stat(root)  # noqa: PTH116
    except OSError:
        return False
    is_ours = stat.S_ISDIR(ours.st_mode) and ours.st_uid == os.geteuid() and not ours.st_mode & 0o077
    return is_ours and (not above.st_mode & stat.S_IWOTH or bool(above.st_mode & stat.S_ISVTX))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
