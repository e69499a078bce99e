"""Rows written inside the caller's own transaction, by the same claim and COPY as the writer's lanes use.

For work that must be one transaction with the rows it makes: emptying an inbox, moving a position in a log.
"""

from collections.abc import Sequence

import psycopg

from ingest.database import Connection
from ingest.lane import CLAIM, COPY, SQL
from ingest.rows import FACTS, Row, lines_of


def land(connection: Connection, rows: Sequence[Row]) -> int:
    """Write those rows whose id is new; answers how many that were. Raises psycopg.Error, and the caller's transaction
    is over."""
    written = 0
    with psycopg.RawCursor(connection) as cursor:
        for fact in FACTS:
            first = {row.id: row for row in reversed(rows) if row.fact == fact}
            if not first:
                continue
            known = cursor.execute(SQL[CLAIM[fact]], [list(first)]).fetchall()
            for (row_id,) in known:
                first.pop(str(row_id), None)
            if first:
                with cursor.copy(COPY[fact]) as copy:
                    for line in lines_of(first.values()):
                        copy.write(line)
            written += len(first)
    return written
