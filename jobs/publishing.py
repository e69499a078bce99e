"""How a file appears in the lake: whole, durable, under a name that is used once.

Written beside under a name that no reader's `*.parquet` matches, flushed, then linked to its name, which fails where
the name exists: two publishers of one range can't replace each other's file, and needn't: they write the same rows.
"""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from jobs.exceptions import PublishFailed

Opener = Callable[[Path], IO[bytes]]


def open_new(path: Path) -> IO[bytes]:
    """A file for writing, readable by the owner and the group."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640), "w+b")


def publish(path: Path, write: Callable[[IO[bytes]], None], opener: Opener = open_new) -> bool:
    """Make `path` appear with what `write` writes; False where it stood already.

    Raises PublishFailed with the operation's reason; nothing has appeared then.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        if path.exists():
            flush_directory(path.parent)  # whoever linked it may have died before
            return False
        _make_directory(path.parent)
        with opener(beside) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            return False
        flush_directory(path.parent)
    except OSError as error:
        raise PublishFailed(f"Can't publish {path}: {error.strerror or error}. Check space and permissions.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return True


def _make_directory(directory: Path) -> None:
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
    """Remove what killed publishers left beside; answers how many. For the only publisher of a lake: one that was
    frozen and wakes up fails, with nothing published."""
    removed = 0
    for path in root.glob("*/day=*/.part-*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed
