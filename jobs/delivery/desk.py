"""The thread that empties the outbox: woken by each new notification, and by the clock for those to be tried again."""

import threading
from datetime import UTC, datetime
from types import TracebackType

import psycopg
import structlog

from ingest.database import Connection, connect
from ingest.exceptions import StoreUnavailable
from ingest.settings import Settings
from ingest.vault import Vault
from jobs.delivery.email import MailTransport
from jobs.delivery.outbox import Outbox
from jobs.delivery.slack import SlackTransport

_LONGEST_SLEEP = 5.0
_SHORTEST_SLEEP = 0.1

log = structlog.get_logger("delivery")


class DeliveryDesk:
    """A context manager: delivers while it is open."""

    def __init__(self, options: Settings) -> None:
        url = options.database_url.get_secret_value()

        def open_connection() -> Connection:
            return connect(url, "delivery")

        transports = {"slack": SlackTransport(), "email": MailTransport(options)}
        vault = Vault(options.secret_key.get_secret_value())
        self._news = threading.Event()
        self._outbox = Outbox(open_connection, transports, vault, lambda: datetime.now(UTC), self._news.set)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def __enter__(self) -> "DeliveryDesk":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._news.set()
        self._thread.join()
        self._outbox.close()

    def wake(self) -> None:
        """Something new is in the outbox."""
        self._news.set()

    def _run(self) -> None:
        while not self._closing:
            self._news.clear()
            try:
                while self._outbox.deliver_due():
                    pass
                pause = self._until_due(self._outbox.next_due())
            except (psycopg.Error, StoreUnavailable) as error:
                log.warning("the outbox can't be read", reason=type(error).__name__)
                pause = 1.0
            except Exception:  # this thread must outlive whatever happens: nobody else delivers
                log.exception("delivery failed")
                pause = _LONGEST_SLEEP
            self._news.wait(pause)

    @staticmethod
    def _until_due(due: datetime | None) -> float:
        if due is None:
            return _LONGEST_SLEEP
        return min(max((due - datetime.now(UTC)).total_seconds(), _SHORTEST_SLEEP), _LONGEST_SLEEP)
