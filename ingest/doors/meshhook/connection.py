"""Connects MeshHook's tables, and disconnects them: triggers on its tables, functions in our schema.

A table is locked for a moment only: a lock that isn't to be had within a second is given up and tried again, so that
MeshHook never waits behind us for longer.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial

import psycopg

from ingest.database import Connection
from ingest.doors.meshhook.intake import Intake
from ingest.exceptions import IngestError
from ingest.statements import filled, load_statements

CAPTURE_VERSION = 1
EVENTS, RUNS, JOBS = "workflow_events", "workflow_runs", "job_tracking"
MOST_INBOX_BYTES = 256 * 1024 * 1024

_SQL = load_statements(__file__)
_CAPTURE = load_statements(__file__.replace("connection.py", "capture.py"))
_UUID, _MOMENT, _NUMBER = {"uuid"}, {"timestamp with time zone"}, {"bigint", "integer"}
_ANY: set[str] = set()
_COLUMNS = {
    EVENTS: {"id": _NUMBER, "run_id": _UUID, "ts": _MOMENT, "type": _ANY, "payload": {"jsonb"}},
    RUNS: {
        "id": _UUID,
        "project_id": _UUID,
        "workflow_id": _UUID,
        "status": _ANY,
        "started_at": _MOMENT,
        "finished_at": _MOMENT,
    },
    JOBS: {"id": _ANY, "run_id": _ANY, "moved_to_dlq_at": _MOMENT},
}
_STATEMENTS = {EVENTS: (EVENTS,), RUNS: (RUNS,), JOBS: (JOBS, f"{JOBS}_insert")}
_TRIGGERS = {
    RUNS: {"meshhook_errors_capture"},
    JOBS: {"meshhook_errors_capture", "meshhook_errors_capture_insert"},
    EVENTS: {"meshhook_errors_capture"},
}
_LOCK_TRIES = 60
_PAUSE_SECONDS = 0.5
_SHORTEST_WAIT_MS, _LONGEST_WAIT_MS = 50, 1000  # MeshHook's workers may have a patience of their own
_ALONE = 0x6D65_7368_0006

Say = Callable[[str], None]


class CannotConnect(IngestError):
    """MeshHook's tables can't be connected; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run counts as failed or stuck; None leaves what is set."""

    max_attempts: int | None = None
    failed_after_seconds: float | None = None
    stuck_after_seconds: float | None = None
    stuck_factor: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One of MeshHook's tables, as we may use it."""

    name: str
    oid: int
    kind: str
    may_trigger: bool
    may_read: bool
    sees_all: bool
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Installed:
    """What stands in the database. `lacking` names tables whose triggers are missing or switched off."""

    version: int | None
    tables: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether everything that can be captured is."""
        return self.version == CAPTURE_VERSION and bool(self.tables) and not self.lacking


def find_tables(connection: Connection) -> dict[str, Table]:
    """Those of MeshHook's three tables that are here."""
    rows = connection.execute(_SQL["tables"], {"names": list(_COLUMNS)})
    return {row[0]: Table(row[0], row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows}


def installed(connection: Connection) -> Installed:
    """What of the capture stands in this database."""
    tables = find_tables(connection)
    found: dict[str, set[str]] = {}
    for table, name, is_on in connection.execute(_SQL["triggers"]):
        if is_on:
            found.setdefault(table, set()).add(name)
    row = connection.execute(_SQL["installed_version"]).fetchone()
    text = row[0] if row else None
    version = int(text.rpartition(" ")[2]) if text and text.rpartition(" ")[2].isdigit() else None
    lacking = [name for name in _TRIGGERS if name in tables and not _TRIGGERS[name] <= found.get(name, set())]
    return Installed(version, tuple(name for name in _TRIGGERS if name in tables), tuple(lacking))


def plan(connection: Connection) -> list[str]:
    """The statements that `connect` would run now, after all checks. Raises CannotConnect."""
    _checked(connection)
    now = installed(connection)
    statements = [] if now.version == CAPTURE_VERSION else [_functions(MOST_INBOX_BYTES)]
    statements += [_CAPTURE[name] for table in now.lacking for name in _STATEMENTS[table]]
    return [statement.decode() for statement in statements]


def connect(
    connection: Connection,
    limits: Limits = Limits(),
    *,
    say: Say = lambda _: None,
    most_inbox_bytes: int = MOST_INBOX_BYTES,
) -> Installed:
    """Install what is missing or older. Safe to repeat, also on a busy database. Raises CannotConnect, with nothing
    left behind that wasn't there before."""
    with _alone(connection):
        return _connect(connection, limits, say, most_inbox_bytes)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Two at once would trip over each other's functions, or take away what the other one has just put there."""
    connection.execute(_SQL["alone"], {"key": _ALONE})
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(_SQL["alone_no_more"], {"key": _ALONE})


def _connect(connection: Connection, limits: Limits, say: Say, most_inbox_bytes: int) -> Installed:
    tables = _checked(connection)
    before = installed(connection)
    connection.execute(_SQL["connected"])  # fails where a migration is missing, before anything is made
    try:
        if before.version != CAPTURE_VERSION or most_inbox_bytes != MOST_INBOX_BYTES:
            connection.execute(_functions(most_inbox_bytes))
        for name in (RUNS, JOBS):
            if name in before.lacking:
                _patiently(connection, name, say, partial(_create_triggers, connection, name))
        _begin(connection, tables.get(EVENTS), say, is_lacking=EVENTS in before.lacking)
        connection.execute(_SQL["set_limits"], asdict(limits))
    except BaseException:
        if before.version is None:
            with suppress(CannotConnect, psycopg.Error):
                _patiently(connection, EVENTS, say, lambda: connection.execute(_CAPTURE["drop_functions"]))
        raise
    _forget_misses(connection, say)
    return installed(connection)


def _forget_misses(connection: Connection, say: Say) -> None:
    """Who connects again has seen what was missed before."""
    row = connection.execute(_SQL["missed"]).fetchone()
    if row is not None and any(row):
        say(f"{row[0]} failures were missed by the triggers so far, {row[1]} of them found: the count begins anew.")
        connection.execute(_SQL["forget_misses"])
        connection.execute(_SQL["forget_recovered"])


def _begin(connection: Connection, events: Table | None, say: Say, *, is_lacking: bool) -> None:
    """Put the trigger on the event log, and unless it is being read already, note where reading begins: while the
    trigger is made no writer is under way, so every event up to the newest one has committed."""
    row = connection.execute(_SQL["connected"]).fetchone()
    is_read = row is not None and row[1] is None and row[2] == (events.oid if events else None)
    if is_read and not is_lacking:
        return

    cached = connection.execute(_SQL["cached_ids"]).fetchone() if events is not None else None
    if cached is not None and cached[0] > 1:
        say(
            f"Sessions draw {cached[0]} ids of public.{EVENTS} at a time, and use them whenever they like: a success "
            "with an id that was drawn long before isn't counted. Let the owner alter that sequence to: cache 1"
        )

    def work() -> None:
        Intake(connection).position()  # so that no reader ends its step with the position of before
        newest = 0
        if events is not None:
            _create_triggers(connection, EVENTS)
            newest = _number(connection, "newest_event")
        if not is_read:
            connection.execute(_SQL["begin_connection"], {"table": events.oid if events else None, "newest": newest})

    _patiently(connection, EVENTS, say, work)


def _create_triggers(connection: Connection, table: str) -> None:
    for statement in _STATEMENTS[table]:
        connection.execute(_CAPTURE[statement])


def _number(connection: Connection, statement: str) -> int:
    row = connection.execute(_SQL[statement]).fetchone()
    assert row is not None
    return int(row[0])


def _patiently(connection: Connection, table: str, say: Say, work: Callable[[], object]) -> None:
    """Do `work` in a transaction of which no statement waits longer than a second for its locks, all partitions
    together, at first much shorter; give way and try again. Raises CannotConnect when the locks are never to be had."""
    for attempt in range(_LOCK_TRIES):
        patience = min(_SHORTEST_WAIT_MS << attempt, _LONGEST_WAIT_MS)
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = {patience}; set local statement_timeout = {patience}")
                work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected):
            if attempt == 0:
                say(f"public.{table} is busy: waiting for a moment without a long transaction …")
            time.sleep(_PAUSE_SECONDS)
        except psycopg.errors.InsufficientPrivilege as error:
            raise CannotConnect(
                f"Postgres refuses: {str(error).splitlines()[0]}. Connect as the owner of MeshHook's tables (on "
                "Supabase: postgres), or let the owner grant select and trigger on that one, too."
            ) from None
        else:
            return
    holder = connection.execute(_SQL["in_the_way"], {"table": f"public.{table}"}).fetchone()
    who = f" Process {holder[0]} ({holder[1] or 'no name'}) has held a lock for {holder[2]:.0f} s." if holder else ""
    raise CannotConnect(
        f"public.{table} was busy all the time, and MeshHook must not wait for us.{who} End that transaction, or try "
        "again at a quieter time."
    )


