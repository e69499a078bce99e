"""Errors on their way out: written as JSON, and shown to the program's `before_send` where it has one."""

import threading
from collections.abc import Callable
from typing import Any

from .losses import Losses
from .snapshot import Snapshot

BeforeSend = Callable[[dict[str, Any]], "dict[str, Any] | None"]


class Filter:
    """Never raises; what can't be written out is counted."""

    def __init__(
        self,
        defaults: dict[str, Any],
        before_send: BeforeSend | None,
        losses: Losses,
        complain: Callable[[str, str], None],
    ) -> None:
        self._defaults = defaults
        self._before_send = before_send
        self._losses = losses
        self._complain = complain
        self.thread = 0  # the one that is in before_send

    def written_out(self, snapshot: Snapshot) -> bytes | None:
        """One error as JSON; None where before_send doesn't want it, or it can't be written out."""
        from .writing import as_json, event_of  # noqa: PLC0415 - imported by late_imports

        try:
            if self._before_send is None:
                return as_json(event_of(snapshot, self._defaults))
            return self._filtered(snapshot, self._before_send)
        except Exception as error:
            self._losses.count()
            self._complain("writing", f"an error can't be written out ({type(error).__name__})")
            return None

    def _filtered(self, snapshot: Snapshot, before_send: BeforeSend) -> bytes | None:
        """As before_send answers it. It may be there to take secrets out: where it fails, nothing it could have taken
        out is sent."""
        from .writing import as_json, event_of, stripped  # noqa: PLC0415 - imported by late_imports

        if self.thread:  # it hangs there, and whoever closes the client takes over
            return as_json(stripped(snapshot, self._defaults, "it doesn't return"))
        event = event_of(snapshot, self._defaults)
        self.thread = threading.get_ident()
        try:
            answer = before_send(event)
            if answer is None:
                return None
            if not isinstance(answer, dict):
                raise TypeError  # noqa: TRY301 - a mistake like any other of that function
            return as_json({**answer, "error_id": snapshot.error_id})  # which makes a resend a duplicate
        except (Exception, SystemExit) as error:
            reason = type(error).__name__
            self._complain("before_send", f"before_send failed ({reason}), so errors are sent without their content")
            return as_json(stripped(snapshot, self._defaults, reason))
        finally:
            self.thread = 0
