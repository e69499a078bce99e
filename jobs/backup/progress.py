"""How far a backup is, for whoever waits for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[str, int, int], None]
"""Is told what is copied at the moment (`lake`, `tables`), how many bytes of it are, and of how many."""


def tell_nobody(_: str, __: int, ___: int) -> None:
    """For callers who don't wait."""


class Course:
    """The way through files or tables whose sizes are known beforehand, more or less: it never goes back, nor beyond
    its end. Of no bytes nobody is told."""

    def __init__(self, what: str, total: int, tell: Tell) -> None:
        self._what = what
        self._total = total
        self._tell = tell
        self._done = 0
        if total:
            tell(what, 0, total)

    @contextmanager
    def item(self, size: int) -> Iterator[Callable[[int], None]]:
        """Copy one of them, of `size` bytes; what it yields is to be told of each number of bytes copied. At the end
        it counts as copied whole."""
        copied = 0

        def advance(number: int) -> None:
            nonlocal copied
            copied = min(copied + number, size)
            self._tell(self._what, self._done + copied, self._total)

        yield advance
        self._done += size
        if size:
            self._tell(self._what, self._done, self._total)
