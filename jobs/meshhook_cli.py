"""`connect-meshhook` and `disconnect-meshhook`."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.exceptions import StartFailed
from jobs.known_database import known_database

if TYPE_CHECKING:
    from ingest.database import Connection

_SPAN = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,3})?)\s*(?P<unit>[smhd])")
_MOST_SECONDS = 3653 * 86_400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def connect_meshhook(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, show the statements, change nothing.")] = False,
    backfill: Annotated[str, typer.Option(help="Take in what happened before, too: 30d, 12h.")] = "",
    events_per_second: Annotated[int, typer.Option(help="The most that a backfill reads.", min=10)] = 5_000,
    max_attempts: Annotated[
        int | None, typer.Option(help="How often a step is tried (5).", min=1, max=1_000_000)
    ] = None,
    failed_after: Annotated[
        str, typer.Option(help="A run has failed when nothing follows its last try for so long (10s).")
    ] = "",
    stuck_after: Annotated[str, typer.Option(help="A run is stuck at the earliest after so long (10m).")] = "",
    stuck_factor: Annotated[
        float | None,
        typer.Option(help="… and after so many times what its workflow usually takes (5).", min=1, max=1_000),
    ] = None,
) -> None:
    """Take failures and trials in from MeshHook's own tables, in this database. Safe to repeat."""
    from ingest.doors.meshhook.connection import Limits, connect, plan

    since = _seconds("--backfill", backfill)
    limits = Limits(
        max_attempts, _seconds("--failed-after", failed_after), _seconds("--stuck-after", stuck_after), stuck_factor
    )
    with known_database("connect-meshhook") as connection:
        if dry_run:
            statements = plan(connection)
            typer.echo(";\n\n".join(statements) + ";" if statements else "All is installed: nothing to do.")
            return
        now = connect(connection, limits, say=typer.echo)
        typer.echo(f"Connected: {', '.join(now.tables)} (capture version {now.version}).")
        if since is not None:
            _backfill(connection, timedelta(seconds=since), events_per_second)
    typer.echo("The jobs take failures and trials in from now on, wherever they run.")


def disconnect_meshhook() -> None:
    """Take the triggers away. What was captured stays."""
    from ingest.doors.meshhook.connection import disconnect
    from ingest.doors.meshhook.intake import Intake
    from ingest.settings import settings
    from jobs.meshhook import hall_with_rules

    with known_database("disconnect-meshhook") as connection:
        intake = Intake(connection, hall=hall_with_rules(connection, settings()))

        def finish(newest: int) -> None:
            while (taken := intake.tick(newest)) is not None and not taken.is_at_end:
                pass

        was_there = disconnect(connection, say=typer.echo, finish=finish)
    typer.echo("Disconnected: nothing of ours is left in MeshHook's tables." if was_there else "Nothing was connected.")


def _backfill(connection: "Connection", span: timedelta, events_per_second: float) -> None:
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from ingest.doors.meshhook.backfill import backfill, open_ranges
    from ingest.doors.meshhook.intake import Intake
    from ingest.settings import settings
    from jobs.meshhook import hall_with_rules

    intake = Intake(connection, hall=hall_with_rules(connection, settings()))
    ranges = open_ranges(connection, intake, datetime.now(UTC) - span)
    total = sum(end - start for start, end in ranges)
    columns = (TextColumn("Backfill"), BarColumn(), TaskProgressColumn(), TextColumn("{task.completed:,.0f} events"))
    done = 0
    with Progress(*columns, TimeRemainingColumn(), console=Console()) as progress:
        task = progress.add_task("", total=total)
        try:
            for start, end in ranges:
                for reached in backfill(connection, intake, start, end, events_per_second):
                    progress.update(task, completed=done + reached)
                done += end - start
        except KeyboardInterrupt:
            raise StartFailed("The backfill was interrupted. The same command goes on where it stopped.") from None
    typer.echo(f"Backfilled {total:,} events." if total else "Nothing to backfill: all of it was taken in before.")


def _seconds(option: str, text: str) -> float | None:
    if not text:
        return None
    match = _SPAN.fullmatch(text.strip())
    if match is None or float(match["number"]) == 0:
        raise StartFailed(f"{option}: write a span of time as 90s, 10m, 12h or 30d, not {text!r}.")
    seconds = float(match["number"]) * _UNITS[match["unit"]]
    if seconds > _MOST_SECONDS:
        raise StartFailed(f"{option}: {text!r} is longer than ten years.")
    return seconds
