"""One attempt to deliver: what the server's answers mean for the items that were sent."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .address import Address
from .connection import Answer, Connection

if TYPE_CHECKING:
    from .losses import Losses

_TIMEOUT_SECONDS = 10.0
_SPLIT = (413, 422)
_LATER = (408, 425, 429)  # and every 5xx


class Delivery:
    """Posts to one address, over one connection that stays open. Used by one thread at a time."""

    def __init__(self, address: Address, losses: "Losses", complain: Callable[[str, str], None]) -> None:
        self._address = address
        self._losses = losses
        self._complain = complain
        self._connection: Connection | None = None
        self.retry_after: float | None = None  # seconds, where the last answer said when to come back

    def deliver(self, path: str, items: list[bytes], timeout: float | None) -> list[bytes]:
        """Try once, for at most `timeout` seconds where that is shorter than usual. Answers the items that are
        still to be sent: none after a final answer, be it a refusal. One that was counted for a limit is final, too.

        A refused batch is halved, so that a bad item never sinks its neighbours.
        """
        answer = self._attempt(path, items, timeout)
        self.retry_after = None if answer is None else answer.retry_after
        if answer is None:
            return items
        if 200 <= answer.status < 300 or _was_counted(answer):
            self._note_rejected(answer.body)
        elif answer.status >= 500 or answer.status in _LATER:
            return items
        elif answer.status in _SPLIT and len(items) > 1:
            middle = len(items) // 2
            left = self.deliver(path, items[:middle], timeout)
            return left + items[middle:] if left else self.deliver(path, items[middle:], timeout)
        else:
            self._losses.count(len(items))
            self._complain(str(answer.status), f"the server answers {answer.status}{_advice(answer.status)}")
        return []

    def _attempt(self, path: str, items: list[bytes], timeout: float | None) -> Answer | None:
        """One request; None where no answer came."""
        try:
            if self._connection is None:
                seconds = _TIMEOUT_SECONDS if timeout is None else min(timeout, _TIMEOUT_SECONDS)
                self._connection = Connection(self._address, seconds)
            return self._connection.post(path, b"[" + b",".join(items) + b"]", time.time())
        except Exception:  # sockets, TLS and http.client have a family each, and all of them may pass
            return None

    def _note_rejected(self, answer: bytes) -> None:
        try:
            rejected = json.loads(answer)["rejected"]
            reason = str(rejected[0]["error"]) if rejected else ""
        except (ValueError, KeyError, TypeError, IndexError):
            return  # not our server's form, but a 2xx all the same
        if rejected:
            self._losses.count(len(rejected))
            self._complain("rejected", f"the server refused an event: {reason[:200].rstrip('.')}")


def _was_counted(answer: Answer) -> bool:
    """A server that limits us has kept the number of these, and wants the next ones later."""
    if answer.status != 429:
        return False
    try:
        return "counted" in json.loads(answer.body)
    except (ValueError, TypeError):
        return False


def _advice(status: int) -> str:
    if status in (401, 403):
        return ": is the key right?"
    return ": is the address right?" if 300 <= status < 400 or status in (404, 405) else ""
