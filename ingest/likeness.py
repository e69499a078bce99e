"""Errors repeat: what an error tells of itself is read once, and remembered by the very parts that are read."""

from typing import NamedTuple

from pydantic_core import to_json

from ingest.classification import Facts, facts_of
from ingest.fingerprint import fingerprint
from ingest.models import JsonObject
from ingest.titles import title_of

_MOST_REMEMBERED = 2_048
_LONGEST = 4_000  # bytes of the telling parts: what is remembered has at most some 8 MB


class Likeness(NamedTuple):
    """What errors that tell the same have in common: the facts for the rules, the title and the usual group."""

    facts: Facts
    title: str
    group: str


class Likenesses:
    """Those that were met. For many threads."""

    def __init__(self) -> None:
        self._memory: tuple[frozenset[str], dict[bytes, Likeness]] = (frozenset(), {})

    def __len__(self) -> int:
        return len(self._memory[1])

    def of(self, source: str, metadata: JsonObject, size: int, title: str, tag_names: frozenset[str]) -> Likeness:
        """The likeness of an error with this masked metadata, whose JSON has `size` bytes. `title` is the given one,
        empty for none; `tag_names` are the tags that rules ask for."""
        if size > 2 * _LONGEST:
            return _read(source, metadata, title, tag_names)
        names, known = self._memory
        if names is not tag_names:  # what is remembered was read for other rules
            known = {}
            self._memory = (tag_names, known)
        parts = telling(source, metadata, title, tag_names)
        likeness = known.get(parts)
        if likeness is None:
            likeness = _read(source, metadata, title, tag_names)
            if len(parts) <= _LONGEST:
                if len(known) >= _MOST_REMEMBERED:
                    known.clear()
                known[parts] = likeness
        return likeness


def _read(source: str, metadata: JsonObject, title: str, tag_names: frozenset[str]) -> Likeness:
    title = title or title_of(metadata)
    return Likeness(facts_of(source, metadata, tag_names), title, fingerprint(source, metadata, title))


def telling(source: str, metadata: JsonObject, title: str, tag_names: frozenset[str]) -> bytes:
    """Every part that facts, title and group look at: errors would share what isn't theirs if one were missing here."""
    get = metadata.get
    tags = get("tags")
    return to_json(
        (
            source,
            title,
            get("message"),
            get("exception"),
            get("frames"),
            get("causes"),
            get("stack"),
            get("node"),
            get("node_type"),
            get("http_status"),
            get("code"),
            get("attempt"),
            get("max_attempts"),
            get("handled"),
            get("logger"),
            {name: tags[name] for name in tags if name in tag_names} if isinstance(tags, dict) else None,
        ),
        inf_nan_mode="null",
    )
