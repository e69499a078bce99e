"""What a worker imports: reports errors and executions from the background, and never hurts what it watches.

    from ingest import client
    client.init("http://KEY@127.0.0.1:8080/1")
    client.capture_message("hello")

Standard library only. No function but `init` raises; before `init` all of them do nothing.
"""

import atexit
import functools
import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, TypeVar

from ingest.client.address import parse_address
from ingest.client.sender import Sender, in_child
from ingest.client.snapshot import take

__all__ = ["ErrorHandler", "capture_exception", "capture_message", "close", "dropped", "flush", "init", "step"]

_AT_EXIT_SECONDS = 2.0
_COROUTINE = 0x80  # inspect.CO_COROUTINE; importing inspect costs more than all of this
_sender: Sender | None = None
_Function = TypeVar("_Function", bound=Callable[..., Any])


def init(
    dsn_or_url: str,
    key: str | None = None,
    *,
    source: Literal["worker", "webhook", "system"] = "worker",
    project_id: str | None = None,
    release: str | None = None,
    environment: str | None = None,
    server_name: str | None = None,
) -> None:
    """Say where to send to: a DSN, or an address and a key. The other values are sent with every error.

    Raises ValueError for an address that can't be one.
    """
    global _sender  # noqa: PLW0603 - one client per process is the point
    address = parse_address(dsn_or_url, key)
    if _sender is not None:
        _sender.close(_AT_EXIT_SECONDS)
    else:
        atexit.register(close, _AT_EXIT_SECONDS)
    defaults = {
        "source": source,
        "project_id": project_id,
        "release": release,
        "environment": environment,
        "server_name": server_name,
    }
    _sender = Sender(address, defaults)
    in_child(_sender)


def capture_exception(exception: BaseException | None = None, **context: Any) -> str | None:
    """Report an exception (the one being handled, if none is given); answers the error's id.

    `context` may name source, error_type, severity, workflow_id, project_id, run_id, title and fingerprint; everything
    else becomes metadata, for example node, attempt, max_attempts, http_status and tags.
    """
    return _capture(exception or sys.exc_info()[1], None, context)


def capture_message(message: str, **context: Any) -> str | None:
    """Report an error that is no exception; answers its id."""
    return _capture(None, message, context)


def _capture(exception: BaseException | None, message: str | None, context: dict[str, Any]) -> str | None:
    sender = _sender
    if sender is None or (exception is None and message is None):
        return None
    try:
        snapshot = take(exception, message, context)
        return snapshot.error_id if sender.put(snapshot) else None
    except Exception:
        sender.dropped += 1
        return None


def flush(timeout: float = _AT_EXIT_SECONDS) -> bool:
    """Wait until everything is sent, at most `timeout` seconds; whether it was."""
    return True if _sender is None else _sender.flush(timeout)


def close(timeout: float = _AT_EXIT_SECONDS) -> bool:
    """Flush and stop. Called at exit by itself."""
    return True if _sender is None else _sender.close(timeout)


def dropped() -> int:
    """How many errors couldn't be handed over or were refused for good."""
    return 0 if _sender is None else _sender.dropped


class ErrorHandler(logging.Handler):
    """Reports log records of level ERROR and above; exceptions that they carry come along."""

    _inside: ContextVar[bool] = ContextVar("inside", default=False)

    def __init__(self, level: int = logging.ERROR) -> None:
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Report one record. A record that is logged meanwhile isn't reported again."""
        if self._inside.get():
            return
        token = self._inside.set(True)
        try:
            context = {
                "logger": record.name,
                "severity": "high" if record.levelno >= logging.CRITICAL else None,
                "log_level": record.levelname,
            }
            raised = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
            _capture(raised, record.getMessage(), context)
        except Exception:
            self.handleError(record)
        finally:
            self._inside.reset(token)


class step:  # noqa: N801 - read as a verb: `with step("createContact"):`
    """One step or run of a workflow, as a context manager or a decorator (also of a coroutine function).

    An exception is reported and goes on unchanged; the execution is counted as finished, or as finished and failed.
    `asyncio.CancelledError`, `KeyboardInterrupt` and `SystemExit` are no failures.
    """

    def __init__(self, name: str, *, workflow_id: str | None = None, **context: Any) -> None:
        self._workflow_id = workflow_id
        self._context = {"node": name, "workflow_id": workflow_id, **context}

    def __enter__(self) -> "step":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        is_failure = isinstance(error, Exception)
        if is_failure:
            _capture(error, None, {"handled": False, **self._context})
        if error is None or is_failure:
            self._count(failed=is_failure)
        return False

    def __call__(self, function: _Function) -> _Function:
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE:

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

    def _count(self, *, failed: bool) -> None:
        sender = _sender
        if sender is None:
            return
        try:
            defaults = sender.defaults
            source = self._context.get("source") or defaults["source"]
            project_id = self._context.get("project_id") or defaults["project_id"]
            sender.count(source, project_id, self._workflow_id, failed=failed)
        except Exception:
            sender.dropped += 1
