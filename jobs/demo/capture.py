"""The one place where the demo meets the capture from MeshHook's tables. Every other part of it only plays MeshHook."""

from typing import TYPE_CHECKING

from ingest.doors.meshhook.connection import Limits, connect, disconnect
from ingest.statements import load_statements

if TYPE_CHECKING:
    from ingest.database import Connection

_SQL = load_statements(__file__)


def limits(speed: float) -> Limits:
    """What fits the speed: no healthy run lasts a third as long as one that counts as stuck."""
    return Limits(stuck_after_seconds=max(600 / speed, 3), failed_after_seconds=max(10 / speed, 2))


def connect_capture(connection: "Connection", speed: float) -> None:
    """Connect the demo's tables. Raises CannotConnect."""
    connect(connection, limits(speed))


def disconnect_capture(connection: "Connection") -> None:
    """Before the demo's tables are dropped: what is connected next is judged by the usual limits again, and no run of
    the demo is listed as stuck any more. Its errors stay, as history does."""
    disconnect(connection)
    connection.execute(_SQL["usual_limits"])
    connection.execute(_SQL["forget_stuck"])
