"""What the fuzzer needs to know of our media types."""

import json
from typing import Any

import schemathesis


def _raw(_context: Any, value: Any) -> bytes:
    content = getattr(value, "data", value)  # the fuzzer wraps what it means as bytes
    return content if isinstance(content, bytes) else json.dumps(content, default=str).encode()


def _lines(_context: Any, value: Any) -> bytes:
    items = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(item, default=str) for item in items).encode()


schemathesis.serializer("application/x-sentry-envelope")(_raw)
schemathesis.serializer("application/x-protobuf")(_raw)
schemathesis.serializer("application/x-ndjson")(_lines)
