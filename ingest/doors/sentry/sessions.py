"""Sessions as trials: each finishes once, and fails at most once, however often it is updated or sent again.

A single session is told of several times: when it begins, on errors, at its end. The first word of it counts as
finished, the first bad one as failed, each under a report id made of the session's own: the ledger of ids makes every
further word a duplicate. So a failure may come as a report of its own, with nothing finished. Both carry the time when
the session began, and meet in the same bucket.

Sums (`sessions`), which servers send for each minute, are finished by definition.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from ingest.doors.shapes import record, records, text
from ingest.exceptions import InvalidEvent
from ingest.models import ExecutionReport, JsonObject

_SPACE = UUID("5b1d7c7e-6a0e-5d0b-9a53-0d6d9f6f2c11")
_BAD = frozenset(("errored", "crashed", "abnormal", "unhandled"))
_FAILED_COUNTS = ("errored", "crashed", "abnormal", "unhandled")
_MOST = 2**31
_FUTURE = timedelta(minutes=5)
_OLDEST = timedelta(days=30)


def session_reports(session: Any, project_id: UUID | None, received_at: datetime) -> Iterator[ExecutionReport]:
    """What one word of a single session adds. Raises InvalidEvent for one without an id."""
    known = record(session)
    sid = text(known.get("sid"))
    if sid is None:
        raise InvalidEvent("A session needs its sid.")
    began = _moment(known.get("started"), received_at)
    project = f"{project_id}:{sid}"
    yield ExecutionReport(_report_id(f"finished:{project}"), began, _source(known), project_id, None, 1, 0)
    if text(known.get("status")) in _BAD or _count(known.get("errors")) > 0:
        yield ExecutionReport(_report_id(f"failed:{project}"), began, _source(known), project_id, None, 0, 1)


def sums_reports(
    sums: Any, sent_at: str | None, project_id: UUID | None, received_at: datetime
) -> Iterator[ExecutionReport]:
    """One report for each minute of a `sessions` item. The time of sending makes a resend recognisable."""
    known = record(sums)
    for number, minute in enumerate(records(known.get("aggregates"))[:1_000]):
        failed = sum(_count(minute.get(name)) for name in _FAILED_COUNTS)
        finished = failed + _count(minute.get("exited"))
        if finished:
            report_id = _sums_id(known, minute, f"{project_id}:{sent_at}:{number}") if sent_at else uuid4()
            began = _moment(minute.get("started"), received_at)
            yield ExecutionReport(report_id, began, _source(known), project_id, None, finished, failed)


def _sums_id(sums: JsonObject, minute: JsonObject, place: str) -> UUID:
    """Of all that tells one report from another: several processes may send at the same moment."""
    words = [place, *(f"{name}={text(minute.get(name))}" for name in ("started", "did", "exited", *_FAILED_COUNTS))]
    words += sorted(f"{name}={text(value)}" for name, value in record(sums.get("attrs")).items())
    return _report_id(":".join(words))


def _report_id(words: str) -> UUID:
    """The same for the same words, also where they hold lone surrogates."""
    return uuid5(_SPACE, words.encode("utf-8", "backslashreplace").decode())


def _source(session: JsonObject) -> str:
    """Sessions are requests and page views; a `meshhook.source` among the attributes says otherwise."""
    named = record(session.get("attrs")).get("meshhook.source")
    return str(named) if named in ("worker", "system") else "webhook"


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else 0


def _moment(value: Any, received_at: datetime) -> datetime:
    """When it began; the time of receipt where that can't be."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        else:
            moment = datetime.fromtimestamp(float(value), UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return received_at
    return min(moment, received_at) if received_at - _OLDEST <= moment <= received_at + _FUTURE else received_at
