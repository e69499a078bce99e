"""Exceptions that nobody handles. Each hook reports, then calls the one that was there before."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _capture, _capture_once, _failed

if TYPE_CHECKING:
    import asyncio

_installed: list[bool] = []


def install() -> None:
    """Once for each process; later calls do nothing."""
    if _installed:
        return
    _installed.append(True)
    sys.excepthook = _for_program(sys.excepthook)
    threading.excepthook = _for_threads(threading.excepthook)
    sys.unraisablehook = _for_unraisable(sys.unraisablehook)


# The hooks hold the previous ones themselves, because they are called while the interpreter takes modules down.


def _for_program(previous: Callable[..., object]) -> Callable[..., None]:
    def report_and_go_on(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        _report(kind, error, {"mechanism": "sys.excepthook"})
        previous(kind, error, traceback)

    return report_and_go_on


def _for_threads(previous: Callable[..., object]) -> Callable[..., None]:
    def report_and_go_on(args: threading.ExceptHookArgs, /) -> None:
        _report(
            args.exc_type,
            args.exc_value,
            {"mechanism": "threading.excepthook", "thread": getattr(args.thread, "name", None)},
        )
        previous(args)

    return report_and_go_on


def _for_unraisable(previous: Callable[..., object]) -> Callable[..., None]:
    def report_and_go_on(args: Any, /) -> None:
        # Nothing of args.object but its type: it may be on its way out, and its code isn't ours to run.
        _report(
            args.exc_type,
            args.exc_value,
            {"mechanism": "sys.unraisablehook", "where": args.err_msg, "object": type(args.object).__qualname__},
        )
        previous(args)

    return report_and_go_on


def _report(kind: type[BaseException], error: BaseException | None, context: dict[str, Any]) -> None:
    try:
        if issubclass(kind, (KeyboardInterrupt, SystemExit)):
            return
        context["handled"] = False
        if error is None:
            _capture(None, kind.__qualname__, context)
        else:
            _capture_once(error, None, context)
    except Exception:
        _failed()


def watch_loop(loop: "asyncio.AbstractEventLoop | None" = None) -> bool:
    """Report what an asyncio loop finds unhandled, for example in a task that nobody awaits; its handler then goes on.

    Without `loop`, the running one; False where there is none. A second call for the same loop does nothing.
    """
    try:
        import asyncio  # noqa: PLC0415 - whoever has a loop has imported it

        watched = loop or asyncio.get_running_loop()
        previous = watched.get_exception_handler()
        if not isinstance(previous, _LoopHandler):
            watched.set_exception_handler(_LoopHandler(previous))
    except Exception:
        return False
    return True


class _LoopHandler:
    def __init__(self, previous: Callable[..., object] | None) -> None:
        self._previous = previous

    def __call__(self, loop: "asyncio.AbstractEventLoop", about: dict[str, Any]) -> None:
        error, message = about.get("exception"), about.get("message")
        context = {"mechanism": "asyncio", "loop_message": message}
        if isinstance(error, BaseException):
            _report(type(error), error, context)
        else:
            self._report_message(message, context)
        if self._previous is None:
            loop.default_exception_handler(about)
        else:
            self._previous(loop, about)

    @staticmethod
    def _report_message(message: object, context: dict[str, Any]) -> None:
        try:
            _capture(None, str(message), {**context, "handled": False})
        except Exception:
            _failed()
