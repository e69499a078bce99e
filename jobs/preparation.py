"""What `up` needs the database for. It runs in processes of its own that end, so that the supervisor stays small:
a database driver and password hashing would cost it as much memory again as itself.

`python -m jobs.preparation prepare` brings the database up to date, with the keys and the admin of `secrets.json`;
`python -m jobs.preparation jobs-since EPOCH` waits a moment for a sign of life of the jobs, exit code 2 without one.
"""

import sys
import time

from analytics.accounts import create_user
from ingest.database import connect, migrate
from ingest.exceptions import IngestError
from ingest.keys import create_key
from ingest.settings import settings
from ingest.statements import load_statements
from ingest.vault import Vault
from jobs.exceptions import JobError
from jobs.installation import ADMIN, Installation, Secrets

NOT_YET = 2
MADE_BY_UP = "made by up"
"""The name of the keys of an installation's own."""
_PATIENCE_SECONDS = 3.0
_SQL = load_statements(__file__)


def prepare(database_url: str, secrets: Secrets) -> None:
    """Bring the database up to date. Safe to repeat. Raises StoreUnavailable or MigrationFailed."""
    with connect(database_url, "up") as connection:
        migrate(connection)
        vault = Vault(settings().secret_key.get_secret_value() or secrets.secret_key)
        create_key(connection, MADE_BY_UP, "ingest", secrets.ingest_key, vault=vault)
        create_key(connection, MADE_BY_UP, "admin", secrets.admin_key)
        create_user(connection, ADMIN, secrets.admin_password)


def jobs_live(database_url: str, since: float) -> bool:
    """Whether the jobs gave a sign of life after `since` (seconds of the epoch); waits a moment for one."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with connect(database_url, "up") as connection:
        while connection.execute(_SQL["jobs_seen"], {"since": since}).fetchone() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
    return True


def main(arguments: list[str]) -> int:
    """One step, named by its first argument; an expected failure is one sentence on standard error."""
    try:
        options = settings()
        database_url = options.database_url.get_secret_value()
        if arguments[0] == "jobs-since":
            return 0 if jobs_live(database_url, float(arguments[1])) else NOT_YET
        prepare(database_url, Installation(options.data_dir).secrets()[0])
    except (IngestError, JobError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
