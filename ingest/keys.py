"""API keys: kept as a hash. A key is long and random, so a plain SHA-256 of it gives nothing away.

A key that may only send (role ingest) is kept encrypted too, where there is a vault: it is part of a DSN, which stands
in programs and in web pages and is looked up again and again. All others are shown once.
"""

import hashlib
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from ingest.exceptions import IngestError
from ingest.plain_text import NotPlain, checked_name
from ingest.projects import BadName, Project
from ingest.statements import load_statements

if TYPE_CHECKING:  # who only makes a key, as the supervisor does, needs no database driver
    from ingest.database import Connection
    from ingest.vault import Vault

Role = Literal["ingest", "read", "admin"]
ROLES: tuple[Role, ...] = ("ingest", "read", "admin")

_SQL = load_statements(__file__)
_ALPHABET = string.ascii_letters + string.digits  # what every SDK takes in a DSN
_LENGTH = 32
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
    project_number: int | None = None
    sealed: bytes | None = None
    events_per_minute: int | None = None
    is_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key may do; `project` is the only one that it may do it for, None for every one. `is_trusted` says whether
    the error types and severities that it sends are kept."""

    role: Role
    project: Project | None = None
    key_id: UUID | None = None
    is_trusted: bool = True


def new_key(role: Role) -> str:
    """A fresh key, for example mh_ingest_…"""
    return f"mh_{role}_{''.join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))}"


def create_key(
    connection: "Connection",
    name: str,
    role: Role,
    key: str | None = None,
    *,
    project_number: int | None = None,
    vault: "Vault | None" = None,
    is_trusted: bool = True,
) -> str:
    """Store a key (a new one, or the one given) and answer it.

    Without a `vault`, or with another role than ingest, this is the only time that it can be shown. A key that is
    stored already stays as it is. Raises BadName.
    """
    key = key or new_key(role)
    try:
        name = checked_name(name)
    except NotPlain as error:
        raise BadName(f"The key's name {error}") from None
    values = {
        "name": name,
        "role": role,
        "prefix": key[:_SHOWN],
        "sha256": _digest(key),
        "project_number": project_number,
        "sealed": vault.encrypt(key) if vault is not None and role == "ingest" else None,
        "trusted": is_trusted,
    }
    connection.execute(_SQL["create_key"], values)
    return key


def find_grant(connection: "Connection", key: str) -> Grant | None:
    """What `key` may do; None for one that isn't known or was revoked."""
    row = connection.execute(_SQL["find_grant"], {"sha256": _digest(key)}).fetchone()
    if row is None:
        return None
    key_id, role, is_trusted, number, project_id, name = row
    return Grant(role, None if number is None else Project(number, project_id, name), key_id, is_trusted)


def key_name(connection: "Connection", key_id: UUID) -> str:
    """What a key is called, for the history of what was done with it."""
    row = connection.execute(_SQL["key_name"], {"id": key_id}).fetchone()
    return "unknown" if row is None else str(row[0])


def dsn_of(api_url: str, key: str, project: str = "1") -> str:
    """Where SDKs send to, for example http://KEY@host:8080/1"""
    scheme, _, rest = api_url.partition("://")
    return f"{scheme}://{key}@{rest}/{project}"


def list_keys(connection: "Connection") -> list[Key]:
    """All keys, the newest last."""
    return [Key(*row) for row in connection.execute(_SQL["list_keys"])]


def revoke_key(connection: "Connection", id_or_prefix: str) -> Key:
    """Take a key out of use; running servers notice within seconds. Raises UnknownKey."""
    key = valid_key(connection, id_or_prefix)
    connection.execute(_SQL["revoke_key"], {"id": key.id})
    return key


def limit_key(connection: "Connection", id_or_prefix: str, events_per_minute: int | None) -> Key:
    """Give a key a limit of its own, None for that of the settings; running servers notice within seconds. Raises
    UnknownKey."""
    key = valid_key(connection, id_or_prefix)
    connection.execute(_SQL["limit_key"], {"id": key.id, "events_per_minute": events_per_minute})
    return key


def trust_key(connection: "Connection", id_or_prefix: str, *, is_trusted: bool) -> Key:
    """Keep the error types and severities that are sent with a key, or let the rules decide; running servers notice
    within seconds. Raises UnknownKey."""
    key = valid_key(connection, id_or_prefix)
    connection.execute(_SQL["trust_key"], {"id": key.id, "trusted": is_trusted})
    return key


def valid_key(connection: "Connection", id_or_prefix: str) -> Key:
    """The one valid key that has this id or begins so. Raises UnknownKey."""
    found = [
        key
        for key in list_keys(connection)
        if key.revoked_at is None and (str(key.id) == id_or_prefix or key.prefix.startswith(id_or_prefix))
    ]
    if len(found) != 1:
        how_many = "No valid key has" if not found else f"{len(found)} keys have"
        raise UnknownKey(f"{how_many} this id or beginning. `meshhook-errors keys list` shows them.")
    return found[0]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def sendable_dsn(key: Key, api_url: str, vault: "Vault | None") -> str | None:
    """The DSN of a valid key that may send; None for any other, or where it can't be decrypted."""
    if key.sealed is None or key.revoked_at is not None or vault is None:
        return None
    try:
        opened = vault.decrypt(key.sealed)
    except IngestError:
        return None
    return dsn_of(api_url, opened, str(key.project_number or 1))
