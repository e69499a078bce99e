"""The hall: the one way from a raw event to an ErrorEvent, whatever door it came through.

normalise = mask → classify → fingerprint. What can't be understood is kept in the metadata rather than lost; only an
event that isn't one is refused.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import re2
from pydantic_core import to_json

from ingest.classification import Classifier
from ingest.exceptions import InvalidEvent, TakesLong
from ingest.fingerprint import Predecessors, own_fingerprint, previous, refers_to_default
from ingest.likeness import Likenesses
from ingest.limits import Toll
from ingest.masking import CUT, MAX_DEPTH, USUAL, Masker, clean
from ingest.models import MAX_EVENT_BYTES, SEVERITIES, SOURCES, ErrorEvent, JsonObject
from ingest.rows import Row, counted_row, error_row
from ingest.sampling import Sampler
from ingest.settings import Settings
from ingest.sizes import fit
from ingest.titles import MOST_SCANNED, title_by_rule, title_line
from ingest.uuid7 import uuid7

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_USUAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_ERROR_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_MOST_VALUES = 20_000
# Characters: of one text, of all together, and what goes after masking of a text that was cut before it.
_LONGEST_TEXT, _MOST_TEXT, _LONGEST_SECRET = 72_000, 400_000, 8_000
_LONGEST_WORD = 200
_QUICK_BYTES = 16_000  # masked at once; the worst text of that length takes a fifth of a second
_SEVERITY_OF = {name: name for name in SEVERITIES} | {
    "critical": "high",
    "fatal": "high",
    "error": "medium",
    "warning": "low",
    "warn": "low",
    "info": "low",
    "debug": "low",
}
_OWN_FIELDS = frozenset(
    "error_id timestamp source error_type severity workflow_id project_id run_id title fingerprint metadata".split()
)
# What rules, groups and titles look at has room before the rest of an event that is too large.
_TELLING = "message exception node node_type http_status code attempt max_attempts causes frames stack tags".split()
_OUR_ENTRIES = frozenset(("classified_by", "fingerprint_before"))
# What they must be to be used; anything else is kept in the metadata.
_TEXT_FIELDS: tuple[tuple[str, tuple[type, ...]], ...] = (("title", (str,)), ("fingerprint", (str, int, list)))
_LONG_NUMBER = re2.compile(b"[0-9]{400}")  # readers refuse numbers of more than 4,300 digits


class Hall:
    """What an installation has configured, and the way through it."""

    def __init__(
        self,
        classifier: Classifier | None = None,
        sampler: Sampler | None = None,
        masker: Masker | None = None,
    ) -> None:
        self.classifier = classifier or Classifier()
        self.sampler = sampler or Sampler()
        self.masker = masker or USUAL
        self.predecessors = Predecessors()
        self._likenesses = Likenesses()
        self._alone = threading.Lock()  # sampler and limits are for one thread
        self.counted: Counter[str] = Counter()  # errors of which only the count was kept, by the reason

    def normalise(
        self, raw: JsonObject, received_at: datetime, *, is_trusted: bool = True, at_leisure: bool = True
    ) -> ErrorEvent:
        """Make an event of what a door took in. Without trust the rules alone decide on type and severity,
        and a rule's title goes before the given one. Raises InvalidEvent, which names the field; where there is no
        leisure TakesLong, with nothing done, for one whose masking may take more than a moment."""
        if not at_leisure and _has_long_names(raw):
            raise TakesLong
        metadata = _metadata(raw)
        source = _source(raw.get("source"), metadata)
        error_id = _error_id(raw.get("error_id"), received_at)
        timestamp = _timestamp(raw.get("timestamp"), received_at, metadata)
        workflow_id = _uuid(raw, "workflow_id", metadata)
        project_id = _uuid(raw, "project_id", metadata)
        run_id = _uuid(raw, "run_id", metadata)
        error_type, severity = _given(raw, self.masker) if is_trusted else _set_aside(raw, metadata)

        metadata, document = _masked(metadata, self.masker, at_leisure=at_leisure)
        given, own = raw.get("title"), raw.get("fingerprint")
        line = _title_line(given, self.masker) if given else ""
        facts, title, usual = self._likenesses.of(source, metadata, len(document), line, self.classifier.tag_names)
        verdict = self.classifier.classify(facts, error_type, severity)
        group, older = _group(own, usual, source, metadata, title, self.masker)
        before = self.predecessors.first(project_id, group, older, received_at)
        return ErrorEvent(
            error_id,
            timestamp,
            source,
            verdict.error_type,
            verdict.severity,
            workflow_id,
            _with_ours(document, verdict.rule, before),
            project_id,
            run_id,
            title_by_rule(given if is_trusted else None, verdict.title) or title,
            group,
        )

    def row(
        self,
        raw: JsonObject,
        received_at: datetime,
        toll: Toll | None = None,
        *,
        is_trusted: bool = True,
        at_leisure: bool = True,
    ) -> Row:
        """The same as a row: a counted one where a limit is passed (`toll`), or its group is in a flood. Raises
        InvalidEvent, TakesLong. For many threads."""
        event = self.normalise(raw, received_at, is_trusted=is_trusted, at_leisure=at_leisure)
        with self._alone:
            return self._row(event, toll)

    def _row(self, event: ErrorEvent, toll: Toll | None) -> Row:
        is_sampled = self.sampler.keeps_details(event)
        if toll is not None and not toll.admits(event.project_id):
            self.counted["limit"] += 1
            self.predecessors.forget(event.project_id, event.fingerprint)
        elif not is_sampled:
            self.counted["flood"] += 1
        else:
            return error_row(event)
        return counted_row(event)


def hall_of(options: Settings) -> Hall:
    """The hall that an installation has configured."""
    masker = Masker(options.mask_policy, options.secret_key.get_secret_value())
    return Hall(sampler=Sampler(options.details_per_minute), masker=masker)


def _metadata(raw: JsonObject) -> JsonObject:
    """The given metadata and every field that we don't know."""
    given = raw.get("metadata")
    if given is None:
        metadata: JsonObject = {}
    elif isinstance(given, dict):
        metadata = dict(given)
    else:
        raise InvalidEvent("metadata: must be an object.")
    for name in _OUR_ENTRIES & metadata.keys():
        metadata[f"{name}_given"] = metadata.pop(name)
    for name, value in raw.items():
        if name not in _OWN_FIELDS:
            kept = f"{name}_given" if name in _OUR_ENTRIES else name
            if kept in metadata and metadata[kept] != value:
                metadata[f"{kept}_given"] = metadata[kept]
            metadata[kept] = value
    for name, kinds in _TEXT_FIELDS:
        if raw.get(name) is not None and not isinstance(raw[name], kinds):
            metadata[f"{name}_given"] = raw[name]
    return metadata


