"""Looks at everything that an installation needs, and says in a line each how it is."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from analytics.accounts import list_users
from analytics.lake import DATASETS, list_parts
from analytics.meshhook_state import MeshhookState, meshhook_state
from ingest.database import FACTS, Connection, connect, migrations, partition_name, partitions
from ingest.doors.meshhook.connection import CAPTURE_VERSION, Installed, installed
from ingest.exceptions import StoreUnavailable
from ingest.settings import Settings, environment_name
from ingest.statements import load_statements
from ingest.vault import Vault, VaultClosed

_SQL = load_statements(__file__)
_LEAST_VERSION = 150_000
_ALIVE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    what: str
    is_well: bool
    says: str


def examine(options: Settings) -> list[Finding]:
    """All findings; the first ones are what the later ones rest on."""
    findings = [_lake(options), _secret_key(options)]
    try:
        with connect(options.database_url.get_secret_value(), "doctor") as connection:
            findings += [_version(connection), _schema(connection)]
            if findings[-1].is_well:
                findings += [_users(connection), _partitions(connection), _mirror(connection, options)]
                findings += _components(connection)
                findings.append(_meshhook(connection))
    except (StoreUnavailable, psycopg.Error) as error:
        findings.append(Finding("Postgres", False, str(error).strip().splitlines()[0]))
    return findings


def _lake(options: Settings) -> Finding:
    directory = options.lake_dir
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    is_writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    listings = [list_parts(directory, dataset) for dataset in DATASETS]
    seals = sum(len(listing.seals) for listing in listings)
    parts = sum(len(listing.parts) for listing in listings)
    says = f"{seals} sealed days and {parts} parts in {directory}"
    if not is_writable:
        says = f"can't write to {existing}: let this user write there, or set {environment_name('lake_url')}"
    return Finding("Lake", is_writable, says)


def _secret_key(options: Settings) -> Finding:
    key = options.secret_key.get_secret_value()
    if not key and (options.data_dir / "secrets.json").exists():
        return Finding("Secret key", True, "kept by `up`")
    try:
        Vault(key).encrypt("")
    except VaultClosed as error:
        return Finding("Secret key", False, str(error))
    return Finding("Secret key", True, "set")


def _version(connection: Connection) -> Finding:
    version = connection.info.server_version
    says = f"{version // 10_000}.{version % 10_000}"
    return Finding(
        "Postgres", version >= _LEAST_VERSION, says if version >= _LEAST_VERSION else f"{says}; 15 is needed"
    )


def _schema(connection: Connection) -> Finding:
    try:
        applied = {row[0] for row in connection.execute(_SQL["applied_versions"])}
    except psycopg.errors.UndefinedTable:
        applied = set()
    missing = [version for version, _, _ in migrations() if version not in applied]
    how_many = "1 migration is" if len(missing) == 1 else f"{len(missing)} migrations are"
    says = f"{how_many} missing: run `meshhook-errors migrate`" if missing else "up to date"
    return Finding("Schema", not missing, says)


def _users(connection: Connection) -> Finding:
    known = len(list_users(connection))
    says = "nobody can sign in: run `meshhook-errors users create NAME`"
    return Finding("Users", known > 0, f"{known} may sign in" if known else says)


def _partitions(connection: Connection) -> Finding:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    missing = [fact for fact in FACTS if partition_name(fact, tomorrow) not in partitions(connection, fact)]
    row = connection.execute(_SQL["strays"]).fetchone()
    strays = 0 if row is None else row[0]
    if missing or strays:
        return Finding(
            "Partitions", False, f"tomorrow's is missing, or {strays} rows stand in the default one; run jobs"
        )
    return Finding("Partitions", True, "made ahead of time")


def _mirror(connection: Connection, options: Settings) -> Finding:
    values = {"watermark": list_parts(options.lake_dir, "errors").watermark}
    row = connection.execute(_SQL["mirror_lag"], values).fetchone()
    waited = 0.0 if row is None or row[0] is None else float(row[0])
    is_well = waited <= options.mirror_max_lag * 2 + 60
    return Finding("Mirror", is_well, f"the oldest unpublished error has waited {waited:.0f} s")


def _components(connection: Connection) -> list[Finding]:
    findings = []
    for component in ("api", "jobs"):
        seen = connection.execute(_SQL["last_seen"], {"component": component}).fetchone()
        if seen is None or seen[0] is None:
            findings.append(Finding(component, False, "never seen: start it"))
            continue
        ago = datetime.now(UTC) - seen[0]
        findings.append(Finding(component, ago <= _ALIVE, f"last seen {ago.total_seconds():.0f} s ago"))
    return findings


def _meshhook(connection: Connection) -> Finding:
    capture, state = installed(connection), meshhook_state(connection)
    if capture.version is None and (state is None or not state.is_connected):
        return Finding("MeshHook", True, "not connected")
    wrong = _what_is_wrong(capture, state)
    if wrong is not None:
        return Finding("MeshHook", False, wrong)
    assert state is not None
    found = f", {state.misses} misses, all found again" if state.misses else ""
    says = f"captured from {', '.join(capture.tables)} (version {capture.version}), {state.waiting} waiting{found}"
    return Finding("MeshHook", True, says)


def _what_is_wrong(capture: Installed, state: MeshhookState | None) -> str | None:
    """The first thing that keeps failures of MeshHook from being captured."""
    again = "run `meshhook-errors connect-meshhook` again"
    if state is None or not state.is_connected or capture.version is None:
        return f"half connected: {again}"
    if capture.version != CAPTURE_VERSION:
        return f"the capture's version is {capture.version}, {CAPTURE_VERSION} is needed: {again}"
    if not capture.tables:
        return "MeshHook's tables are gone: run `meshhook-errors disconnect-meshhook`"
    if capture.lacking:
        return f"the triggers on {', '.join(capture.lacking)} are missing or switched off: {again}"
    if state.is_behind(datetime.now(UTC), _ALIVE):
        return "its event log isn't read: start `jobs`, and see their log"
    if state.lost:
        return f"{state.misses} failures were missed by the triggers, {state.recovered} of them found: then {again}"
    return None
