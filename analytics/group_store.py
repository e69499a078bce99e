"""Decisions about groups: resolved, ignored, assigned, noted, merged, split. Each tells who made it, and is a line in
the group's history.

All take the fingerprint of a group's head. Each raises NotFound for a group that nobody knows, Conflict for one that
was merged into another meanwhile, and BadRequest; the messages say what to do.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from analytics.exceptions import BadRequest, Conflict, NotFound
from ingest.database import Connection
from ingest.masking import mask_text
from ingest.plain_text import NotPlain, plain_line
from ingest.statements import load_statements

LONGEST_NOTE = 10_000
MOST_MERGED = 100
LONGEST_IGNORED = timedelta(days=3660)
_MOST_ERRORS = 10**12
_SQL = load_statements(__file__)


def resolve(connection: Connection, fingerprint: str, by: str) -> None:
    """It is mended: an error that happens from now on makes it `regressed`."""
    _decide(connection, fingerprint, by, "resolved", "resolved")


def reopen(connection: Connection, fingerprint: str, by: str) -> None:
    """It is to be looked at again."""
    _decide(connection, fingerprint, by, "open", "reopened")


def ignore(
    connection: Connection, fingerprint: str, by: str, *, until: datetime | None = None, errors: int | None = None
) -> None:
    """It needs nobody, until then, or until it has happened `errors` more times, whichever comes first; without both
    until somebody opens it."""
    if until is not None and not datetime.now(UTC) < until <= datetime.now(UTC) + LONGEST_IGNORED:
        raise BadRequest("A group is ignored until a time in the future, at most ten years from now.")
    if errors is not None and not 1 <= errors <= _MOST_ERRORS:
        raise BadRequest(f"A group is ignored for 1 to {_MOST_ERRORS:,} further errors.")
    ends = [f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"] if until else []
    ends += [f"for {errors:,} more errors"] if errors else []
    detail = " or ".join(ends) or None
    _decide(connection, fingerprint, by, "ignored", "ignored", until=until, errors=errors, detail=detail)


def _decide(
    connection: Connection,
    fingerprint: str,
    by: str,
    state: str,
    kind: str,
    *,
    until: datetime | None = None,
    errors: int | None = None,
    detail: str | None = None,
) -> None:
    values = {"fingerprint": fingerprint, "by": by, "state": state}
    with connection.transaction():
        known = _lock(connection, fingerprint)
        if known == state and state in ("open", "resolved"):
            return
        connection.execute(_SQL["decide"], values | {"ignored_until": until, "ignored_for_errors": errors})
        _tell(connection, kind, fingerprint, by, detail=detail)


def assign(connection: Connection, fingerprint: str, by: str, user: str | None) -> None:
    """It is the task of the user with this name; None: of nobody."""
    with connection.transaction():
        _lock(connection, fingerprint)
        user_id: UUID | None = None
        if user is not None:
            row = connection.execute(_SQL["user_of"], {"name": user}).fetchone()
            if row is None:
                raise BadRequest(f"There is no user {user[:100]!r}. `meshhook-errors users list` shows who there is.")
            user_id = row[0]
        connection.execute(_SQL["assign"], {"fingerprint": fingerprint, "by": by, "assignee": user_id})
        _tell(connection, "assigned", fingerprint, by, detail=user)


def add_note(connection: Connection, fingerprint: str, by: str, note: str) -> dict[str, Any]:
    """Keep what somebody says, masked as all text is; answers `id`, `at`, `author`, `note`, `fingerprint`."""
    text = note.replace("\r\n", "\n").strip()
    if not 0 < len(text) <= LONGEST_NOTE:
        raise BadRequest(f"A note has 1 to {LONGEST_NOTE:,} characters.")
    try:
        plain_line(text.replace("\n", " ").replace("\t", " "))
    except NotPlain as error:
        raise BadRequest(f"The note {error}") from None
    with connection.transaction():
        _lock(connection, fingerprint)
        cursor = connection.execute(_SQL["note"], {"fingerprint": fingerprint, "by": by, "note": mask_text(text)})
        row = cursor.fetchone()
        assert row is not None
        return dict(zip([column.name for column in cursor.description or ()], row, strict=True))


def merge(connection: Connection, into: str, others: Sequence[str], by: str) -> None:
    """All errors of `others`, and of what was merged into them, count for `into`. What was decided about `into` holds
    for them too, what was decided about them is void; where it was resolved, and they have errors from after that, it
    is open again."""
    members = sorted(set(others))
    if not members or len(members) > MOST_MERGED:
        raise BadRequest(f"Name 1 to {MOST_MERGED} groups to merge.")
    if into in members:
        raise BadRequest("A group can't be merged into itself.")
    with connection.transaction():
        connection.execute(_SQL["hold_tally"])
        for fingerprint in (into, *members):
            _lock(connection, fingerprint)
        for member in members:
            connection.execute(_SQL["merge"], {"fingerprint": into, "member": member, "by": by})
            _tell(connection, "merged", into, by, member=member)
        values = {"fingerprint": into, "by": by}
        if connection.execute(_SQL["reopen_if_seen_since"], values).fetchone() is not None:
            _tell(connection, "reopened", into, by, detail="What was merged into it was seen after it was resolved.")


def split(connection: Connection, fingerprint: str, member: str, by: str) -> None:
    """`member` is a group of its own again, whether it was merged by hand or carried on an earlier version; with it go
    the fingerprints that carry it on. State and assignee stay as they are, for both."""
    if member == fingerprint:
        raise BadRequest("This is the group itself. Name one of its other members to split off.")
    with connection.transaction():
        connection.execute(_SQL["hold_tally"])
        _lock(connection, fingerprint)
        row = connection.execute(_SQL["lock"], {"fingerprint": member}).fetchone()
        if row is None or row[0] != fingerprint:
            raise Conflict(f"{member[:100]!r} is no member of this group, or no longer. Load the group again.")
        values = {"fingerprint": fingerprint, "member": member, "by": by}
        connection.execute(_SQL["split"], values)
        connection.execute(_SQL["leave"], values)
        _tell(connection, "split", fingerprint, by, member=member)


def _lock(connection: Connection, fingerprint: str) -> str:
    """The group's state; nobody else changes it until the end of the transaction."""
    row = connection.execute(_SQL["lock"], {"fingerprint": fingerprint}).fetchone()
    if row is None:
        raise NotFound(
            f"No group has the fingerprint {fingerprint[:100]!r}. One that was seen for the first time just now can be "
            "changed in a moment."
        )
    if row[0] != fingerprint:
        raise Conflict(f"The group {fingerprint!r} was merged into {row[0]!r}. Change that one.")
    return str(row[1])


def _tell(
    connection: Connection,
    kind: str,
    fingerprint: str,
    by: str,
    *,
    member: str | None = None,
    detail: str | None = None,
) -> None:
    values = {"kind": kind, "fingerprint": fingerprint, "member": member, "by": by, "detail": detail}
    connection.execute(_SQL["tell"], values)
