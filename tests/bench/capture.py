"""What reporting an exception costs the thread that reports it, beside sentry-sdk with the same exception."""

import statistics
import tempfile
import time

import sentry_sdk
from sentry_sdk.transport import Transport

from ingest import client

_DEPTH = 20
_CALLS = 300


class _Discard(Transport):
    """Takes envelopes and forgets them: nothing is sent, nothing waits."""

    def capture_envelope(self, envelope: object) -> None:
        pass


def _fail(depth: int) -> None:
    payload = {"depth": depth, "text": "x" * 50}
    if depth:
        _fail(depth - 1)
    raise ValueError(f"can't handle {payload['depth']}")


def _raised() -> ValueError:
    try:
        _fail(_DEPTH)
    except ValueError as error:
        return error
    raise AssertionError


def microseconds(rounds: int) -> tuple[float, float]:
    """Median cost of one call, theirs and ours, measured in turn."""
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=_Discard, default_integrations=False)
    with tempfile.TemporaryDirectory() as directory:
        client.init("http://key@127.0.0.1:9/1", spool_dir=directory, hooks=False)
        medians = _medians(rounds)
        client.close(0)
    client._sender = None
    return medians


def _medians(rounds: int) -> tuple[float, float]:
    error = _raised()
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(_timed(lambda: sentry_sdk.capture_exception(error)))
        ours.append(_timed(lambda: client.capture_exception(error)))
    return statistics.median(theirs), statistics.median(ours)


def _timed(call: object) -> float:
    began = time.perf_counter()
    for _ in range(_CALLS):
        call()  # type: ignore[operator]
    return (time.perf_counter() - began) / _CALLS * 1e6
