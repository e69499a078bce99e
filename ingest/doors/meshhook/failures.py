"""MeshHook's failures as raw events for the hall, with titles that say what a person would say."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from ingest.doors.meshhook.event_log import whole
from ingest.doors.meshhook.runs import Event, Run
from ingest.doors.shapes import start_of
from ingest.models import MAX_TITLE, JsonObject

_JS_ERROR = re.compile(r"\s*(?P<type>(?:[A-Za-z_$][\w$.]{0,80})?(?:Error|Exception))(?::\s*(?P<value>.*))?", re.DOTALL)
_UUID_TIME_BITS = 48


@dataclass(frozen=True, slots=True)
class Place:
    """Where in MeshHook it happened, as far as that is known."""

    project_id: UUID | None = None
    workflow_id: UUID | None = None
    slug: str | None = None
    version: int | None = None
    started_at: datetime | None = None

    def metadata(self) -> JsonObject:
        """What goes into an event's metadata."""
        return _known({"workflow": self.slug, "workflow_version": self.version})


NOWHERE = Place()


def failed_try(event: Event, place: Place, usual_attempts: int, *, is_repeated: bool) -> JsonObject:
    """A failed try of a step. `is_repeated`: this step has been counted as failed before."""
    most = event.max_attempts or usual_attempts
    kind, value = _told(event.error)
    if event.attempt is None:
        tries = ""
    elif event.is_last_try(usual_attempts):
        tries = f" ({event.attempt} of {max(event.attempt, most)} tries{', again' if is_repeated else ''})"
    else:
        tries = f" (try {event.attempt} of {most})"
    metadata = _exception(kind, value) | place.metadata()
    metadata |= _known({"node": event.node, "node_type": event.node_type, "event_id": event.id})
    if event.attempt is not None:
        metadata |= {"attempt": event.attempt, "max_attempts": max(event.attempt, most)}
    raw = _raw(event_error_id(event.id, event.at), event.at, place, event.run_id, metadata)
    raw["title"] = _title(event.node or "step", value or kind or "failed", tries)
    if event.node_type == "webhook":
        raw["source"] = "webhook"
    if is_repeated:
        raw["severity"] = "low"
    elif event.is_last_try(usual_attempts):
        raw["severity"] = "high"
    return raw


def failed_run(run: Run, place: Place, at: datetime) -> JsonObject:
    """A run that ended as failed. Where a step's error is the reason, it refers to it and weighs less."""
    reason = run.exhausted
    name = place.slug or "workflow"
    kind, value = _told(reason.error if reason else None)
    metadata: JsonObject = place.metadata()
    if reason is None:
        metadata["message"] = f"{name}: run failed"
        title = f"{name}: run failed"
    else:
        metadata["message"] = f"run failed at {reason.node or 'a step'}: {value or kind or 'failed'}"
        metadata |= _known({"node": reason.node})
        metadata["step_error_id"] = str(event_error_id(reason.event_id, reason.at))
        title = _title(f"{name}: run failed at {reason.node or 'a step'}", value or kind or "failed", "")
    raw = _raw(derived_id(at, f"run {run.run_id} failed"), at, place, run.run_id, metadata)
    return raw | {"title": title, "severity": "high" if reason is None else "medium"}


def stuck_run(run: Run, place: Place, at: datetime, threshold_seconds: float) -> JsonObject:
    """A run that lasts far longer than runs of this workflow ever do."""
    name = place.slug or "workflow"
    after = f" after {run.last_node}" if run.last_node else ""
    metadata = place.metadata() | {
        "message": f"{name}: run stuck{after}",
        "started_at": run.started_at.isoformat(),
        "last_event_at": run.last_event_at.isoformat(),
        "threshold_seconds": round(threshold_seconds, 1),
    }
    metadata |= _known({"node": run.last_node})
    raw = _raw(stuck_error_id(run, at), at, place, run.run_id, metadata)
    return raw | {"title": f"{name}: run stuck{after}", "error_type": "execution", "severity": "high"}


def dead_letter(job: JsonObject, at: datetime, place: Place) -> JsonObject:
    """A job that went into the dead-letter queue."""
    kind, value = _told(_text(job.get("error")))
    stack = _text(job.get("stack"))
    if kind is None and stack:
        kind = _told(stack.partition("\n")[0])[0]
    attempt, most = whole(job.get("attempt")), whole(job.get("max_attempts"))
    metadata = _exception(kind, value) | place.metadata()
    metadata |= _known({"stack": stack, "queue": job.get("queue"), "job_id": job.get("job_id")})
    metadata |= _known({"msg_id": job.get("msg_id"), "attempt": attempt, "max_attempts": most})
    tries = f" ({attempt} of {most} tries)" if attempt and most else ""
    raw = _raw(derived_id(at, f"job {job.get('job_id')} dead"), at, place, job.get("run_id"), metadata)
    return raw | {"title": _title("Job in the dead-letter queue", value or kind or "failed", tries), "severity": "high"}


def event_error_id(event_id: int, at: datetime) -> UUID:
    """The id of the error that a failed try is: the same from the inbox, the event log and a backfill."""
    return derived_id(at, f"event {event_id}")


def stuck_error_id(run: Run, at: datetime) -> UUID:
    """The id of the error that a stuck run is, since its last event."""
    return derived_id(at, f"run {run.run_id} stuck {run.last_event_id}")


def derived_id(moment: datetime, key: str) -> UUID:
    """A UUID (version 8) that is the same for the same key, and begins with the time as those of version 7 do."""
    milliseconds = int(moment.timestamp() * 1000) & (1 << _UUID_TIME_BITS) - 1
    rest = int.from_bytes(blake2b(f"meshhook {key}".encode(), digest_size=10).digest())
    value = milliseconds << 80 | rest
    value = value & ~(0xF << 76) | 0x8 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _raw(error_id: UUID, at: datetime, place: Place, run_id: Any, metadata: JsonObject) -> JsonObject:
    return {
        "error_id": str(error_id),
        "timestamp": at.isoformat(),
        "source": "worker",
        "project_id": _text(place.project_id),
        "workflow_id": _text(place.workflow_id),
        "run_id": _text(run_id),
        "metadata": metadata,
    }


def _told(error: str | None) -> tuple[str | None, str | None]:
    """The exception's type and value of an error that JavaScript made a string of; a plain `Error` tells no type."""
    if not error:
        return None, None
    match = _JS_ERROR.fullmatch(error)
    if match is None:
        return None, error.strip()
    return match["type"], (match["value"] or "").strip() or None


def _exception(kind: str | None, value: str | None) -> JsonObject:
    metadata = _known({"message": value or kind})
    if kind is not None:
        metadata["exception"] = _known({"type": kind, "value": value})
    return metadata


def _title(where: str, what: str, tries: str) -> str:
    """The tries stand at the end, where a long message must not push them out."""
    line = next(iter(what.strip().splitlines()), "")
    room = MAX_TITLE - len(tries)
    text = f"{where[:80]}: {line}"
    return (text if len(text) <= room else f"{start_of(text, room - 1)}…") + tries


def _known(values: JsonObject) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
