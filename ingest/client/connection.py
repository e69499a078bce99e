"""One HTTP connection, kept open between requests."""

import http.client
import zlib
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .address import Address

_LONGEST_RETRY_AFTER = 3600.0
_LONGEST_ANSWER = 4_000_000  # bytes


class Answer(NamedTuple):
    """`retry_after` in seconds, where the server said when to come back."""

    status: int
    retry_after: float | None
    body: bytes


class Connection:
    """Posts JSON. Used by one thread at a time."""

    def __init__(self, address: Address, timeout: float) -> None:
        kind = http.client.HTTPSConnection if address.is_secure else http.client.HTTPConnection
        self._http = kind(address.host, address.port, timeout=timeout)
        self._prefix = address.prefix
        self._query = f"?project={address.project}" if address.project else ""
        self._headers = {
            "Authorization": f"Bearer {address.key}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }

    def post(self, path: str, document: bytes, now: float) -> Answer:
        """Raises OSError or HTTPException where no answer came. `now` in epoch seconds, for a Retry-After date."""
        body = zlib.compress(document, 1, wbits=31)
        was_open = self._http.sock is not None
        try:
            return self._attempt(path, body, now)
        except (ConnectionError, http.client.HTTPException):
            # Servers end connections that idle; that says nothing about the server, so a fresh one gets its try now.
            if not was_open:
                raise
        return self._attempt(path, body, now)

    def _attempt(self, path: str, body: bytes, now: float) -> Answer:
        try:
            self._http.request("POST", self._prefix + path + self._query, body, self._headers)
            response = self._http.getresponse()
            text = response.read(_LONGEST_ANSWER)
        except BaseException:
            self._http.close()
            raise
        if not response.isclosed():
            self._http.close()  # the rest of a huge answer would be read as the next one
        return Answer(response.status, seconds_to_wait(response.headers.get("Retry-After"), now), text)


def seconds_to_wait(retry_after: str | None, now: float) -> float | None:
    """What a Retry-After header asks for, a number of seconds or a date; None where it can't be read."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdecimal():
            seconds = float(retry_after)
        else:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
