"""Where to send to: a DSN such as http://KEY@host:8080/1, or a plain address and a key."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Address(NamedTuple):
    """`prefix` is the path before `/api`, without a trailing slash; `project` a number or UUID, where it isn't 1."""

    is_secure: bool
    host: str
    port: int
    prefix: str
    key: str
    project: str | None = None


def parse_address(dsn_or_url: str, key: str | None) -> Address:
    """Raises ValueError with a sentence that says how an address looks; the sentence never repeats the key."""
    hint = "Use a DSN such as http://KEY@errors.example.com:8080/1, or an address and a key."
    try:
        parts = urlsplit(dsn_or_url)
        port = parts.port
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"The address can't be read. {hint}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"The address must begin with http:// or https:// and name a host. {hint}")
    in_dsn = unquote(parts.username) if parts.username else ""
    chosen = key or in_dsn
    if not chosen:
        raise ValueError(f"The key is missing. {hint}")
    if not (chosen.isascii() and chosen.isprintable() and " " not in chosen):
        # It becomes a header, where a line break or an umlaut would fail at every attempt to send.
        raise ValueError(f"The key must be plain characters without spaces. {hint}")
    if not (parts.path.isascii() and parts.path.isprintable() and " " not in parts.path):
        raise ValueError(f"The address's path must be plain characters without spaces. {hint}")
    path = parts.path.rstrip("/")
    head, _, last = path.rpartition("/")
    project = _project(last) if in_dsn else None
    is_secure = parts.scheme == "https"
    return Address(
        is_secure,
        parts.hostname,
        port or (443 if is_secure else 80),
        path if project is None else head,
        chosen,
        None if project == "1" else project,  # what every key means without being told
    )


def _project(name: str) -> str | None:
    """The last part of a DSN's path as a project: a number or a UUID; None for anything else."""
    if name.isdigit():
        return name.lstrip("0") or "0"
    lengths = [len(part) for part in name.split("-")]
    is_uuid = lengths == [8, 4, 4, 4, 12] and all(letter in "0123456789abcdefABCDEF-" for letter in name)
    return name.lower() if is_uuid else None
