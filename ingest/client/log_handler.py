"""Log records as errors."""

import logging
from contextvars import ContextVar

from . import _capture, _capture_once, _failed
from .snapshot import text_of

_FROM_RECORDS = (
    *("workflow_id", "project_id", "run_id", "error_type", "severity", "fingerprint", "source"),
    *("node", "attempt", "max_attempts", "http_status", "tags"),
)


class ErrorHandler(logging.Handler):
    """Reports log records of level ERROR and above; exceptions that they carry come along.

    Of what `extra` adds to a record, the names that errors have (workflow_id, run_id, node, tags…) are taken over. A
    record whose exception was reported already, for example by a step, is not reported again.
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
                _report(record)
            finally:
                self._inside.reset(token)
        except Exception:
            _failed()


def _report(record: logging.LogRecord) -> None:
    context = {name: record.__dict__[name] for name in _FROM_RECORDS if name in record.__dict__}
    context |= {"logger": record.name, "log_level": record.levelname}
    if record.levelno >= logging.CRITICAL:
        context.setdefault("severity", "high")
    raised = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if raised is None:
        _capture(None, _message(record), context)
    else:
        _capture_once(raised, _message(record), context)


def _message(record: logging.LogRecord) -> str:
    try:
        return text_of(record.getMessage())
    except Exception:  # arguments that don't fit: the error is still one
        return text_of(record.msg)
