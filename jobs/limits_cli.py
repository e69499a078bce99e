"""`meshhook-errors keys limit` and `projects limit`: how much may come in with its details."""

from typing import Annotated

import typer

from jobs.known_database import known_database

PerMinute = Annotated[
    int, typer.Argument(help="Events in a minute; 0 gives back the limit of the settings.", min=0, max=2**31 - 1)
]


def limit_key(
    key: Annotated[str, typer.Argument(help="The key's id, or how it begins.")], events_per_minute: PerMinute
) -> None:
    """Count what is sent with a key above a limit, without its details."""
    from ingest.keys import limit_key as limit

    with known_database("keys") as connection:
        limited = limit(connection, key, events_per_minute or None)
    _say(f"{limited.prefix}… ({limited.name})", events_per_minute)


def limit_project(
    number: Annotated[int, typer.Argument(help="The project's number.")], events_per_minute: PerMinute
) -> None:
    """The same for all that is sent for a project."""
    from ingest.projects import limit_project as limit

    with known_database("projects") as connection:
        limited = limit(connection, number, events_per_minute or None)
    _say(f"Project {limited.reference} ({limited.name})", events_per_minute)


def _say(whose: str, events_per_minute: int) -> None:
    what = f"at most {events_per_minute} events a minute" if events_per_minute else "the limit of the settings"
    typer.echo(f"{whose}: {what}. Running servers notice within 10 seconds.")
