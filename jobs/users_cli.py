"""`meshhook-errors users`: who may sign in to the dashboard."""

import secrets
import sys
from typing import Annotated

import typer

from jobs.exceptions import StartFailed
from jobs.known_database import known_database

users = typer.Typer(no_args_is_help=True, help="Who may sign in to the dashboard: create, list, password, remove.")

Name = Annotated[str, typer.Argument(help="The user's name.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and show it this once.")]


@users.command("create")
def create_user(name: Name, generate: Generate = False) -> None:
    """Add a user. The password is asked for, or read from standard input."""
    from analytics.accounts import add_user

    with known_database("users") as connection:
        password = _password(generate=generate)
        add_user(connection, name, password)
    _say(f"«{name}» may sign in.", password, generate=generate)


@users.command("list")
def list_users() -> None:
    """List the users."""
    from analytics.accounts import list_users as read

    with known_database("users") as connection:
        known = read(connection)
    for user in known:
        seen = "never signed in" if user.signed_in_at is None else f"signed in {user.signed_in_at:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{user.name}  made {user.created_at:%Y-%m-%d}, {seen}")
    if not known:
        typer.echo("Nobody can sign in: run `meshhook-errors users create NAME`.")


@users.command("password")
def change_password(name: Name, generate: Generate = False) -> None:
    """Give a user another password, and end the sessions that were opened with the old one."""
    from analytics.accounts import change_password as change

    with known_database("users") as connection:
        password = _password(generate=generate)
        change(connection, name, password)
    _say(f"«{name}» has a new password and is signed out everywhere within 10 seconds.", password, generate=generate)


@users.command("remove")
def remove_user(name: Name) -> None:
    """Take a user out, and end the sessions."""
    from analytics.accounts import remove_user as remove

    with known_database("users") as connection:
        remove(connection, name)
    typer.echo(f"«{name}» is removed and signed out everywhere within 10 seconds.")


def _password(*, generate: bool) -> str:
    """Made, typed twice on a terminal, or the first line of standard input."""
    if generate:
        return secrets.token_urlsafe(15)
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise StartFailed("No password came on standard input. Send it as one line, or use --generate.")
    return password


def _say(what: str, password: str, *, generate: bool) -> None:
    """On standard output stands a generated password alone, so that a script can keep it."""
    typer.echo(what, err=generate)
    if generate:
        typer.echo(password)