def _has_long_names(raw: JsonObject) -> bool:
    """Whether title or fingerprint, of which much is looked at, are far longer than anybody needs."""
    title, group = raw.get("title"), raw.get("fingerprint")
    if group is None and title is None:
        return False
    parts = group if isinstance(group, list) else (group,)
    texts = [part for part in (title, *parts) if isinstance(part, str)]
    return len(parts) > MOST_SCANNED or sum(map(len, texts)) > _QUICK_BYTES


def _masked(metadata: JsonObject, masker: Masker, *, at_leisure: bool) -> tuple[JsonObject, bytes]:
    """The metadata without secrets, and its JSON. A document without any trigger is taken as it is.

    Raises TakesLong.
    """
    try:
        document = to_json(metadata, inf_nan_mode="null")
        is_odd = _may_be_deep(document) or b"\\u0000" in document or _has_long_number(document)
        if not (is_odd or masker.needs_walk(document)):
            return fit(metadata, document)
        is_long, is_huge = len(document) > _QUICK_BYTES, len(document) > 2 * MAX_EVENT_BYTES
    except ValueError:  # lone surrogates, nesting without end
        is_long = is_huge = True
    if is_long and not at_leisure:
        raise TakesLong
    if is_huge:
        telling = {name: metadata[name] for name in _TELLING if name in metadata}
        metadata = _thinned(telling | metadata, [_MOST_VALUES, _MOST_TEXT], masker)
    masked = masker.value(metadata)
    return fit(masked, to_json(masked, inf_nan_mode="null"))


def _thinned(value: Any, room: list[int], masker: Masker, depth: int = 0) -> Any:
    """What would be cut anyway is not worth the search for secrets: `room` for so many values and characters, and the
    start of long texts.

    The end of a long text goes after masking, so that no secret is cut in two and its half kept.
    """
    room[0] -= 1
    if isinstance(value, str):
        longest = min(_LONGEST_TEXT, room[1])
        room[1] -= min(longest, len(value))
        if len(value) <= longest:
            return value
        if longest <= _LONGEST_SECRET:
            return f"…[cut {len(value)} characters]"
        start = masker.text(clean(value[:longest]))[:-_LONGEST_SECRET]
        start = start[: max(start.rfind(" "), len(start) - _LONGEST_WORD)]  # half a mark would swallow the note
        return f"{start} …[cut {len(value) - longest + _LONGEST_SECRET} characters]"
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        return CUT
    if isinstance(value, dict):
        entries = {key: _thinned(item, room, masker, depth + 1) for key, item in value.items() if room[0] > 0}
        missing = len(value) - len(entries)
        return entries | {"…": f"[cut {missing} entries]"} if missing else entries
    if isinstance(value, list):
        kept = [_thinned(item, room, masker, depth + 1) for item in value if room[0] > 0]
        return kept if len(kept) == len(value) else [*kept, f"…[cut {len(value) - len(kept)} items]"]
    return value


