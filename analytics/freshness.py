"""Up to when what Postgres shows is complete."""

from datetime import datetime

from ingest.database import Connection
from ingest.statements import load_statements

_SQL = load_statements(__file__)


def complete_to(connection: Connection, now: datetime) -> datetime:
    """`now`, or an earlier moment: since when an API's spool holds rows back, or when the last API was alive.

    A server that was removed for good holds rows back for a quarter of an hour, not for ever. APIs show signs of life
    every few seconds, so an answer some seconds before `now` is a healthy one.
    """
    row = connection.execute(_SQL["complete_to"]).fetchone()
    known: list[datetime] = [moment for moment in row or () if moment is not None]
    return min([now, *known])
