"""Errors that were dropped: how many, and the one event that tells the server once it is back."""

import threading
import time
from typing import Any

from .snapshot import new_id


class Losses:
    """Counted from any thread, also from a signal handler that interrupts another count."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self._lock = threading.RLock()
        self._untold = 0
        self._since = 0.0
        self._report: tuple[int, bytes] | None = None  # kept until it is told, so that a resend has the same id

    def count(self, number: int = 1, *, while_away: bool = False) -> None:
        """Errors that won't arrive; `while_away`, because there was no room for them, and the server should hear."""
        with self._lock:
            self.total += number
            if while_away and number:
                self._since = self._since if self._untold else time.time()
                self._untold += number

    def report(self, defaults: dict[str, Any]) -> bytes | None:
        """The event that tells of them; None where there is nothing to tell."""
        from .writing import as_json, iso  # noqa: PLC0415 - imported by late_imports

        with self._lock:
            if self._report is None and self._untold:
                now, count = time.time(), self._untold
                noun = "error" if count == 1 else "errors"
                title = f"The client dropped {count} {noun} while the server was away"
                metadata: dict[str, Any] = {"dropped": count, "since": iso(self._since)}
                for name in ("release", "environment", "server_name"):
                    if defaults.get(name) is not None:
                        metadata[name] = defaults[name]
                event = {
                    "error_id": new_id(now),
                    "timestamp": iso(now),
                    "source": "system",
                    "error_type": "system",
                    "severity": "medium",
                    "title": title,
                    "message": title,
                    "fingerprint": "meshhook-errors-client-dropped",
                    "metadata": metadata,
                }
                if defaults.get("project_id") is not None:
                    event["project_id"] = defaults["project_id"]
                self._report = count, as_json(event)
            return None if self._report is None else self._report[1]

    def told(self) -> None:
        """The last report has arrived."""
        with self._lock:
            if self._report is not None:
                self._untold -= self._report[0]
                self._since = time.time()
                self._report = None
