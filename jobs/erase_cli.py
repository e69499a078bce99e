"""`meshhook-errors erase`: what people want gone, by one kind of key, in Postgres and the lake."""

import getpass
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.exceptions import EraseRefused, LeadershipLost
from jobs.known_database import known_database, with_database

if TYPE_CHECKING:
    from ingest.database import Connection
    from ingest.settings import Settings
    from jobs.erasing import Losses
    from jobs.selection import Selection

_LOOK_SECONDS = 0.5
Ids = Annotated[list[str] | None, typer.Option(help="Its id; may be given several times.")]


def erase(
    project: Ids = None,
    workflow: Ids = None,
    run: Ids = None,
    fingerprint: Annotated[list[str] | None, typer.Option(help="A group's; may be given several times.")] = None,
    value: Annotated[
        bool,
        typer.Option("--value", help="A value that masking leaves a keyed mark of; asked for, or read from input."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish an erasure that was interrupted.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Tell what was ever erased.")] = False,
) -> None:
    """Erase errors, and of a project or workflow trials, for good."""
    options = with_database()
    if listed:
        _list()
        return
    given = {"project": project, "workflow": workflow, "run": run, "fingerprint": fingerprint}
    selection = _selection(options, {kind: keys for kind, keys in given.items() if keys}, value=value)
    if (selection is None) != resume:
        raise EraseRefused("Say what to erase by: one of --project, --workflow, --run, --fingerprint, --value.")
    if selection is not None:
        losses = _foresee(options.lake_dir, selection)
        _tell(selection, losses)
        if dry_run:
            return
        if not yes:
            _confirm()
    _erase(options, selection)


def _selection(options: "Settings", given: dict[str, list[str]], *, value: bool) -> "Selection | None":
    from ingest.masking.masker import Masker
    from jobs.selection import KINDS, Selection, marks_of

    if len(given) + value > 1:
        raise EraseRefused("Erase by one kind of key at a time.")
    if value:
        masker = Masker(options.mask_policy, options.secret_key.get_secret_value())
        return Selection.of("value", marks_of(masker, _read_value()))
    for kind in KINDS:
        if kind in given:
            return Selection.of(kind, given[kind])
    return None


def _read_value() -> str:
    """From a prompt that shows nothing, or one line of standard input: never from the shell's history."""
    return getpass.getpass("Value: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise EraseRefused("Nothing was erased: nobody can be asked. Give --yes where that is meant.")
    if not typer.confirm("Erase all of it, for good?"):
        raise EraseRefused("Nothing was erased.")


def _foresee(lake_dir: Path, selection: "Selection") -> "Losses":
    from jobs.contents import open_reader
    from jobs.erasing import foresee

    with known_database("erase") as connection, open_reader() as reader:
        return foresee(connection, lake_dir, reader, selection)


def _tell(selection: "Selection", losses: "Losses") -> None:
    typer.echo(f"By {selection.kind}: {', '.join(selection.keys)}")
    for (dataset, day), loss in sorted(losses.days.items()):
        typer.echo(
            f"  {dataset:<10} {day}  {loss.rows} rows for {loss.counted}"
            f"  ({loss.in_lake} in the lake, {loss.in_postgres} in Postgres)"
        )
    rows, errors = losses.total("errors")
    typer.echo(f"In all {rows} rows for {errors} errors, and {losses.total('executions')[0]} reports of trials.")


def _erase(options: "Settings", selection: "Selection | None") -> None:
    from jobs.erasing import erasures, is_pending, request

    with known_database("erase") as connection:
        asked = None if selection is None else request(connection, selection, getpass.getuser())
        if not _erase_alone(options, connection):
            typer.echo("The jobs do it in their next turn. Whoever doesn't wait finds it with --list.")
            while is_pending(connection):
                time.sleep(_LOOK_SECONDS)
        done = next((one for one in erasures(connection) if one.id == asked), None)
    if done is not None:
        typer.echo(
            f"✓ Erased {done.rows} rows for {done.errors} errors and {done.trials} reports of trials; {done.days} days "
            "of the lake were rewritten."
        )
    for place in _elsewhere(options):
        typer.echo(f"! {place}")


def _erase_alone(options: "Settings", connection: "Connection") -> bool:
    """Do it here; False where the jobs run, which do it then."""
    from jobs.mirror import Mirror

    try:
        Mirror(connection, options.lake_dir, max_rows=options.mirror_max_rows, max_lag_seconds=1).erase()
    except LeadershipLost:
        return False
    return True


def _elsewhere(options: "Settings") -> list[str]:
    """What may still hold rows like those, and isn't ours to change."""
    spool, told = options.spool_dir, []
    if any(spool.glob("*.rows")):
        told.append(f"{spool} holds errors that wait for Postgres. Erase again when it is empty.")
    if any(spool.glob("refused-*.txt")):
        told.append(f"{spool} holds errors that Postgres refused. Look through them, and remove them.")
    if any((options.lake_dir / ".mirror" / "damaged").glob("*")):
        told.append(f"{options.lake_dir / '.mirror' / 'damaged'} holds damaged files from before. Remove them.")
    told.append("The replaced files are removed within two hours of the jobs' work; backups are yours to look after.")
    return told


def _list() -> None:
    from jobs.erasing import erasures

    with known_database("erase") as connection:
        for one in erasures(connection):
            state = f"{one.days} days rewritten" if one.is_finished else "not finished yet"
            what = (
                f"{one.rows} rows for {one.errors} errors, {one.trials} reports of trials"
                if one.rows is not None
                else "asked for"
            )
            typer.echo(f"{one.at:%Y-%m-%d %H:%M:%S}  {one.by}  {one.kind} {', '.join(one.keys)}  {what}  {state}")