def disconnect(
    connection: Connection, *, say: Say = lambda _: None, finish: Callable[[int], None] = lambda _: None
) -> bool:
    """Take triggers and functions away. `finish` is called with the newest event's id when nothing more is captured.
    Answers whether there was anything to take away. Raises CannotConnect."""
    with _alone(connection):
        return _disconnect(connection, say, finish)


def _disconnect(connection: Connection, say: Say, finish: Callable[[int], None]) -> bool:
    was_there = installed(connection).version is not None
    newest = 0

    def work() -> None:
        nonlocal newest
        connection.execute(_CAPTURE["drop_functions"])
        newest = _number(connection, "newest_event") if EVENTS in find_tables(connection) else 0

    _patiently(connection, EVENTS, say, work)
    finish(newest)
    with connection.transaction():
        Intake(connection).position()  # so that no reader adds an open run after those were forgotten
        ended = connection.execute(_SQL["end_connection"]).rowcount
    return was_there or ended > 0


def _checked(connection: Connection) -> dict[str, Table]:
    if connection.execute(_SQL["in_recovery"]).fetchone() == (True,):
        raise CannotConnect(
            "This Postgres follows another one and can't be written to: point DATABASE_URL to that one."
        )
    tables = find_tables(connection)
    if not tables:
        raise CannotConnect(
            "This database has none of MeshHook's tables (workflow_events, workflow_runs, job_tracking in the schema "
            "public). Point DATABASE_URL to the database that MeshHook works on, and migrate that one."
        )
    for table in tables.values():
        _check(table, connection.info.user)
    return tables


