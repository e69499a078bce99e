"""What only the sender needs, imported on its thread with the first error so that importing the client stays cheap.

A fork while that goes on would leave the child with half-made modules whose locks belong to a thread that it hasn't:
its next `import http.client` would wait for ever. So forks wait until the imports are done.
"""

import threading
from importlib import import_module

_NAMES = (".delivery", ".writing", "json", "random", "encodings.idna")
_LONGEST_WAIT = 2.0

_gate = threading.Lock()
_holder: int | None = None


def import_all() -> None:
    """Raises ImportError."""
    with _gate:
        for name in _NAMES:
            import_module(name, __package__)


def before_fork() -> None:
    """Wait until no import is under way, though never for long: a fork belongs to the program that is watched."""
    global _holder  # noqa: PLW0603 - one gate per process
    if _gate.acquire(timeout=_LONGEST_WAIT):
        _holder = threading.get_ident()


def after_fork_in_parent() -> None:
    """Let imports begin again."""
    global _holder  # noqa: PLW0603
    if _holder == threading.get_ident():
        _holder = None
        _gate.release()


def after_fork_in_child() -> None:
    """Begin with a gate that nobody holds."""
    global _gate, _holder  # noqa: PLW0603
    _gate = threading.Lock()
    _holder = None
