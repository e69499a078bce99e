"""An event has at most 256 KB: what is longer is cut, with a mark, rather than refused."""

from typing import Any

from pydantic_core import to_json

from ingest.models import MAX_EVENT_BYTES, JsonObject

_ROOM_FOR_OURS = 640  # the rule that classified it, and the group that its own continues
_MOST_BYTES = MAX_EVENT_BYTES - _ROOM_FOR_OURS
# Tried one after the other: (longest text, most entries of a list or an object).
_STEPS = ((64_000, 2_000), (16_000, 500), (4_000, 200), (1_000, 60), (200, 20), (50, 8))


def fit(metadata: JsonObject, document: bytes) -> tuple[JsonObject, bytes]:
    """`metadata` and its JSON `document`, cut where they are too large."""
    for longest, most in _STEPS:
        if len(document) <= _MOST_BYTES:
            return metadata, document
        metadata = _cut(metadata, longest, most)
        document = to_json(metadata, inf_nan_mode="null")
    if len(document) <= _MOST_BYTES:
        return metadata, document
    metadata = {"cut": f"{len(document)} bytes of deeply nested metadata"}
    return metadata, to_json(metadata)


def _cut(value: Any, longest: int, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]} …[cut {len(value) - longest} characters]"
    if isinstance(value, list):
        kept = [_cut(item, longest, most) for item in value[:most]]
        return kept if len(value) <= most else [*kept, f"…[cut {len(value) - most} items]"]
    if isinstance(value, dict):
        entries = list(value.items())
        kept_entries = {str(key)[:longest]: _cut(item, longest, most) for key, item in entries[:most]}
        return kept_entries if len(entries) <= most else kept_entries | {"…": f"[cut {len(entries) - most} entries]"}
    return value
