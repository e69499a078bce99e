"""People who may open the dashboard: names, password hashes (argon2id), and sessions."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from analytics.exceptions import BadRequest
from ingest.database import Connection
from ingest.statements import load_statements

SESSION_LENGTH = timedelta(days=7)
_SHORTEST_PASSWORD = 10

_SQL = load_statements(__file__)
_HASHER = PasswordHasher()


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is signed in."""

    id: UUID
    name: str


def create_user(connection: Connection, name: str, password: str) -> None:
    """Add a user; one who is there keeps the password. Raises BadRequest for a password shorter than 10 characters."""
    if len(password) < _SHORTEST_PASSWORD:
        raise BadRequest(f"A password has at least {_SHORTEST_PASSWORD} characters.")
    connection.execute(_SQL["create_user"], {"name": name, "password_hash": _HASHER.hash(password)})


def check_password(connection: Connection, name: str, password: str) -> User | None:
    """The user, if name and password belong together. Takes as long for a name that nobody has."""
    row = connection.execute(_SQL["user_by_name"], {"name": name}).fetchone()
    user_id, known_name, password_hash = row or (None, name, _nobody_s_hash())
    try:
        _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return None
    return None if user_id is None else User(user_id, known_name)


@lru_cache(maxsize=1)
def _nobody_s_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(16))


def begin_session(connection: Connection, user: User, now: datetime) -> str:
    """A token for the user's browser; only its hash is kept."""
    token = secrets.token_urlsafe(32)
    values = {"token_sha256": _digest(token), "user_id": user.id, "now": now, "expires_at": now + SESSION_LENGTH}
    connection.execute(_SQL["begin_session"], values)
    return token


def user_of_session(connection: Connection, token: str, now: datetime) -> User | None:
    """Who is signed in with this token; None for one that is unknown or over."""
    row = connection.execute(_SQL["user_of_session"], {"token_sha256": _digest(token), "now": now}).fetchone()
    return None if row is None else User(row[0], row[1])


def end_session(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(_SQL["end_session"], {"token_sha256": _digest(token)})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
