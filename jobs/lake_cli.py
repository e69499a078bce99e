"""`meshhook-errors query`, `export` and `catalog`: the lake for whoever sits at a terminal.

Rows go to standard output or a file, everything else that is said to standard error. Exit codes: 0; 1 when a question
is refused or something fails; 2 when the command is written wrongly; 130 when it is stopped.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from jobs.exceptions import StartFailed
from jobs.known_database import known_lake, with_database

if TYPE_CHECKING:
    from analytics.filters import Filters
    from analytics.formats import Format
    from analytics.sandbox.question import Question

TABLE_ROWS = 100

Output = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; without it, standard output.")]


def query(
    sql: Annotated[str, typer.Argument(help="One question about `errors` and `executions`; - reads standard input.")],
    form: Annotated[str, typer.Option("--format", "-f", help="table, csv, json, ndjson or parquet.")] = "",
    output: Output = None,
    rows: Annotated[int | None, typer.Option(help="At most that many; a table shows 100 if not told.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop it after that long.", min=0.1)] = None,
    memory: Annotated[int, typer.Option(help="Megabytes that it may take.", min=100)] = 2000,
) -> None:
    """Ask the lake's files in SQL; needs no Postgres."""
    from analytics.sandbox.question import Limits, Question

    chosen = _format(form, output, ("table", "csv", "json", "ndjson", "parquet"))
    lake_dir = known_lake()
    most = rows if rows is not None else TABLE_ROWS if chosen == "table" else None
    text = sys.stdin.read() if sql == "-" else sql
    question = Question(lake_dir, text, Limits(most_rows=most, most_bytes=None, seconds=seconds, memory_mb=memory))
    with _stoppable(), _watched(question):
        if chosen == "table":
            _show(question, output)
        else:
            _write(chosen, output, question.frames())
    if question.note is not None:
        typer.echo(f"{question.note} --rows shows more, --format csv all of them.", err=True)
    _tell_coverage(lake_dir)


