"""Delivers what stands in the outbox: lease, send, record.

Sending happens outside any transaction. A process that dies after sending and before recording sends again once its
lease is over: at least once, with the same deduplication key.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import structlog
from pydantic import ValidationError

from ingest.database import Connection
from ingest.exceptions import StoreUnavailable
from ingest.statements import load_statements
from ingest.vault import Vault, VaultClosed
from jobs.delivery.message import Message
from jobs.delivery.transport import Destination, PassingFailure, PermanentFailure, Transport

_SQL = load_statements(__file__)
LEASE_SECONDS = 60
_AT_ONCE = 16
_EACH_CHANNEL = 2  # a channel that hangs holds no more than these
_LONGEST_PAUSE = 600.0
_LONGEST_ASKED = 3600.0
_RECORD_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
_GIVE_UP_AFTER = timedelta(hours=24)

log = structlog.get_logger("delivery")


@dataclass(frozen=True, slots=True)
class _Leased:
    id: UUID
    channel_id: UUID | None
    channel_name: str
    dedup_key: str
    message: dict[str, Any]
    attempts: int
    created_at: datetime


class Outbox:
    """`connect` opens a connection in autocommit mode; `clock` answers the time; `when_free` is called whenever a
    notification is settled or postponed."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        transports: Mapping[str, Transport],
        vault: Vault,
        clock: Callable[[], datetime],
        when_free: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        self._transports = transports
        self._vault = vault
        self._clock = clock
        self._when_free = when_free
        self._workers = ThreadPoolExecutor(_AT_ONCE, "delivery")
        self._under_way: dict[UUID, UUID] = {}  # notification: lease
        self._looked_at = clock()
        self._closing = threading.Event()

    def deliver_due(self) -> int:
        """Start sending what is due, as much of it as there are free workers, so that nothing waits under a lease;
        answers how many. Renews the leases of what is under way: a sender that is slow is no dead one."""
        lease, now = uuid4(), self._clock()
        under_way = dict(self._under_way)
        times = {"now": now, "seconds": LEASE_SECONDS}
        bounds = {"limit": _AT_ONCE - len(under_way), "each_channel": _EACH_CHANNEL}
        self._looked_at = now
        with self._connect() as connection:
            if under_way:
                held = {"ids": list(under_way), "leases": list(under_way.values())}
                connection.execute(_SQL["renew"], times | held)
            rows = connection.execute(_SQL["lease"], times | bounds | {"lease": lease}).fetchall()
        leased = [_Leased(*row) for row in rows]
        for notification in leased:
            self._under_way[notification.id] = lease
            self._workers.submit(self._deliver, notification, lease)
        return len(leased)

    def next_due(self) -> datetime | None:
        """When there is something to do next that `deliver_due` hasn't seen to."""
        with self._connect() as connection:
            row = connection.execute(_SQL["next_due"], {"now": self._looked_at}).fetchone()
        return None if row is None else row[0]

    def close(self, *, wait: bool = True) -> None:
        """Let what is under way finish."""
        self._closing.set()
        self._workers.shutdown(wait=wait, cancel_futures=True)

    def _deliver(self, notification: _Leased, lease: UUID) -> None:
        try:
            with self._connect() as connection:
                transport, destination = self._destination(connection, notification)
            began, clock = self._clock(), time.monotonic()
            result = _attempt(transport, destination, notification)
            duration = round((time.monotonic() - clock) * 1000)
            self._record_surely(notification, lease, result, (began, duration))
        except Exception:  # the lease runs out and it is tried again
            log.exception("delivery was interrupted", channel=notification.channel_name)
        finally:
            self._under_way.pop(notification.id, None)
            self._when_free()

    def _record_surely(
        self,
        notification: _Leased,
        lease: UUID,
        result: tuple[str, str, float | None],
        timing: tuple[datetime, int],
    ) -> None:
        """What was sent and isn't recorded is sent again: so a Postgres that is away for a moment is waited for."""
        for pause in (*_RECORD_PAUSES, None):
            try:
                with self._connect() as connection:
                    self._record(connection, notification, lease, result, timing)
            except (psycopg.OperationalError, StoreUnavailable):
                if pause is None or self._closing.wait(pause):
                    raise
            else:
                return

    def _destination(
        self, connection: Connection, notification: _Leased
    ) -> tuple[Transport | None, Destination | PermanentFailure]:
        row = connection.execute(_SQL["channel"], {"id": notification.channel_id}).fetchone()
        if row is None:
            return None, PermanentFailure("The channel was deleted.")
        kind, settings, secret = row
        transport = self._transports.get(kind)
        if transport is None:
            return None, PermanentFailure(f"No transport is known for a channel of kind {kind!r}.")
        try:
            opened = None if secret is None else self._vault.decrypt(bytes(secret))
        except VaultClosed as error:
            return None, PermanentFailure(str(error))
        return transport, Destination(notification.channel_name, settings, opened, notification.dedup_key)

    def _record(
        self,
        connection: Connection,
        notification: _Leased,
        lease: UUID,
        result: tuple[str, str, float | None],
        timing: tuple[datetime, int],
    ) -> None:
        outcome, detail, retry_after = result
        now = self._clock()
        if outcome == "retry" and now - notification.created_at > _GIVE_UP_AFTER:
            outcome, detail = "permanent", f"{detail} Given up after a day."
        with connection.transaction():
            if outcome == "retry":
                pause = max(_pause(notification.attempts), min(retry_after or 0.0, _LONGEST_ASKED))
                values = {"id": notification.id, "lease": lease, "next_attempt_at": now + timedelta(seconds=pause)}
                connection.execute(_SQL["postpone"], values)
            else:
                status = "delivered" if outcome == "delivered" else "failed"
                delivered_at = now if outcome == "delivered" else None
                values = {"id": notification.id, "lease": lease, "status": status, "delivered_at": delivered_at}
                connection.execute(_SQL["settle"], values)
            attempt = {"id": notification.id, "attempted_at": timing[0], "duration_ms": timing[1]}
            connection.execute(_SQL["note_attempt"], attempt | {"outcome": outcome, "detail": detail[:500]})
        log.info("delivery", channel=notification.channel_name, outcome=outcome, attempt=notification.attempts)


def _attempt(
    transport: Transport | None, destination: Destination | PermanentFailure, notification: _Leased
) -> tuple[str, str, float | None]:
    """Outcome, detail, and how long the other side wants us to wait."""
    if transport is None or isinstance(destination, PermanentFailure):
        return "permanent", str(destination), None
    try:
        return "delivered", transport.send(Message.model_validate(notification.message), destination), None
    except PassingFailure as failure:
        return "retry", str(failure), failure.retry_after
    except PermanentFailure as failure:
        return "permanent", str(failure), None
    except ValidationError:
        return "permanent", "The message can't be read: it was written by another version.", None
    except Exception as error:  # noqa: BLE001 - a transport's mistake is an attempt like any other; its text may be secret
        return "retry", f"It couldn't be sent ({type(error).__name__}).", None


def _pause(attempts: int) -> float:
    """Exponential, with jitter so that many don't return at once."""
    return min(2.0 ** (attempts - 1), _LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