def _check(table: Table, role: str) -> None:
    name = f"public.{table.name}"
    if table.kind not in "rp":
        raise CannotConnect(
            f"{name} is no table but a view or the like: this MeshHook is of a version that isn't known."
        )
    if missing := _COLUMNS[table.name].keys() - table.columns.keys():
        raise CannotConnect(
            f"{name} has no column {', '.join(sorted(missing))}: this MeshHook is of a version that isn't known. "
            "Update meshhook-errors."
        )
    for column, types in _COLUMNS[table.name].items():
        if types and table.columns[column] not in types:
            raise CannotConnect(
                f"The column {column} of {name} is a {table.columns[column]}, not a {min(types)}: this MeshHook is of "
                "a version that isn't known. Update meshhook-errors."
            )
    if not table.may_trigger or not table.may_read:
        raise CannotConnect(
            f"The role {role!r} may not watch {name}. Connect as its owner (on Supabase: postgres), or let the owner "
            f'run: grant select, trigger on {name} to "{role}"'
        )
    if not table.sees_all:
        raise CannotConnect(
            f"Row-level security hides rows of {name} from the role {role!r}. Connect as its owner (on Supabase: "
            f'postgres), or let a superuser run: alter role "{role}" bypassrls'
        )


def _functions(most_bytes: int) -> bytes:
    return filled(_CAPTURE["functions"], most_bytes=str(most_bytes), version=str(CAPTURE_VERSION))
