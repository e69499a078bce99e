"""Signs of life: each process says in `components` that it lives, and what it has to say of itself."""

import json
import os
import socket
from datetime import datetime
from typing import Any

from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)


def instance_name(port: int | None = None) -> str:
    """Names this process among its kind: host and port for a server, else host and process."""
    return f"{socket.gethostname()}:{port or os.getpid()}"


def beat(
    connection: Connection, component: str, instance: str, started_at: datetime, detail: dict[str, Any] | None = None
) -> None:
    """Write a sign of life."""
    values = {
        "component": component,
        "instance": instance,
        "started_at": started_at,
        "detail": json.dumps(detail or {}),
    }
    connection.execute(_SQL["beat"], values)


def forget_the_dead(connection: Connection) -> None:
    """Remove instances not seen for a week; the last of a kind stays, so that its silence is noticed for ever."""
    connection.execute(_SQL["forget"])
