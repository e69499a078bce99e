"""The database that a command works on: the one that is set, or that of a running `up`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.exceptions import StoreUnavailable, Unprepared
from ingest.settings import PREFIX, Settings, environment_name, settings
from jobs.exceptions import StartFailed

if TYPE_CHECKING:
    from ingest.database import Connection


def with_database() -> Settings:
    """The settings. On the machine of a running `up`, what isn't set is found in its directory."""
    options = settings()
    if options.database_url.get_secret_value():
        return options
    try:
        known = _told_by_up(options)
        found = {"database_url": known["database_url"], "lake_url": known["lake_url"]}
        found |= {"public_api_url": known["api_url"], "public_app_url": known["app_url"]}
        kept = json.loads((options.data_dir / "secrets.json").read_text(encoding="utf-8"))
        found["secret_key"] = kept["secret_key"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StartFailed(
            f"No database is known: set DATABASE_URL, or {PREFIX}DATA_DIR to the directory of a running `up`."
        ) from None
    for name, value in found.items():
        if not os.environ.get(environment_name(name)):
            os.environ[environment_name(name)] = value
    settings.cache_clear()  # whoever asks in this process from now on is told the same
    return settings()


def known_lake() -> Path:
    """The lake that is set, or that of a `up` in the data directory, whether it runs or not. Raises StartFailed where
    there is none."""
    options = settings()
    directory = options.lake_dir
    if not options.lake_url:
        with suppress(OSError, ValueError, KeyError, TypeError):
            directory = Path(_told_by_up(options)["lake_url"])
    if not directory.is_dir():
        raise StartFailed(
            f"There is no lake at {directory}: set LAKE_URL to its directory, or {PREFIX}DATA_DIR to that of an `up`."
        )
    return directory


def _told_by_up(options: Settings) -> dict[str, str]:
    told: dict[str, str] = json.loads((options.data_dir / "connection.json").read_text(encoding="utf-8"))
    return told


@contextmanager
def known_database(application: str) -> Iterator["Connection"]:
    """A connection to it. Raises Unprepared for one that `migrate` hasn't seen."""
    import psycopg

    from ingest.database import connect

    with connect(with_database().database_url.get_secret_value(), application) as connection:
        try:
            yield connection
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise Unprepared from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise StartFailed(
                f"Postgres refuses: {str(error).splitlines()[0]}. Use the role that `migrate` was run with."
            ) from None
        except psycopg.OperationalError as error:
            raise StoreUnavailable(f"Postgres went away: {str(error).splitlines()[0]}. Try again.") from error
