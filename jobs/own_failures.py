"""What our own work can't do becomes an error like any other: of source `system`, through the hall, into Postgres.

So charts, groups and alert rules know of it without being told. Whoever fails at the same thing every hour tells of it
once a day: the id is made of what it is about and of the day, and a second one is a duplicate.
"""

from datetime import UTC, date, datetime
from uuid import UUID, uuid5

import psycopg
import structlog

from ingest.database import Connection
from ingest.hall import Hall
from ingest.landing import land

_SPACE = UUID("4d0c6c2e-6b0b-5e0e-9a55-1f5f3f0a7c16")

log = structlog.get_logger("jobs")


def report(
    connection: Connection, hall: Hall, group: str, about: str, today: date, *, title: str, message: str
) -> bool:
    """Keep a failure of severity high; answers whether it is the first of its day. `group` is its fingerprint, `about`
    tells it from others of that group. Never raises: what went wrong is bad enough."""
    now = datetime.now(UTC)
    raw = {
        "error_id": str(uuid5(_SPACE, f"{group} {about} {today.isoformat()}")),
        "source": "system",
        "error_type": "system",
        "severity": "high",
        "title": title,
        "fingerprint": group,
        "message": message,
        "component": "jobs",
    }
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '5s'")
            return land(connection, [hall.row(raw, now)]) == 1
    except psycopg.Error as error:
        log.warning("a failure of the jobs isn't among the errors", title=title, reason=str(error).splitlines()[0])
        return False
