"""Whoever sends webhooks: each at its moment of the script, signed, with a body that is full of secrets."""

import json
import secrets
import threading
from collections.abc import Mapping
from http.client import HTTPConnection
from random import Random
from typing import Any

from jobs.demo.clock import Clock
from jobs.demo.script import Arrival, Script
from jobs.demo.web import SIGNATURE, sign
from jobs.demo.workflows import CURRENCIES

_NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Niklaus", "Radia")


class Traffic:
    """`failure` as the engine's."""

    def __init__(self, script: Script, clock: Clock, port: int, signing_secrets: Mapping[str, str]) -> None:
        self.failure: Exception | None = None
        self._script = script
        self._clock = clock
        self._port = port
        self._secrets = signing_secrets
        self._token = secrets.token_urlsafe(24)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_all, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait until the last webhook is sent."""
        self._thread.join()

    def stop(self) -> None:
        """No webhook is sent any more, none is under way."""
        self._stop.set()
        self._thread.join()

    def _send_all(self) -> None:
        for arrival in self._script.arrivals:
            if self._stop.wait(max(self._clock.real(arrival.second - self._clock.now()), 0)):
                return
            try:
                self._send(arrival)
            except Exception as error:  # noqa: BLE001 - the play ends with it
                self.failure = error
                return

    def _send(self, arrival: Arrival) -> None:
        body = json.dumps(_body(arrival, Random(f"{self._script.seed}/body/{arrival.number}"))).encode()
        secret = self._secrets[arrival.project] if arrival.is_signed else "the secret of last year"
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._token}",
            "User-Agent": "shop-webhooks/2.3",
            SIGNATURE: sign(secret, body),
        }
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", f"/hooks/{arrival.project}/{arrival.slug}", body, headers)
            connection.getresponse().read()
        finally:
            connection.close()


def _body(arrival: Arrival, random: Random) -> dict[str, Any]:
    name = random.choice(_NAMES)
    currency = "XTS" if arrival.has_bad_body else random.choice(CURRENCIES)
    return {
        "delivery": arrival.number,
        "order": {"amount": random.randint(500, 50_000), "currency": currency},
        "customer": {"name": name, "email": f"{name.lower()}{arrival.number}@example.com"},
        "payment": {"card_number": "4111 1111 1111 1111", "api_key": random.randbytes(16).hex()},
    }
