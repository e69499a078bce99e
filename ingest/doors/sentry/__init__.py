"""The Sentry protocol: `POST /api/{project}/envelope/` and `/store/`, so that every Sentry SDK works with our DSN.

Events become errors, sessions become trials, client reports are counted. Any other item is accepted and counted, so
that no SDK ever sees an error for what we have no use for.
"""

import binascii
import re
from base64 import b64decode
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from ingest.access import bearer
from ingest.doors.batch import commit_rows, over_limit
from ingest.doors.decompression import decompressed
from ingest.doors.documents import check_values, parsed
from ingest.doors.gate import Gate, Owner, Turns, Visit
from ingest.doors.problems import Answer, Problem, answer, header_lines
from ingest.doors.sentry.events import raw_event
from ingest.doors.sentry.framing import Envelope, Item, read_envelope
from ingest.doors.sentry.sessions import session_reports, sums_reports
from ingest.doors.shapes import record, records, text
from ingest.exceptions import InvalidEvent
from ingest.limits import Toll
from ingest.rows import Row, counted_row, execution_row

PATH = re.compile(r"/api/(?P<project>[0-9A-Za-z-]{1,40})/(?P<door>envelope|store)/?")
_AUTH_KEY = re.compile(r"(?:^|[\s,])sentry_key\s*=\s*\"?([^\s,\"]+)")
_DSN_KEY = re.compile(r"https?://([^:/@\s]+)(?::[^@/\s]*)?@")
_CATEGORIES = "error;session;default"
_NO_ERRORS = ("transaction", "feedback", "replay_event", "profile")  # old SDKs send them as events
_FEW_ITEMS = 5  # take no longer than one event
_MOST_HELD_BACK = 1_000_000  # that one report may tell of
_HELD_BACK = {
    "title": "Errors that an SDK held back while it was above a limit",
    "fingerprint": "sentry-ratelimit-backoff",
}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_CORS_LINES = header_lines(_CORS)
_PREFLIGHT = _CORS | {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "X-Sentry-Auth, X-Requested-With, Origin, Accept, Content-Type, Authentication, "
    "Authorization, Content-Encoding, Transfer-Encoding, sentry-trace, baggage",
    "Access-Control-Max-Age": "86400",
}
_KNOWN_KINDS = frozenset(
    """event session sessions client_report transaction span profile profile_chunk replay_event replay_recording
    replay_video check_in attachment user_report feedback log otel_log trace_metric statsd metric_buckets
    form_data raw_security""".split()
)
_KNOWN_REASONS = frozenset(
    """queue_overflow cache_overflow buffer_overflow ratelimit_backoff network_error send_error sample_rate before_send
    event_processor internal_sdk_error backpressure insufficient_data""".split()
)
_KNOWN_CATEGORIES = frozenset(
    """error session transaction default attachment span profile replay security monitor feedback log_item log_byte
    internal trace_metric""".split()
)


async def take(visit: Visit, gate: Gate) -> Answer:
    """200 with the event's id, after the commit. Problems carry what SDKs look for. Never raises Problem."""
    try:
        return await _taken(visit, gate)
    except Problem as problem:
        headers = _CORS | {"X-Sentry-Error": _of_one_line(problem.detail)} | problem.headers
        if problem.status == 429:
            wait = problem.headers.get("Retry-After", "60")
            headers["X-Sentry-Rate-Limits"] = f"{wait}:{_CATEGORIES}:organization"
        return Problem(problem.status, problem.detail, headers).answer()


def _of_one_line(detail: str) -> str:
    """What a header may hold."""
    printable = "".join(character if character.isprintable() else " " for character in detail)
    return " ".join(printable.encode("ascii", "replace").decode().split())


async def _taken(visit: Visit, gate: Gate) -> Answer:
    if visit.scope["method"] == "OPTIONS":
        return answer(200, b"", b"text/plain", _PREFLIGHT)
    if visit.scope["method"] != "POST":
        raise Problem(405, "This address takes POST.", {"Allow": "POST, OPTIONS"})
    match = PATH.fullmatch(visit.scope["path"])
    assert match is not None, "the corridor leads nowhere else"
    key = _key_of(visit)
    if key is not None:
        owner, toll = await _admitted(gate, key, match["project"])
        body = await gate.body(visit)
        envelope = _read(body, match["door"], gate)
    else:  # some SDKs name the key in the envelope alone
        body = await gate.body(visit)
        envelope = _read(body, match["door"], gate)
        found = _DSN_KEY.match(text(envelope.headers.get("dsn")) or "")
        owner, toll = await _admitted(gate, found[1] if found else None, match["project"])
    return await _store(envelope, owner, gate, toll)


def _key_of(visit: Visit) -> str | None:
    for header in (visit.header(b"x-sentry-auth"), visit.header(b"authorization")):
        if header and (key := _named_key(header)):
            return key
    return visit.parameter("sentry_key") or bearer(visit.header(b"authorization"))


