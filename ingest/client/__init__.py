"""What a worker imports: reports errors and executions from the background, and never hurts what it watches.

    from ingest import client
    client.init("http://KEY@127.0.0.1:8080/1")
    client.capture_message("hello")

Standard library only. No function but `init` raises; before `init` all of them do nothing. The folder works under any
name, wherever it is copied to.
"""

import atexit
import functools
import os
import sys
from collections.abc import Callable
from importlib import import_module
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import late_imports
from .address import Address, parse_address
from .filtering import BeforeSend
from .sender import Sender
from .snapshot import take, text_of

if TYPE_CHECKING:
    from .hooks import watch_loop
    from .log_handler import ErrorHandler
    from .middleware import AsgiMiddleware, WsgiMiddleware
    from .spool import Spool

__all__ = [
    "AsgiMiddleware",
    "ErrorHandler",
    "WsgiMiddleware",
    "capture_exception",
    "capture_message",
    "close",
    "dropped",
    "flush",
    "init",
    "step",
    "watch_loop",
]

_AT_EXIT_SECONDS = 2.0
_SOURCES = ("worker", "webhook", "system")
_COROUTINE = 0x80  # inspect.CO_COROUTINE
_REPORTED = "_reported_by_meshhook_errors"  # a mark on exceptions: most of them can't be referred to weakly
_LATE = {  # imported when they are asked for, so that importing the client stays cheap
    "ErrorHandler": "log_handler",
    "AsgiMiddleware": "middleware",
    "WsgiMiddleware": "middleware",
    "watch_loop": "hooks",
}
_Function = TypeVar("_Function", bound=Callable[..., Any])

_sender: Sender | None = None


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    return value


def init(
    dsn_or_url: str,
    key: str | None = None,
    *,
    source: Literal["worker", "webhook", "system"] = "worker",
    project_id: str | None = None,
    release: str | None = None,
    environment: str | None = None,
    server_name: str | None = None,
    max_queued: int = 10_000,
    spool_dir: str | os.PathLike[str] | Literal[False] | None = None,
    spool_max_bytes: int = 20_000_000,
    before_send: BeforeSend | None = None,
    hooks: bool = True,
) -> None:
    """Say where to send to: a DSN, or an address and a key. The named values are sent with every error.

    While the server is away, errors wait in memory and then in files under `spool_dir` (by default in the user's cache
    directory or the system's temporary one; False for none), which later processes send too. When `spool_max_bytes`
    are full, `max_queued` errors wait in memory; further ones are dropped, counted, and reported as a number.

    `before_send` gets each event as the dict that is sent, in the background, and answers it, changed or not, or None
    to drop it. With `hooks`, exceptions that nobody handles are reported: of the program, of its threads, and those
    that Python can't raise. Called again, it sends what waits (for at most two seconds) and goes on with the new
    address. Raises ValueError for an address, a key or a source that can't be one.
    """
    global _sender  # noqa: PLW0603 - one client per process is the point
    address = parse_address(dsn_or_url, key)
    if source not in _SOURCES:
        raise ValueError(f"The source must be one of {', '.join(_SOURCES)}.")
    defaults = {
        "source": source,
        "project_id": None if project_id is None else text_of(project_id),
        "release": release,
        "environment": environment,
        "server_name": server_name,
    }
    close(_AT_EXIT_SECONDS)
    make_spool = _spool_maker(address, spool_dir, spool_max_bytes)
    _sender = Sender(address, defaults, max_queued, dropped(), before_send, make_spool)
    _sender.adopt()
    if hooks:
        from .hooks import install  # noqa: PLC0415 - as _LATE

        install()


def _spool_maker(
    address: Address, chosen: str | os.PathLike[str] | Literal[False] | None, most_bytes: int
) -> Callable[[Callable[[str, str], None]], "Spool"] | None:
    if chosen is None:
        chosen = os.environ.get("MESHHOOK_ERRORS_CLIENT_SPOOL") or None
    if chosen is False or chosen == "off" or os.name != "posix":
        return None
    from .spool import Spool, places  # noqa: PLC0415 - as _LATE

    roots, name = places(address, None if chosen is None else os.fspath(chosen))
    return lambda complain: Spool(roots, name, most_bytes, complain)


def capture_exception(exc: BaseException | None = None, **context: Any) -> str | None:
    """Report an exception (the one being handled, if none is given); answers the error's id.

    `context` may name source, error_type, severity, workflow_id, project_id, run_id, title and fingerprint; everything
    else becomes metadata, for example node, attempt, max_attempts, http_status and tags. The exception's text and the
    context are copied at once. None where nothing was taken: before `init`, without an exception, or with a full queue.
    """
    try:
        raised = sys.exc_info()[1] if exc is None else exc
        if raised is None or isinstance(raised, BaseException):
            return _capture(raised, None, context)
        return _capture(None, text_of(raised), context)  # a mistake in an except block shouldn't hide the error
    except Exception:
        _failed()
        return None


