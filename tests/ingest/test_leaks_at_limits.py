"""A length limit that falls into a secret leaves no half of it: half a token no longer looks like one."""

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest

from ingest.client.snapshot import text_of
from ingest.doors.meshhook.failures import NOWHERE, failed_try
from ingest.doors.meshhook.runs import Event as LoggedEvent
from ingest.doors.otlp.events import raw_event as raw_of_log
from ingest.doors.otlp.logs import LogRecord
from ingest.doors.otlp.protobuf import read_protobuf
from ingest.doors.sentry.events import raw_event as raw_of_sentry
from tests.ingest.doors.otlp_requests import log_record, request_of
from tests.labelled.made_up import KINDS
from tests.labelled.plants import Event, Planted, pieces
from tests.scores.masking import leaks

NOW = datetime(2026, 11, 25, tzinfo=UTC)
FILLED = "nothing happened here, and "
WAYS: dict[str, tuple[int, Callable[[str], Event]]] = {}  # the limit, and the event that a text becomes


def way(limit: int) -> Callable[[Callable[[str], Event]], Callable[[str], Event]]:
    def noted(make: Callable[[str], Event]) -> Callable[[str], Event]:
        WAYS[make.__name__] = (limit, make)
        return make

    return noted


@way(20_000)
def title(text: str) -> Event:
    return {"title": text}


@way(300_000)
def long_text(text: str) -> Event:
    return {"metadata": {"dump": text, "more": "x" * 1_500_000}}


@way(8_000)
def text_of_the_client(text: str) -> Event:
    return {"message": text_of(text)}


@way(1_000)
def parameter_of_sentry(text: str) -> Event:
    return raw_of_sentry({"logentry": {"message": "it says %s", "params": [text]}})


@way(300)
def context_line_of_sentry(text: str) -> Event:
    frame = {"filename": "a.py", "lineno": 3, "function": "f", "context_line": text}
    return raw_of_sentry({"exception": {"values": [{"type": "E", "value": "x", "stacktrace": {"frames": [frame]}}]}})


@way(176)  # what room its place and its tries leave in the 200 characters of a title
def title_of_meshhook(text: str) -> Event:
    event = LoggedEvent(1, UUID(int=1), NOW, "step_failed", "notify", "http_call", 5, 5, text)
    raw = failed_try(event, NOWHERE, 5, is_repeated=False)
    return raw | {"metadata": {}}  # the title alone: the whole message is masked as any other


@way(10_000 - len('{"said":"'))
def body_of_a_log(text: str) -> Event:
    (record,) = read_protobuf(request_of(log_record({"said": text})).SerializeToString(), 10)
    assert isinstance(record, LogRecord)
    raw = raw_of_log(record, NOW)
    raw["metadata"].pop("body", None)
    return raw


@pytest.mark.parametrize(
    "kind", ["github", "gitlab", "stripe_long", "jwt", "gcp", "aws_id", "openai_project", "slack_bot"]
)
@pytest.mark.parametrize("name", list(WAYS))
def test_a_secret_that_a_limit_cuts_in_two_leaves_no_half(name: str, kind: str) -> None:
    limit, make = WAYS[name]
    found = {}
    for left in (10, 17, 20, 26, 38, 70):  # characters before the limit
        secret = KINDS[kind](Random(left))
        if left < len(secret):
            begin = (FILLED * (limit // len(FILLED) + 1))[: limit - left - 1]
            plant = Planted(f"{left}", kind, make(f"{begin} {secret} and more"), frozenset(pieces(kind, secret)))
            found |= leaks([plant])
    assert not found
