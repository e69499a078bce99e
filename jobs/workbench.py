"""The mirror's workbench: where files and days are built before they appear in the lake, and what fences a mirror off.

    LAKE/.mirror/<token>/     the bench of one mirror
    LAKE/.mirror/old/…        what stood in the lake until it was exchanged, until no reader can be at it any more
    LAKE/.mirror/damaged/…    files that a mended day no longer has; nobody removes them

Everything that appears in the lake is linked or exchanged from the bench of the mirror that made it. A new mirror's
first act clears all other benches. So a mirror that was frozen (SIGSTOP, a paused machine) while it lost its lock
finds, whenever it wakes up, that what it wants to link or exchange is gone: the kernel looks that name up in the same
operation that makes the other one appear. Neither a clock nor a word from Postgres stands between check and act.

A bench is made first and the lock checked afterwards: whoever holds the lock next finds the bench.
"""

import contextlib
import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from jobs.exceptions import LeadershipLost, PublishFailed
from jobs.publishing import Step, make_directory, no_step

OLD_SECONDS = 3600.0  # a reader that has begun to list an old directory must find all its names
_BENCHES = ".mirror"
_OLD = "old"
_DAMAGED = "damaged"
SPILL = "spill"
"""Begins the name of a directory that never stands in the lake."""
_MOST_CLEARINGS = 100
_OURS = re.compile(r"^\.?(part|sealed)-.*\.(parquet|tmp)$")

log = structlog.get_logger("mirror")


class Workbench:
    """The bench of the one mirror; only it builds here."""

    def __init__(self, lake_dir: Path, still_leads: Callable[[], bool], step: Step = no_step) -> None:
        """Make a bench and clear all others. Raises LeadershipLost where the lock is gone."""
        self._benches = lake_dir / _BENCHES
        self._old = self._benches / _OLD
        self._told = step
        self._put_aside: dict[Path, float] = {}
        self.path = self._benches / secrets.token_hex(8)
        make_directory(self.path)
        step("bench made")
        if not still_leads():
            with contextlib.suppress(OSError):
                self.path.rmdir()
            raise LeadershipLost("Another session is the mirror.")
        make_directory(self._old)
        for bench in self._benches.iterdir():
            if bench not in (self.path, self._old, self._benches / _DAMAGED):
                self._clear(bench)
                step("bench cleared")

    def file(self, name: str) -> Path:
        """A new path on the bench for a file that will be called `name`."""
        return self.path / f"{name}.{secrets.token_hex(8)}.tmp"

    def directory(self, name: str) -> Path:
        """A new, empty directory on the bench. Raises LeadershipLost where the bench was cleared, PublishFailed."""
        path = self.path / f"{name}.{secrets.token_hex(8)}"
        try:
            path.mkdir(mode=0o750)
        except OSError as error:
            if not self.path.exists():
                raise LeadershipLost(f"Another mirror has taken over; {name} isn't made.") from error
            raise PublishFailed(f"Can't make {path}: {error.strerror}. Check space and permissions.") from error
        return path

    def put_aside(self, directory: Path) -> None:
        """Take a directory that stood in the lake off the bench. A reader may have begun to list it, and would miss
        what is removed before it has finished: so that happens an hour later."""
        aside = self._old / directory.name
        self._put_aside[aside] = time.monotonic()
        with contextlib.suppress(FileNotFoundError):  # the next mirror may have done it
            directory.rename(aside)

    def keep_damaged(self, path: Path, name: str) -> None:
        """Let a file that is about to leave the lake stay at hand, as `name`."""
        make_directory(self._benches / _DAMAGED)
        with contextlib.suppress(FileExistsError):
            (self._benches / _DAMAGED / name).hardlink_to(path)

    def remove_old(self, seconds: float = OLD_SECONDS) -> int:
        """Remove what was put aside at least `seconds` ago, or before this process knew of it; answers how many. A
        foreign file among it stays."""
        now = time.monotonic()
        removed = 0
        for directory in self._old.iterdir() if self._old.is_dir() else ():
            if now - self._put_aside.setdefault(directory, now) >= seconds:
                for path in directory.iterdir():
                    if _OURS.match(path.name):
                        path.unlink()
                        self._told("old file removed")
                with contextlib.suppress(OSError):
                    directory.rmdir()
                    removed += 1
                    del self._put_aside[directory]
        return removed

    def _clear(self, bench: Path) -> None:
        """Remove a bench whose owner may wake up at any moment. What may have stood in the lake is put aside."""
        log.info("a former mirror's workbench is cleared", bench=bench.name)
        for _ in range(_MOST_CLEARINGS):
            try:
                left = list(bench.iterdir())
            except FileNotFoundError:  # a later mirror has cleared it, and will clear ours
                return
            for path in left:
                with contextlib.suppress(FileNotFoundError):
                    self._take_off(path)
                self._told("bench taken over")
            with contextlib.suppress(OSError):  # its owner has just added something
                bench.rmdir()
                return
        raise PublishFailed(f"{bench} can't be cleared: is another process writing there? Stop it, or remove it.")

    def _take_off(self, path: Path) -> None:
        if not path.is_dir():
            path.unlink()
        elif path.name.startswith(SPILL):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rename(self._old / path.name)
