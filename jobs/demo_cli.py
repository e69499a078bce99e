"""`meshhook-errors demo`: a small MeshHook in which things go wrong, to see what the pages make of it."""

import json
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.exceptions import StartFailed
from jobs.known_database import known_database, with_database

if TYPE_CHECKING:
    from ingest.settings import Settings


def demo(
    speed: Annotated[float, typer.Option(help="How many times faster than the clock.", min=1, max=60)] = 10,
    minutes: Annotated[float, typer.Option(help="How long the script is; its hour is laid over it.", min=5)] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same script.")] = 7,
    set_failed: Annotated[bool, typer.Option("--set-failed", help="As a MeshHook that sets a run's status.")] = False,
    dsn: Annotated[str, typer.Option(help="Where refused webhooks are reported; known beside a running `up`.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Drop the demo's tables, and play nothing.")] = False,
) -> None:
    """Play a small MeshHook whose workflows fail in many ways, and print what really happened."""
    if remove:
        _remove()
        return
    from jobs.demo.capture import limits
    from jobs.demo.clock import Clock
    from jobs.demo.play import Play
    from jobs.demo.report import progress, show_script, show_truth, terminal

    options = with_database()
    _prepare(speed)
    play = Play(
        options.database_url.get_secret_value(),
        speed=speed,
        seconds_of_script=minutes * 60,
        seed=seed,
        dsn=_checked(dsn) or _known_dsn(options),
        sets_failed=set_failed,
    )
    console = terminal()
    show_script(console, play.script, Clock(speed).at)
    try:
        with progress(console, play) as watch:
            play.run(_stopped_by_signals(), watch)
    finally:
        show_truth(console, play.truth(), limits(speed))


def _prepare(speed: float) -> None:
    """Make the tables, where they are missing, and connect them."""
    from ingest.database import require_prepared
    from jobs.demo.capture import connect_capture
    from jobs.demo.tables import create_tables

    with known_database("demo") as connection:
        require_prepared(connection)
        create_tables(connection)
        connect_capture(connection, speed)


def _remove() -> None:
    from jobs.demo.capture import disconnect_capture
    from jobs.demo.tables import drop_tables, stand

    with known_database("demo") as connection:
        if not stand(connection):
            typer.echo("The demo has no tables here.")
            return
        disconnect_capture(connection)
        drop_tables(connection)
    typer.echo("The demo's tables are removed.")


def _checked(dsn: str) -> str:
    from ingest.client.address import parse_address

    try:
        if dsn:
            parse_address(dsn, None)
    except ValueError as error:
        raise StartFailed(f"The DSN of --dsn can't be used. {error}") from None
    return dsn


def _known_dsn(options: "Settings") -> str | None:
    """That of a running `up`, where the database is its own."""
    try:
        known = json.loads((options.data_dir / "connection.json").read_text(encoding="utf-8"))
        is_its_own = known["database_url"] == options.database_url.get_secret_value()
        return str(known["dsn"]) if is_its_own else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stopped_by_signals() -> threading.Event:
    """Set by the first Ctrl-C; the second one ends the process."""
    stop = threading.Event()

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop
