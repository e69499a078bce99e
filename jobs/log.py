"""One line for each thing worth knowing, on standard output, where the supervisor or the system collects it."""

import logging
from collections.abc import MutableMapping
from enum import Enum
from typing import Any

import structlog


def _plain_values(_: object, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A member of an enumeration is logged as what it stands for."""
    for name, value in entry.items():
        if isinstance(value, Enum):
            entry[name] = value.value
    return entry


def configure_logging(level: str) -> None:
    """Set up this process. `level` is debug, info, warning or error."""
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(least, logging.WARNING), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            _plain_values,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=True,
    )
