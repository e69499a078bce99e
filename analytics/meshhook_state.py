"""How the connection to MeshHook is doing: for the pages and for `doctor`."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class MeshhookState:
    """`misses` are failures that a trigger couldn't hand over; `recovered` those that the event log gave back."""

    connected_at: datetime
    disconnected_at: datetime | None
    read_at: datetime | None
    waiting: int
    oldest_waiting: datetime | None
    misses: int
    recovered: int

    @property
    def is_connected(self) -> bool:
        """Whether MeshHook is watched now."""
        return self.disconnected_at is None

    @property
    def lost(self) -> int:
        """Failures that were neither captured nor recovered yet."""
        return max(0, self.misses - self.recovered)

    def is_behind(self, now: datetime, allowed: timedelta) -> bool:
        """Whether the event log wasn't read for longer than `allowed`."""
        return self.is_connected and now - max(self.read_at or self.connected_at, self.connected_at) > allowed


def meshhook_state(connection: Connection) -> MeshhookState | None:
    """The state as it is stored; None where no MeshHook was ever connected."""
    row = connection.execute(_SQL["meshhook_state"]).fetchone()
    return None if row is None else MeshhookState(*row)
