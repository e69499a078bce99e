"""What a worker imports: reports errors and executions from the background, and never hurts what it watches.

    from ingest import client
    client.init("http://KEY@127.0.0.1:8080/1")
    client.capture_message("hello")

Standard library only. No function but `init` raises; before `init` all of them do nothing.
"""

import atexit
import functools
import logging
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, TypeVar

from ingest.client import late_imports
from ingest.client.address import parse_address
from ingest.client.sender import Sender
from ingest.client.snapshot import take, text_of

__all__ = ["ErrorHandler", "capture_exception", "capture_message", "close", "dropped", "flush", "init", "step"]

_AT_EXIT_SECONDS = 2.0
_SOURCES = ("worker", "webhook", "system")
_COROUTINE = 0x80  # inspect.CO_COROUTINE
_FROM_RECORDS = (
    *("workflow_id", "project_id", "run_id", "error_type", "severity", "fingerprint", "source"),
    *("node", "attempt", "max_attempts", "http_status", "tags"),
)
_Function = TypeVar("_Function", bound=Callable[..., Any])

_sender: Sender | None = None


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
) -> None:
    """Say where to send to: a DSN, or an address and a key. The named values are sent with every error.

    While the server is away, `max_queued` errors wait in memory; further ones are dropped and counted. Called again, it
    sends what waits (for at most two seconds) and goes on with the new address. Raises ValueError for an address, a key
    or a source that can't be one.
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
    _sender = Sender(address, defaults, max_queued, dropped())


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
    if sender.is_full:
        sender.drop()
        return None
    snapshot = take(exception, message, context)
    sender.put(snapshot)
    return snapshot.error_id


def _failed() -> None:
    """What was to be reported couldn't be: count it, and let the program go on."""
    if _sender is not None:
        _sender.drop()


def flush(timeout: float = _AT_EXIT_SECONDS) -> bool:
    """Wait until everything is sent, at most `timeout` seconds; whether it was."""
    try:
        return True if _sender is None else _sender.flush(timeout)
    except Exception:
        return False


def close(timeout: float = _AT_EXIT_SECONDS) -> bool:
    """Flush and stop; whether everything was sent. Called at exit by itself. Later captures are dropped."""
    try:
        return _sender is None or _sender.close(timeout) == 0
    except Exception:
        return False


def dropped() -> int:
    """How many errors of this process were lost: the queue was full, the server refused them, or time was up."""
    return 0 if _sender is None else _sender.dropped


class ErrorHandler(logging.Handler):
    """Reports log records of level ERROR and above; exceptions that they carry come along.

    Of what `extra` adds to a record, the names that errors have (workflow_id, run_id, node, tags…) are taken over.
    """

    _inside: ContextVar[bool] = ContextVar("inside", default=False)

    def __init__(self, level: int = logging.ERROR) -> None:
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Report one record. A record that is logged meanwhile isn't reported again."""
        try:
            if self._inside.get():
                return
            token = self._inside.set(True)
            try:
                context = {name: record.__dict__[name] for name in _FROM_RECORDS if name in record.__dict__}
                context |= {"logger": record.name, "log_level": record.levelname}
                if record.levelno >= logging.CRITICAL:
                    context.setdefault("severity", "high")
                raised = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
                _capture(raised, _message(record), context)
            finally:
                self._inside.reset(token)
        except Exception:
            _failed()


def _message(record: logging.LogRecord) -> str:
    try:
        return text_of(record.getMessage())
    except Exception:  # arguments that don't fit: the error is still one
        return text_of(record.msg)


class step:  # noqa: N801 - read as a verb: `with step("createContact"):`
    """One step or run of a workflow, as a context manager or a decorator of a function or coroutine function.

    An exception is reported and goes on unchanged; the execution is counted as finished, or as finished and failed.
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
            capture_exception(error, **self._context)
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
    if _sender is not None:
        left = _sender.close(_AT_EXIT_SECONDS)
        if left:
            _sender.complain("exit", f"what was captured last ({left} items) wasn't sent before the exit")


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
