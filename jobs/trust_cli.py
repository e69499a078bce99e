"""`meshhook-errors keys trust` and `keys distrust`: whose word on type and severity counts."""

from typing import Annotated

import typer

from jobs.known_database import known_database

KeyArgument = Annotated[str, typer.Argument(help="The key's id, or how it begins.")]


def trust_key(key: KeyArgument) -> None:
    """Keep the error types and severities that are sent with a key."""
    _set(key, is_trusted=True)


def distrust_key(key: KeyArgument) -> None:
    """Let the rules alone decide on type and severity of what is sent with a key."""
    _set(key, is_trusted=False)


def _set(key: str, *, is_trusted: bool) -> None:
    from ingest.keys import trust_key as trust

    with known_database("keys") as connection:
        found = trust(connection, key, is_trusted=is_trusted)
    what = "its error types and severities are kept" if is_trusted else "the rules alone decide on type and severity"
    typer.echo(f"{found.prefix}… ({found.name}): {what}. Running servers notice within 10 seconds.")