@lru_cache(maxsize=1024)  # senders repeat theirs word by word
def _named_key(header: str) -> str | None:
    found = _AUTH_KEY.search(header)
    return found[1] if found else None


async def _admitted(gate: Gate, key: str | None, project: str) -> tuple[Owner, Toll]:
    grant = await gate.access.require(key, "ingest")
    return await gate.owner(grant, project), gate.toll(grant)


def _read(body: bytes, door: str, gate: Gate) -> Envelope:
    if door == "store":
        return Envelope({}, [Item("event", {}, _unwrapped(body, gate.max_body_bytes))])
    try:
        return read_envelope(body)
    except InvalidEvent as error:
        raise Problem(400, str(error)) from None


def _unwrapped(body: bytes, limit: int) -> bytes:
    """Old SDKs send the event deflated and in base64, without a word about it."""
    if body.lstrip()[:1] == b"{":
        return body
    try:
        return decompressed(b64decode(body.strip(), validate=True), "deflate", limit)
    except (binascii.Error, Problem):
        return body


async def _store(envelope: Envelope, owner: Owner, gate: Gate, toll: Toll) -> Answer:
    received_at = datetime.now(UTC)
    rows: list[Row] = []
    turns = Turns(gate.writer)
    problem = envelope.damage
    event_id = text(envelope.headers.get("event_id"))
    for item in envelope.items:
        if len(envelope.items) > _FEW_ITEMS:
            await turns.pass_on()
        gate.counts["sentry_items", item.kind if item.kind in _KNOWN_KINDS else "other"] += 1
        try:
            taken = await _rows(item, envelope, owner, received_at, gate, toll)
        except InvalidEvent as error:
            problem = problem or str(error)
        else:
            rows += taken
            if item.kind == "event" and taken:
                event_id = taken[0].id.replace("-", "")
    if problem is not None:
        gate.counts["sentry_items_refused",] += 1
        if not rows:
            raise Problem(400, problem)
    if rows:
        outcome = await commit_rows(gate, rows)
        if len(outcome.rejected) == len(rows):
            raise Problem(400, next(iter(outcome.rejected.values())))
    if toll.over:
        raise over_limit(toll, {})
    said = answer(200, to_json({"id": event_id} if event_id else {}), b"application/json")
    said.start["headers"] += _CORS_LINES
    return said


async def _rows(
    item: Item, envelope: Envelope, owner: Owner, received_at: datetime, gate: Gate, toll: Toll
) -> list[Row]:
    """What an item adds. Raises InvalidEvent where it can't be read."""
    if item.kind == "event":
        event = _payload(item)
        if record(event).get("type") in _NO_ERRORS:
            return []
        raw = raw_event(event, envelope.headers.get("event_id"))
        return [await gate.row(owner.own(raw), received_at, toll, owner)]
    if item.kind == "session":
        return [execution_row(report) for report in session_reports(_payload(item), owner.project_id, received_at)]
    if item.kind == "sessions":
        sent_at = text(envelope.headers.get("sent_at"))
        reports = sums_reports(_payload(item), sent_at, owner.project_id, received_at)
        return [execution_row(report) for report in reports]
    if item.kind == "client_report":
        report = _payload(item)
        _count_discarded(report, gate)
        return _held_back(report, owner, received_at, gate)
    return []


def _payload(item: Item) -> Any:
    try:
        check_values(item.payload)
        return parsed(item.payload)
    except Problem as problem:  # its neighbours may be fine
        raise InvalidEvent(problem.detail) from None
    except ValueError as error:
        raise InvalidEvent(f"The payload of the {item.kind[:40]} can't be read as JSON: {error}.") from None


def _held_back(report: Any, owner: Owner, received_at: datetime, gate: Gate) -> list[Row]:
    """Errors that the SDK dropped because we had answered 429: their number is all that is left of them."""
    held = 0
    for entry in records(record(report).get("discarded_events"))[:100]:
        quantity = entry.get("quantity")
        is_error = text(entry.get("category")) in ("error", "default")
        if is_error and text(entry.get("reason")) == "ratelimit_backoff" and isinstance(quantity, int):
            held += min(max(quantity, 0), _MOST_HELD_BACK)
    if not held:
        return []
    event = gate.hall.normalise(owner.own(dict(_HELD_BACK)), received_at)
    return [counted_row(event._replace(stands_for=held))]


def _count_discarded(report: Any, gate: Gate) -> None:
    """What an SDK dropped by itself, by reason and category, as far as these are known words."""
    for entry in records(record(report).get("discarded_events"))[:100]:
        reason, category = text(entry.get("reason")), text(entry.get("category"))
        quantity = entry.get("quantity")
        if isinstance(quantity, int) and 0 < quantity < 2**31:
            labels = (
                reason if reason in _KNOWN_REASONS else "other",
                category if category in _KNOWN_CATEGORIES else "other",
            )
            gate.counts["sentry_discarded", *labels] += quantity
