"""How much of what comes in may be in memory at once: above that, senders are asked to come back."""

from ingest.doors.problems import Problem

RETRY_SECONDS = 2


class Room:
    """Counts the bytes of all requests that are under way in this process."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.taken = 0
        self.turned_away = 0


class Share:
    """What one request takes of the room. `has_come` says whether all of its body has come in."""

    __slots__ = ("_room", "_taken", "has_come")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0
        self.has_come = False

    def take(self, count: int) -> None:
        """Raises Problem 429 when there is no room for `count` more bytes."""
        room = self._room
        if room.taken + count > room.most_bytes:
            room.turned_away += 1
            raise Problem(
                429,
                f"Too much comes in at once. Send it again in {RETRY_SECONDS} seconds.",
                {"Retry-After": str(RETRY_SECONDS)},
            )
        room.taken += count
        self._taken += count

    def give_back(self) -> None:
        """The request is over."""
        self._room.taken -= self._taken
        self._taken = 0
