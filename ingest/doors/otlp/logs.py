"""A log record as it is after its encoding is forgotten, and the id that its error gets."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from ingest.doors.shapes import start_of
from ingest.models import JsonObject

ERROR, FATAL, LARGEST = 17, 21, 24
MOST_DEPTH = 32  # levels of an attribute; what lies deeper is cut
LARGEST_TIME = 2**64
_EXCEPTION = "exception."
_LONGEST_NAME = 200
# What the records of a resource or a scope share is copied into each of them: in characters, and in attributes.
_MOST_SHARED, _MOST_SHARED_ATTRIBUTES, _LONGEST_SHARED = 8_000, 200, 1_000
_FIRST_KEPT = ("meshhook.", "service.", "deployment.environment", "host.name", "telemetry.sdk.")
_NUMBER_OF_TEXT = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": ERROR,
    "SEVERE": ERROR,
    "CRITICAL": FATAL,
    "FATAL": FATAL,
}


@dataclass(frozen=True, slots=True)
class Resource:
    """What sent the records: as many of its attributes as each record may carry, and a `seed` made of all."""

    attributes: JsonObject
    seed: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """What the records of one scope share. `seed` stands for all of it in their ids."""

    resource: JsonObject
    scope: str
    scope_version: str
    scope_attributes: JsonObject
    seed: bytes


class LogRecord(NamedTuple):
    """Times are nanoseconds since 1970, 0 where there is none; `severity` is 0 where nobody says; ids are hex."""

    origin: Origin
    time: int
    observed: int
    severity: int
    severity_text: str
    body: Any
    attributes: JsonObject
    trace_id: str
    span_id: str
    event_name: str


class Refused(NamedTuple):
    """Stands in place of a record that can't be read."""

    reason: str


Reading = LogRecord | Refused | None  # None: a record that is no error


def resource_of(attributes: JsonObject) -> Resource:
    """A resource with its seed."""
    return Resource(_bounded(attributes), blake2b(_written(_sorted(attributes)), digest_size=16).digest())


def origin(resource: Resource, scope: str = "", version: str = "", attributes: JsonObject | None = None) -> Origin:
    """An origin with its seed."""
    known = attributes or {}
    seed = blake2b(_written((scope, version, _sorted(known))), digest_size=16, key=resource.seed).digest()
    return Origin(resource.attributes, scope[:_LONGEST_NAME], version[:_LONGEST_NAME], _bounded(known), seed)


def _bounded(attributes: JsonObject) -> JsonObject:
    """As many of them as fit, those first that have a meaning for us, and of long texts the start."""
    room = _MOST_SHARED
    kept: JsonObject = {}
    for name, value in sorted(attributes.items(), key=lambda entry: not entry[0].startswith(_FIRST_KEPT)):
        shown = start_of(value, _LONGEST_SHARED) if isinstance(value, str) else value
        room -= len(name) + len(shown if isinstance(shown, str) else repr(shown))
        if room < 0 or len(kept) == _MOST_SHARED_ATTRIBUTES:
            return kept | {"…": f"[cut {len(attributes) - len(kept)} entries]"}
        kept[name] = shown if shown == value else f"{shown}…"
    return kept


def severity_of(number: int, text: str) -> int:
    """The severity number, from the text where there is none."""
    if number > 0:
        return min(number, LARGEST)
    return _NUMBER_OF_TEXT.get(text.strip().upper(), 0) if 0 < len(text) < 20 else 0


def counts_as_error(severity: int, names: Iterable[str]) -> bool:
    """Whether a record with this severity and with attributes of these names is an error."""
    return severity >= ERROR or any(name.startswith(_EXCEPTION) for name in names)


class Identities:
    """The ids of one request's errors: the same request sent again gives the same ones."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def identify(self, record: LogRecord, project: UUID | None) -> str:
        """`log.record.uid` where it is a UUID. Else a UUID of version 8: the milliseconds of the record's time, so
        that ids sort by it, then a hash of all that it says, of its project, and of how many like it came before."""
        if given := _uuid(record.attributes.get("log.record.uid")):
            return given
        _, time, observed, *rest, attributes, trace_id, span_id, event_name = record
        said = (str(project), time, observed, rest, _sorted(attributes), trace_id, span_id, event_name)
        digest = blake2b(_written(said), digest_size=16, key=record.origin.seed).digest()
        number = self._seen[digest]
        self._seen[digest] += 1
        if number:
            digest = blake2b(digest, digest_size=16, salt=number.to_bytes(8, "big")).digest()
        milliseconds = (time or observed) // 1_000_000 & 0xFFFF_FFFF_FFFF
        value = milliseconds << 80 | int.from_bytes(digest, "big") & (1 << 80) - 1
        value = value & ~(0xF << 76) | 0x8 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        return str(UUID(int=value))


def _uuid(value: Any) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _sorted(attributes: JsonObject) -> list[tuple[str, Any]]:
    return sorted(attributes.items())


def _written(value: Any) -> bytes:
    """Python's own notation: it has a form for all that can come in, also for what JSON has none for."""
    return repr(value).encode("utf-8", "backslashreplace")