def _may_be_deep(document: bytes) -> bool:
    """By a bound of the depth: each opening bracket is a level, but not one right after a closing one."""
    levels = document.count(b"{") + document.count(b"[")
    return levels > MAX_DEPTH and levels - document.count(b"},{") - document.count(b"],[") > MAX_DEPTH


def _has_long_number(document: bytes) -> bool:
    return len(document) > 4300 and _LONG_NUMBER.search(document) is not None


def _with_ours(document: bytes, rule: str, before: str | None) -> bytes:
    """Classification and grouping happen on what is serialised already: add the rule's name, and on a group's first
    sight the one that it continues, at the end."""
    entry = b'"classified_by":"' + rule.encode() + b'"}'
    if before is not None:
        entry = b'"fingerprint_before":' + to_json(before) + b"," + entry
    return b"{" + entry if document == b"{}" else document[:-1] + b"," + entry


def _title_line(given: Any, masker: Masker) -> str:
    """The title that the sender gives, empty for none."""
    return title_line(masker.value(given.lstrip()[: 20 * MOST_SCANNED])) if isinstance(given, str) else ""


def _group(
    given: Any, usual: str, source: str, metadata: JsonObject, title: str, masker: Masker
) -> tuple[str, Callable[[], str | None]]:
    """The group of an error, its `usual` one where none is given, and how to find out what the version before would
    have called it."""
    own = own_fingerprint(given, lambda: usual, masker.value) if given else None
    if own is None:
        return usual, lambda: previous(source, metadata, title)
    if refers_to_default(given):
        return own, lambda: own_fingerprint(given, lambda: previous(source, metadata, title), masker.value)
    return own, lambda: None


def _source(value: Any, metadata: JsonObject) -> str:
    if value is None:
        return "webhook" if metadata.get("node_type") == "webhook" else "worker"
    source = value.strip().lower() if isinstance(value, str) else value
    if source not in SOURCES:
        raise InvalidEvent(f"source: must be one of {', '.join(SOURCES)}.")
    return str(source)


def _error_id(value: Any, received_at: datetime) -> str:
    if value is None:
        return uuid7(received_at)
    error_id = _uuid_text(value)
    if error_id is None:
        raise InvalidEvent("error_id: must be a UUID.")
    return error_id


def _uuid_text(value: Any) -> str | None:
    """The usual form of a UUID in any form; None for what is none."""
    if not isinstance(value, str):
        return None
    if _USUAL_UUID(value):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        return None


def _timestamp(value: Any, received_at: datetime, metadata: JsonObject) -> datetime:
    """When it happened. A time in the future, or before 2000, is replaced by the time of receipt and kept aside."""
    if value is None:
        return received_at
    moment = moment_of(value)
    if moment is None:
        raise InvalidEvent("timestamp: must be ISO 8601, for example 2026-11-24T12:00:00Z, or epoch seconds.")
    if _EARLIEST <= moment <= received_at:
        return moment
    metadata["timestamp_given"] = value
    return received_at


def moment_of(value: Any) -> datetime | None:
    """ISO 8601 (UTC where no zone is given) or epoch seconds, as UTC; None for anything else."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            if moment.tzinfo is UTC:
                return moment
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _uuid(raw: JsonObject, name: str, metadata: JsonObject) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    known = _uuid_text(value)
    if known is None:
        metadata[f"{name}_given"] = value
    return known


def _given(raw: JsonObject, masker: Masker) -> tuple[str | None, str | None]:
    """Type and severity as the sender says them. Raises InvalidEvent for what can't be one."""
    return _error_type(raw.get("error_type"), masker), _severity(raw.get("severity"))


def _set_aside(raw: JsonObject, metadata: JsonObject) -> tuple[None, None]:
    """Keep what a sender that isn't trusted says where nobody takes it for ours."""
    for name in ("error_type", "severity", "title"):
        if raw.get(name) is not None:
            metadata[f"{name}_given"] = raw[name]
    return None, None


def _error_type(value: Any, masker: Masker) -> str | None:
    if value is None:
        return None
    name = value.strip().lower() if isinstance(value, str) else ""
    if not _ERROR_TYPE.match(name) or masker.text(value) != value:
        raise InvalidEvent("error_type: must be a short word such as execution, input or system.")
    return name


def _severity(value: Any) -> str | None:
    if value is None:
        return None
    severity = _SEVERITY_OF.get(value.strip().lower()) if isinstance(value, str) else None
    if severity is None:
        raise InvalidEvent(f"severity: must be one of {', '.join(SEVERITIES)}.")
    return severity
