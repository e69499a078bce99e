"""`make crash-matrix`: every step, every fate, as a table."""

import sys
import tempfile
from pathlib import Path

import structlog

from ingest.database import Connection, connect, migrate
from jobs.postgres import EmbeddedPostgres
from tests.crashes.matrix import CASES, Outcome, run_case


def main() -> int:
    """Run all cases; answers 1 where one of them ended wrong."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    print(f"{'step':<20} {'mirror':<8} {'rows':>5} {'reads':>6} {'refused':>8} {'seconds':>8}  afterwards")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedPostgres(Path(directory))
        url = server.start()
        try:
            with connect(url, "tests") as connection:
                prepare(connection)
                for step, fate in CASES:
                    clear(connection)
                    outcomes.append(run_case(url, Path(directory) / f"lake-{len(outcomes)}", step, fate))
                    show(outcomes[-1])
        finally:
            server.stop()
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    reads = sum(outcome.reads for outcome in outcomes)
    print(f"{len(outcomes)} cases, {wrong} of them wrong; {reads} counts by a plain reader meanwhile.")
    return int(wrong > 0)


def show(outcome: Outcome) -> None:
    """One line of the table."""
    print(
        f"{outcome.step:<20} {outcome.fate:<8} {outcome.rows:>5} {outcome.reads:>6} {outcome.refused_reads:>8}"
        f" {outcome.seconds:>8.2f}  {'; '.join(outcome.problems) or 'equal'}",
        flush=True,
    )


def prepare(connection: Connection) -> None:
    """Nobody needs this database after a crash of the machine."""
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        connection.execute(f"alter system set {setting} = off".encode())
    connection.execute("select pg_reload_conf()")
    migrate(connection)


def clear(connection: Connection) -> None:
    """A fresh start for the next case."""
    connection.execute("truncate error_metrics, execution_metrics, error_ids, report_ids, mirror_claims")


if __name__ == "__main__":
    sys.exit(main())
