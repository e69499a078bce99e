"""People who may open the dashboard: names, password hashes (argon2id), and sessions."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from analytics.exceptions import BadRequest, Conflict, NotFound
from ingest.database import Connection
from ingest.plain_text import NotPlain, plain_line
from ingest.statements import load_statements

COOKIE = "meshhook_errors_session"  # holds the token of who is signed in to the dashboard
SESSION_LENGTH = timedelta(days=7)
COOKIE = "meshhook_errors_session"  # holds a session's token
_SHORTEST_PASSWORD = 10
_LONGEST_PASSWORD = 256  # what the sign-in's form takes, however it is written
_LONGEST_NAME = 100

_SQL = load_statements(__file__)
_HASHER = PasswordHasher()


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is signed in."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Account:
    """A user as it is listed."""

    name: str
    created_at: datetime
    signed_in_at: datetime | None


def create_user(connection: Connection, name: str, password: str) -> bool:
    """Add a user; one who is there keeps the password. Answers whether the user is new.

    Raises BadRequest for a name that nobody could read or type, or a password shorter than 10 characters.
    """
    values = {"name": _checked_name(name), "password_hash": _hash(password)}
    return connection.execute(_SQL["create_user"], values).fetchone() is not None


def add_user(connection: Connection, name: str, password: str) -> None:
    """Add a user who isn't there yet. Raises Conflict, and BadRequest as `create_user`."""
    if not create_user(connection, name, password):
        raise Conflict(f"There is a user {name!r} already. `meshhook-errors users password` changes the password.")


def list_users(connection: Connection) -> list[Account]:
    """All users, by name."""
    return [Account(*row) for row in connection.execute(_SQL["list_users"])]


def change_password(connection: Connection, name: str, password: str) -> None:
    """Set another password and end the user's sessions. Raises NotFound, and BadRequest as `create_user`."""
    values = {"name": name, "password_hash": _hash(password)}
    with connection.transaction():
        if connection.execute(_SQL["change_password"], values).fetchone() is None:
            raise _unknown(name)
        connection.execute(_SQL["end_sessions_of"], {"name": name})


def remove_user(connection: Connection, name: str) -> None:
    """Take a user out; the sessions go along, and groups of errors are nobody's. Raises NotFound."""
    with connection.transaction():
        connection.execute(_SQL["hold_tally"])
        if connection.execute(_SQL["remove_user"], {"name": name}).fetchone() is None:
            raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no user {name!r}. `meshhook-errors users list` shows who there is.")


def _checked_name(name: str) -> str:
    try:
        plain_line(name)
    except NotPlain as error:
        raise BadRequest(f"The name {error}") from None
    if name != name.strip() or not 1 <= len(name) <= _LONGEST_NAME:
        raise BadRequest(f"A name has 1 to {_LONGEST_NAME} characters, and no space before or after them.")
    return name


def _hash(password: str) -> str:
    if len(password) < _SHORTEST_PASSWORD:
        raise BadRequest(f"A password has at least {_SHORTEST_PASSWORD} characters.")
    if len(password) > _LONGEST_PASSWORD:
        raise BadRequest(f"A password has at most {_LONGEST_PASSWORD} characters.")
    try:
        plain_line(password)
    except NotPlain as error:
        raise BadRequest(f"The password {error}") from None
    return _HASHER.hash(password)


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