def capture_message(message: str, severity: str | None = None, **context: Any) -> str | None:
    """Report an error that is no exception; answers its id. `context` as in `capture_exception`."""
    try:
        return _capture(None, text_of(message), {"severity": severity, **context} if severity else context)
    except Exception:
        _failed()
        return None


def _capture(exception: BaseException | None, message: str | None, context: dict[str, Any]) -> str | None:
    sender = _sender
    if sender is None or (exception is None and message is None):
        return None
    if sender.filter.thread and sender.filter.thread == get_ident():
        return None  # before_send reports, and would have to filter what it reports, for ever
    if exception is not None:
        try:
            exception._reported_by_meshhook_errors = True  # type: ignore[attr-defined]
        except Exception:
            _mark(exception)
    if len(sender.queue) >= sender.max_queued:
        sender.losses.count(while_away=True)
        return None
    snapshot = take(exception, message, context)
    sender.put(snapshot)
    return snapshot.error_id


def _capture_once(exception: BaseException, message: str | None, context: dict[str, Any]) -> None:
    """Report what passes by on its way up, unless it was reported further down."""
    try:
        if not _is_marked(exception):
            _capture(exception, message, context)
    except Exception:
        _failed()


def _mark(exception: BaseException) -> None:
    """Past what its class does with attributes."""
    try:
        BaseException.__setattr__(exception, _REPORTED, True)
    except Exception:
        return  # then it is reported again further up


def _is_marked(exception: BaseException) -> bool:
    try:
        return _REPORTED in BaseException.__getattribute__(exception, "__dict__")
    except Exception:
        return False


def _failed() -> None:
    """What was to be reported couldn't be: count it, and let the program go on."""
    if _sender is not None:
        _sender.losses.count()


def flush(timeout: float = _AT_EXIT_SECONDS) -> bool:
    """Wait until everything is sent, also what is in the spool, at most `timeout` seconds; whether it was."""
    try:
        return True if _sender is None else _sender.flush(timeout)
    except Exception:
        return False


def close(timeout: float = _AT_EXIT_SECONDS) -> bool:
    """Flush and stop; whether everything was sent. What wasn't is left in the spool for a later process.

    Called at exit by itself. Later captures are dropped.
    """
    try:
        return _sender is None or _sender.close(timeout).items == 0
    except Exception:
        return False


def dropped() -> int:
    """How many errors of this process were lost: queue and spool were full, or the server refused them."""
    return 0 if _sender is None else _sender.losses.total


class step:  # noqa: N801 - read as a verb: `with step("createContact"):`
    """One step or run of a workflow, as a context manager or a decorator of a function or coroutine function.

    An exception is reported, unless a step within this one has done so, and goes on unchanged; the execution is counted
    as finished, or as finished and failed.
    `asyncio.CancelledError`, `KeyboardInterrupt` and `SystemExit` are no failures, and not counted.
    """

    def __init__(self, name: str, *, workflow_id: str | None = None, run_id: str | None = None, **context: Any) -> None:
        self._context = {"node": name, "workflow_id": workflow_id, "run_id": run_id, "handled": False, **context}

    def __enter__(self) -> "step":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        if isinstance(error, Exception):
            _capture_once(error, None, self._context)
            _count(self._context, failed=True)
        elif error is None:
            _count(self._context, failed=False)
        return False

    def __call__(self, function: _Function) -> _Function:
        if _is_coroutine_function(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]


def _is_coroutine_function(function: object) -> bool:
    """As inspect says, whose import costs more than all of this."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None and callable(function):
        code = getattr(function.__call__, "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _COROUTINE)


def _count(context: dict[str, Any], *, failed: bool) -> None:
    sender = _sender
    if sender is None:
        return
    try:
        source = context.get("source") or sender.defaults["source"]
        project_id = context.get("project_id") or sender.defaults["project_id"]
        sender.executions.count(source, project_id, context.get("workflow_id"), failed=failed)
        sender.ensure_thread()
    except Exception:
        sender.complain("count", "an execution couldn't be counted")


def _at_exit() -> None:
    if _sender is None:
        return
    try:
        left = _sender.close(_AT_EXIT_SECONDS)
        if left.items:
            fate = f"{left.lost} of them are lost" if left.lost else "it is kept on disk and sent by the next process"
            _sender.complain("exit", f"what was captured last ({left.items} items) wasn't sent before the exit, {fate}")
    except Exception:
        _failed()


def _after_fork_in_child() -> None:
    late_imports.after_fork_in_child()
    if _sender is not None:
        _sender.begin_afresh()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=late_imports.before_fork,
        after_in_parent=late_imports.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
