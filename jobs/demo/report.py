"""What the terminal shows: the script before, a line while it plays, the truth after."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ingest.doors.meshhook.connection import Limits
from jobs.demo.play import Play
from jobs.demo.script import Script
from jobs.demo.truth import Count, Outcome, Truth, WorkflowTruth

_LEAST_WIDTH = 118  # where the output goes into a file, rich would take 80
_SHOWN_EVERY = 0.25  # seconds
_OUTCOMES: tuple[tuple[Outcome, str], ...] = (
    ("succeeded", "done"),
    ("failed", "failed"),
    ("canceled", "canceled"),
    ("hanging", "hanging"),
    ("dead_lettered", "dead\nletter"),
    ("unfinished", "cut\noff"),
)
_COUNTS: tuple[tuple[Count, str], ...] = (
    ("steps_succeeded", "steps\ndone"),
    ("tries_repeated", "tries\nrepeated"),
    ("steps_exhausted", "steps\nexhausted"),
)


def terminal() -> Console:
    """Where the tables fit."""
    console = Console(highlight=False)
    return console if console.is_terminal or console.width >= _LEAST_WIDTH else Console(width=_LEAST_WIDTH)


def show_script(console: Console, script: Script, at: Callable[[float], datetime]) -> None:
    """What goes wrong and when, by the script's clock and this machine's."""
    table = Table(title="What goes wrong", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in ("script", "here", "what", "what to expect"):
        table.add_column(heading, no_wrap=heading in ("script", "here"))
    for trouble in script.troubles:
        here = [f"{at(second).astimezone():%H:%M:%S}" for second in (trouble.start, trouble.end)]
        span = f"{_minutes(trouble.start)}–{_minutes(trouble.end)}"
        table.add_row(span, "–".join(here), trouble.what, trouble.effect)
    console.print(table)
    console.print()


@contextmanager
def progress(console: Console, play: Play) -> Iterator[Callable[[float], None]]:
    """A line that lives while the play does; it is told the second of the script."""
    columns = (TextColumn("{task.fields[clock]}"), BarColumn(24), TextColumn("{task.description}", markup=False))
    shown = 0.0
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("", total=play.script.seconds, clock="00:00")

        def watch(second: float) -> None:
            nonlocal shown
            if time.monotonic() - shown < _SHOWN_EVERY:
                return
            shown = time.monotonic()
            bar.update(task, completed=second, clock=_minutes(second), description=_so_far(play, second))

        yield watch


def _so_far(play: Play, second: float) -> str:
    truth = play.truth()
    now = [trouble.what for trouble in play.script.troubles if trouble.start <= second < trouble.end]
    counts = f"{truth.total('runs_started')} runs, {len(truth.runs('failed'))} failed"
    return " · ".join([counts, *now])


def show_truth(console: Console, truth: Truth, limits: Limits) -> None:
    """What really happened, workflow by workflow, and what is to be seen of it."""
    title = f"What really happened, {truth.began.astimezone():%H:%M:%S} to {truth.ended.astimezone():%H:%M:%S}"
    table = Table(
        title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), header_style="bold", show_footer=True
    )
    table.add_column("workflow", "all", no_wrap=True)
    rows = [(label, _numbers(workflow)) for label, workflow in sorted(truth.workflows.items())]
    sums = [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]
    headings = ("runs", *(heading for _, heading in _OUTCOMES), *(heading for _, heading in _COUNTS))
    for heading, total in zip(headings, sums or [0] * len(headings), strict=True):
        table.add_column(heading, str(total), justify="right", overflow="fold")
    for label, numbers in rows:
        table.add_row(label, *(str(number) if number else "·" for number in numbers))
    console.print(table)
    refused = truth.webhooks_refused
    console.print(
        f"\nWebhooks refused: {refused['bad_signature']} for a bad signature (401), {refused['unknown_slug']} for an "
        f"unknown slug (404). Jobs of the queue: {truth.total('jobs_repeated')} failed tries repeated, "
        f"{truth.total('jobs_dead_lettered')} jobs in the dead-letter queue.\n",
        soft_wrap=True,
    )
    _show_expected(console, truth, limits)


def _show_expected(console: Console, truth: Truth, limits: Limits) -> None:
    """The numbers that the pages come to, once the last silence is long enough."""
    table = Table(title="What the pages show of it", title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    failed, stuck = len(truth.runs("failed")), len(truth.stuck)
    finished_executions, failed_executions = truth.executions
    quiet, long = f"{limits.failed_after_seconds:.0f} s", f"{limits.stuck_after_seconds:.0f} s"
    for number, what in (
        (truth.total("tries_repeated"), "errors of severity low: tries that were repeated"),
        (truth.total("steps_exhausted"), "of severity high: steps whose last try failed"),
        (failed, f"of severity medium: runs that failed with such a step, {quiet} after it"),
        (truth.total("jobs_dead_lettered"), "of severity high: jobs in the dead-letter queue"),
        (stuck, f"of severity high: stuck runs, {long} or more after they began"),
        (truth.webhooks_reported, "of severity low, source webhook: refused webhooks that the web layer reported"),
        (finished_executions, f"executions finished, {failed_executions} of them failed: steps and runs"),
    ):
        table.add_row(str(number), what)
    console.print(table)


def _numbers(workflow: WorkflowTruth) -> list[int]:
    ends = [len(workflow.runs[outcome]) for outcome, _ in _OUTCOMES]
    return [workflow.counts["runs_started"], *ends, *(workflow.counts[name] for name, _ in _COUNTS)]


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"
