"""How a file or a day appears in the lake: whole, durable, under a name that is used once.

A file is written on the mirror's workbench, flushed, then linked to its name, which fails where the name exists. A day
is exchanged as a whole: in one operation of the kernel the new directory stands in the old one's place.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from jobs.exceptions import ExchangeUnsupported, LeadershipLost, PublishFailed

Opener = Callable[[Path], IO[bytes]]
Step = Callable[[str], None]
"""Told what is about to happen or has happened, for tests that let a mirror die there."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV)


def open_new(path: Path) -> IO[bytes]:
    """A file for writing, readable by the owner and the group."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640), "w+b")


def no_step(_: str) -> None:
    """Nobody wants to know."""


def publish(
    path: Path, beside: Path, write: Callable[[IO[bytes]], None], opener: Opener = open_new, step: Step = no_step
) -> bool:
    """Make `path` appear with what `write` writes to `beside`; False where it stood already.

    Raises PublishFailed with the operation's reason, and LeadershipLost where the workbench that `beside` lies on was
    cleared; nothing has appeared then.
    """
    try:
        if path.exists():
            flush_directory(path.parent)  # whoever linked it may have died before
            return False
        make_directory(path.parent)
        with opener(beside) as file:
            step("part opened")
            write(file)
            step("part written")
            file.flush()
            os.fsync(file.fileno())
        step("part flushed")
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            return False
        step("part linked")
        flush_directory(path.parent)
        step("directory flushed")
    except OSError as error:
        if not beside.parent.exists():
            raise LeadershipLost(f"Another mirror has taken over. Nothing was published as {path}.") from error
        advice = (
            "The lake must be on one file system." if error.errno == errno.EXDEV else "Check space and permissions."
        )
        raise PublishFailed(f"Can't publish {path}: {error.strerror or error}. {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return True


def exchange(new: Path, old: Path) -> None:
    """Let two directories take each other's place, at once.

    Raises ExchangeUnsupported where this system can't, FileNotFoundError where one of them is gone, OSError.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise ExchangeUnsupported(str(old), "this system has no renameat2")
    if function(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        if number in _CANT_EXCHANGE:
            raise ExchangeUnsupported(str(old), os.strerror(number))
        raise OSError(number, os.strerror(number), str(new))


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, durably."""
    missing = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o750, exist_ok=True)
        flush_directory(parent.parent)


def flush_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(root: Path) -> int:
    """Remove what killed publishers of earlier versions left beside the parts; answers how many."""
    removed = 0
    for path in root.glob("*/day=*/.part-*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed
