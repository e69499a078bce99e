"""Fixed SQL lives in a `.sql` file beside the module that runs it; this loads it by name.

A statement starts with a line `-- name: purpose` and ends where the next one starts.
"""

import re
from collections.abc import Mapping
from pathlib import Path

_HEADER = re.compile(r"^-- (?P<name>[a-z][a-z0-9_]*): \S.*$", re.MULTILINE)


def load_statements(module_file: str) -> Mapping[str, bytes]:
    """The statements of the `.sql` file with the same stem as `module_file`, as bytes (which psycopg
    takes as a query). Raises ValueError for a name that stands twice or a file without statements."""
    path = Path(module_file).with_suffix(".sql")
    text = path.read_text(encoding="utf-8")
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    statements: dict[str, bytes] = {}
    for header, end in zip(headers, ends, strict=True):
        name = header["name"]
        if name in statements:
            raise ValueError(f"{path.name}: statement {name!r} stands twice")
        statements[name] = text[header.end() : end].strip().rstrip(";").encode()
    if not statements:
        raise ValueError(f"{path.name}: no statement found")
    return statements


def filled(statement: bytes, **slots: str) -> bytes:
    """`statement` with its `{slots}` filled by text that never comes from a reader."""
    text = statement.decode()
    for name, value in slots.items():
        text = text.replace("{" + name + "}", value)
    return text.encode()
