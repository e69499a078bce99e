"""API keys: shown once, kept as a hash. A key is long and random, so a plain SHA-256 of it gives nothing away."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from ingest.exceptions import IngestError
from ingest.statements import load_statements

if TYPE_CHECKING:  # who only makes a key, as the supervisor does, needs no database driver
    from ingest.database import Connection

Role = Literal["ingest", "read", "admin"]
ROLES: tuple[Role, ...] = ("ingest", "read", "admin")

_SQL = load_statements(__file__)
_SHOWN = 14  # enough to tell keys apart in a list, far too little to use one


class UnknownKey(IngestError):
    """No key has this id or beginning, or several have."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is listed."""

    id: UUID
    name: str
    role: Role
    prefix: str
    created_at: datetime
    revoked_at: datetime | None


def new_key(role: Role) -> str:
    """A fresh key, for example mh_ingest_…"""
    return f"mh_{role}_{secrets.token_urlsafe(24)}"


def create_key(connection: "Connection", name: str, role: Role, key: str | None = None) -> str:
    """Store a key (a new one, or the one given) and answer it: this is the only time that it can be shown.

    A key that is stored already stays as it is.
    """
    key = key or new_key(role)
    connection.execute(_SQL["create_key"], {"name": name, "role": role, "prefix": key[:_SHOWN], "sha256": _digest(key)})
    return key


def find_role(connection: "Connection", key: str) -> Role | None:
    """What `key` may do; None for one that isn't known or was revoked."""
    row = connection.execute(_SQL["find_role"], {"sha256": _digest(key)}).fetchone()
    return None if row is None else row[0]


def list_keys(connection: "Connection") -> list[Key]:
    """All keys, the newest last."""
    return [Key(*row) for row in connection.execute(_SQL["list_keys"])]


def revoke_key(connection: "Connection", id_or_prefix: str) -> Key:
    """Take a key out of use; running servers notice within seconds. Raises UnknownKey."""
    found = [
        key
        for key in list_keys(connection)
        if key.revoked_at is None and (str(key.id) == id_or_prefix or key.prefix.startswith(id_or_prefix))
    ]
    if len(found) != 1:
        how_many = "No valid key has" if not found else f"{len(found)} keys have"
        raise UnknownKey(f"{how_many} this id or beginning. `meshhook-errors keys list` shows them.")
    connection.execute(_SQL["revoke_key"], {"id": found[0].id})
    return found[0]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
