"""`meshhook-errors backup` and `restore`: everything that an installation has become, in plain files and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.settings import Settings, settings
from jobs.known_database import known_database

if TYPE_CHECKING:
    from rich.progress import TaskID

    from jobs.backup.progress import Tell


def backup(
    directory: Annotated[Path, typer.Argument(help="A new directory; an earlier backup beside it saves copying.")],
) -> None:
    """Copy configuration, alert state, groups, counts and lake into a directory, while everything runs."""
    from jobs.backup.making import make_backup

    with known_database("backup") as connection, _bar() as tell:
        options = settings()
        manifest = make_backup(
            connection, options.lake_dir, directory, secret_key=options.secret_key.get_secret_value(), tell=tell
        )
    rows = sum(table.rows for table in manifest.tables.values())
    typer.echo(
        f"{directory}: {rows:,} rows of {len(manifest.tables)} tables, {len(manifest.lake):,} files of the lake "
        f"({manifest.lake_bytes / 2**20:,.1f} MB)."
    )
    if manifest.secret_key_mark:
        typer.echo("The secret key isn't in it, and is needed to restore: keep MESHHOOK_ERRORS_SECRET_KEY elsewhere.")


@contextmanager
def _bar() -> Iterator["Tell"]:
    """On a terminal a bar for what is copied at the moment, gone at the end; elsewhere nothing."""
    from jobs.backup.progress import tell_nobody

    if not sys.stdout.isatty():
        yield tell_nobody
        return

    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(f"Copying the {what}")
            bar.update(tasks[what], completed=done, total=total)

        yield tell
        bar.refresh()


def restore(
    directory: Annotated[Path, typer.Argument(help="A backup.")],
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Leave out what is encrypted, where its key is lost.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only read the backup, and say whether it is sound.")] = False,
) -> None:
    """Make an installation of a backup, in an empty database and an empty lake."""
    from jobs.backup.manifest import check_files, read_manifest
    from jobs.backup.restoring import check_key
    from jobs.backup.restoring import restore as load

    manifest = read_manifest(directory)
    if check:
        check_files(directory, manifest)
        typer.echo(f"Sound: made {manifest.made_at}, {len(manifest.tables)} tables, {len(manifest.lake)} files.")
        return
    with _new_database() as options:
        if not without_secrets:
            check_key(manifest, options.secret_key.get_secret_value())
        with known_database("restore") as connection:
            load(connection, options.lake_dir, directory, manifest, with_secrets=not without_secrets)
    typer.echo(
        f"Restored: everything up to {manifest.made_at}. `meshhook-errors verify` proves it, then start the jobs."
    )


@contextmanager
def _new_database() -> Iterator[Settings]:
    """The settings with the database that is set; without one, that of `up`, which mustn't run, in its directory."""
    import os

    from ingest.settings import environment_name
    from jobs.installation import Installation
    from jobs.postgres import EmbeddedPostgres

    options = settings()
    if options.database_url.get_secret_value():
        yield options
        return
    installation = Installation(options.data_dir)
    installation.lock()
    secrets, _ = installation.secrets()
    postgres = EmbeddedPostgres(installation.directory / "postgres")
    os.environ[environment_name("database_url")] = postgres.start()
    os.environ.setdefault(environment_name("secret_key"), secrets.secret_key)
    settings.cache_clear()
    try:
        yield settings()
    finally:
        postgres.stop()