def export(
    output: Output = None,
    form: Annotated[str, typer.Option("--format", "-f", help="parquet, csv, json or ndjson.")] = "",
    start: Annotated[str, typer.Option(help="From this moment on: 2026-11-01, 2026-11-01T08:00Z, or 7d ago.")] = "",
    end: Annotated[str, typer.Option(help="Up to, not including, this one.")] = "",
    source: Annotated[list[str] | None, typer.Option(help="worker, webhook or system; may be repeated.")] = None,
    error_type: Annotated[list[str] | None, typer.Option("--type", help="The type; may be repeated.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="low, medium or high; may be repeated.")] = None,
    workflow: Annotated[list[str] | None, typer.Option(help="A workflow's id; may be repeated.")] = None,
    project: Annotated[list[str] | None, typer.Option(help="A project's id; may be repeated.")] = None,
    fingerprint: Annotated[list[str] | None, typer.Option(help="A group's fingerprint; may be repeated.")] = None,
    executions: Annotated[bool, typer.Option("--executions", help="Trials in place of errors.")] = False,
    lake_only: Annotated[bool, typer.Option("--lake-only", help="The files alone, without asking Postgres.")] = False,
) -> None:
    """Write a slice of errors, complete to the second, to a file."""
    from analytics.slices import rows_of
    from analytics.store import Store

    chosen = _format(form, output, ("parquet", "csv", "json", "ndjson"), default="csv")
    filters = _filters(source, error_type, severity, workflow, project, fingerprint)
    first, last = _moment(start, "--start"), _moment(end, "--end")
    if first is not None and last is not None and last <= first:
        raise StartFailed("--end must be after --start.")
    url = "" if lake_only else with_database().database_url.get_secret_value()
    store = Store(url, known_lake(), application="export", max_connections=1)
    bar = _Bar("Exporting")
    try:
        with _stoppable(), bar:
            frames = rows_of(
                store,
                "executions" if executions else "errors",
                filters,
                first,
                last,
                with_postgres=not lake_only,
                progress=bar.advance,
            )
            written = _write(chosen, output, frames)
    finally:
        store.close()
    typer.echo(f"{written:,} rows.", err=True)


def catalog() -> None:
    """Write `catalog.duckdb` anew beside the lake's files: views that any DuckDB opens."""
    from analytics.catalog import write_catalog

    typer.echo(write_catalog(known_lake()))


def _format(asked: str, output: Path | None, known: tuple[str, ...], default: str = "table") -> str:
    from analytics.formats import SUFFIXES

    chosen = asked or (SUFFIXES.get(output.suffix.lower(), "") if output else "") or default
    if chosen not in known:
        raise typer.BadParameter(f"{chosen!r} is none of {', '.join(known)}", param_hint="--format")
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is nothing to read on a terminal: give --output FILE", param_hint="--format")
    return chosen


def _write(form: str, output: Path | None, frames: Iterator[Any]) -> int:
    """All frames into the file, which appears when it is whole, or to standard output. How many rows that were."""
    from analytics.formats import writer

    written = 0
    with _opened(output) as file:
        into = writer(cast("Format", form), file)
        for frame in frames:
            into.write(frame)
            written += frame.height
        into.close()
        file.flush()
    return written


@contextmanager
def _opened(output: Path | None) -> Iterator[Any]:
    if output is None:
        yield sys.stdout.buffer
        return
    beside = output.with_name(f".{output.name}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
        beside.replace(output)
    except OSError as error:
        raise StartFailed(f"Can't write {output}: {error.strerror or error}.") from error
    finally:
        beside.unlink(missing_ok=True)


def _show(question: "Question", output: Path | None) -> None:
    from jobs.lake_table import table_of

    answer = question.answer()
    text = table_of(answer.frame, None if output or not sys.stdout.isatty() else sys.stdout)
    if output is None:
        typer.echo(text)
    else:
        with _opened(output) as file:
            file.write(f"{text}\n".encode())
    rows = "1 row" if answer.frame.height == 1 else f"{answer.frame.height:,} rows"
    typer.echo(f"{rows} in {answer.seconds:.2f} s.", err=True)


def _tell_coverage(lake_dir: Path) -> None:
    from analytics.coverage import received_to

    moment = received_to(lake_dir)
    if moment is None:
        typer.echo(f"There are no errors in the files of {lake_dir} yet.", err=True)
    elif sys.stderr.isatty():
        typer.echo(f"The files have what was received up to {moment:%Y-%m-%d %H:%M:%S} UTC.", err=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and a reader that has seen enough end a command quietly."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left has nowhere to go
        raise typer.Exit(0) from None


@contextmanager
def _watched(question: "Question") -> Iterator[None]:
    """A bar for a question that takes long, where the engine knows how far it is."""
    import threading

    bar, done = _Bar("Asking"), threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            if question.progress is not None:
                bar.advance(question.progress)

    watcher = threading.Thread(target=look, daemon=True)
    with bar:
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


class _Bar:
    """A progress bar on a terminal, from the second second on; elsewhere nothing."""

    def __init__(self, what: str) -> None:
        import time

        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        self._clock = time.monotonic
        self._begun = self._clock()
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        is_seen = sys.stderr.isatty()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_seen)
        self._task = self._bar.add_task(what, total=1.0)
        self._is_shown = False

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            self._bar.stop()

    def advance(self, share: float) -> None:
        """Show how much is done, from 0 to 1."""
        if not self._is_shown and self._clock() - self._begun > 1:
            self._is_shown = True
            self._bar.start()
        self._bar.update(self._task, completed=share)


def _moment(text: str, option: str) -> datetime | None:
    from datetime import UTC, timedelta

    from analytics.asking import in_bounds, interval_seconds
    from analytics.exceptions import BadRequest

    if not text:
        return None
    try:
        return in_bounds(datetime.fromisoformat(text))
    except ValueError:
        pass
    try:
        return datetime.now(UTC) - timedelta(seconds=interval_seconds(text.removesuffix(" ago")))
    except BadRequest:
        known = "write 2026-11-01, 2026-11-01T08:00Z or 7d"
        raise typer.BadParameter(f"{text!r} is no moment; {known}", param_hint=option) from None


def _filters(
    source: list[str] | None,
    error_type: list[str] | None,
    severity: list[str] | None,
    workflow: list[str] | None,
    project: list[str] | None,
    fingerprint: list[str] | None,
) -> "Filters":
    from analytics.filters import Filters
    from ingest.models import SEVERITIES

    for name in severity or ():
        if name not in SEVERITIES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(SEVERITIES)}", param_hint="--severity")
    for name in source or ():
        if name not in ("worker", "webhook", "system"):
            raise typer.BadParameter(f"{name!r} is none of worker, webhook, system", param_hint="--source")
    return Filters(
        tuple(source or ()),
        tuple(name.lower() for name in error_type or ()),
        tuple(severity or ()),
        tuple(_id(text, "--workflow") for text in workflow or ()),
        tuple(_id(text, "--project") for text in project or ()),
        tuple(fingerprint or ()),
    )


def _id(text: str, option: str) -> Any:
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no UUID", param_hint=option) from None
