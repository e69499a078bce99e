"""`meshhook-errors rollup`: what rollups the lake has, and making them again."""

from typing import Annotated

import typer

from ingest.settings import settings
from jobs.exceptions import LeadershipLost
from jobs.known_database import known_database


def rollup(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make missing and wrong rollups again; the jobs must not run.")
    ] = False,
) -> None:
    """Tell how many files of the lake have rollups, or make those that are missing or wrong."""
    if rebuild:
        _rebuild()
        return
    from analytics.lake import DATASETS, list_parts
    from jobs.rollup_checks import missing_rollups

    for dataset in DATASETS:
        listing = list_parts(settings().lake_dir, dataset)
        missing = missing_rollups(settings().lake_dir, dataset, listing)
        typer.echo(f"{dataset:<10} {len(listing.files)} files, {missing} without rollups")


def _rebuild() -> None:
    from rich.console import Console

    from jobs.mirror import Mirror

    try:
        with known_database("rollup") as connection, Console(stderr=True).status("Rollups …") as status:
            mirror = Mirror(connection, settings().lake_dir, max_rows=1, max_lag_seconds=1)
            done = mirror.rebuild_rollups(lambda name: status.update(f"Rollups … {name}"))
    except LeadershipLost:
        typer.echo("✗ The jobs are running, and may publish at any moment. Stop them, then rebuild.")
        raise typer.Exit(1) from None
    for name in done.made:
        typer.echo(f"✓ made: {name}")
    for name in done.removed:
        typer.echo(f"✓ removed, its file is gone: {name}")
    for reason in done.beyond:
        typer.echo(f"✗ {reason} `meshhook-errors verify` tells more.")
    typer.echo(f"{done.sound} files had theirs, {len(done.made)} rollups made, {len(done.removed)} removed.")
    raise typer.Exit(1 if done.beyond else 0)
