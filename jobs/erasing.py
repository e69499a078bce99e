"""Erasing: rows that people want gone leave Postgres and the lake, and the figures made of them follow.

States of an erasure, and who moves it on

    asked     everything that can be is published, and folded by the tally
      │ one transaction: the rows leave Postgres, counts and groups follow, the erasure is noted
      ▼
    noted     `verify` says that it isn't finished
      │ day by day, the lake's files are rewritten without the rows below the noted watermark: see `jobs.rewriting`
      ▼
    finished

A crash leaves `asked` or `noted`, and whoever is the mirror next goes on from there: taking rows out of a day twice
changes nothing. The ledger of ids stays, so that what is sent again is known and doesn't come back.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from analytics.evolution import parts_in_sql
from analytics.lake import DATASETS, Dataset, Listing, Seal, list_parts
from analytics.rollups import list_rollups
from ingest.database import Connection
from ingest.statements import filled, load_statements
from jobs.exceptions import EraseRefused
from jobs.kept_rollups import retired_files
from jobs.rewriting import Gone, Rewriter
from jobs.rollup import Telling
from jobs.selection import Kind, Selection
from jobs.tally import Tally

_SQL = load_statements(__file__)
_COUNTED: dict[Dataset, str] = {"errors": "stands_for", "executions": "finished"}
_WHOLE_SERIES: tuple[Kind, ...] = ("project", "workflow", "fingerprint")
_TALLY_TRIES = 100
_TALLY_SECONDS = 0.1
_OF_RUNS: tuple[Kind, ...] = ("project", "workflow", "run")


@dataclass(slots=True)
class DayLoss:
    """What goes of one day: rows in both stores together, each once, what they stand for, and how many are in which."""

    rows: int = 0
    counted: int = 0
    in_lake: int = 0
    in_postgres: int = 0


@dataclass(slots=True)
class Losses:
    """What goes, by dataset and day."""

    days: dict[tuple[Dataset, date], DayLoss] = field(default_factory=dict)

    def total(self, dataset: Dataset) -> tuple[int, int]:
        """Rows, and what they stand for."""
        found = [loss for (whose, _), loss in self.days.items() if whose == dataset]
        return sum(loss.rows for loss in found), sum(loss.counted for loss in found)


@dataclass(frozen=True, slots=True)
class Erasure:
    """One line of the log."""

    id: UUID
    at: datetime
    by: str
    kind: str
    keys: list[str]
    rows: int | None  # None until it is noted
    errors: int | None
    trials: int | None
    days: int | None
    is_finished: bool


def erasures(connection: Connection) -> list[Erasure]:
    """All that was ever erased, newest first."""
    return [Erasure(*row) for row in connection.execute(_SQL["all"])]


def unfinished(connection: Connection) -> list[tuple[UUID, Selection, dict[Dataset, int]]]:
    """Erasures that Postgres has done and the lake hasn't followed yet, oldest first."""
    return [(row[0], Selection(row[1], tuple(row[2])), row[3]) for row in connection.execute(_SQL["unfinished"])]


def request(connection: Connection, selection: Selection, by: str) -> UUID:
    """Ask for an erasure; the mirror does it in its next turn."""
    values = {"by": by, "kind": selection.kind, "keys": list(selection.keys)}
    row = connection.execute(_SQL["request"], values).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def is_pending(connection: Connection) -> bool:
    """Whether an erasure is asked for, or begun."""
    return connection.execute(_SQL["is_pending"]).fetchone() == (True,)


def foresee(connection: Connection, lake_dir: Path, reader: duckdb.DuckDBPyConnection, selection: Selection) -> Losses:
    """What an erasure would take away; changes nothing."""
    losses = Losses()
    for dataset in DATASETS:
        if not selection.takes(dataset):
            continue
        lake = _LakeRows(reader, lake_dir, dataset, selection)
        for day, rows, counted in lake.ask("lake_days", counted=_COUNTED[dataset]):
            losses.days[dataset, day] = DayLoss(rows, counted, in_lake=rows)
        statement = filled(_SQL[f"postgres_days_{dataset}"], gone=selection.in_postgres().decode())
        values = {"below": lake.below, "keys": list(selection.keys)}
        for day, rows, counted, kept in connection.execute(statement, values):
            loss = losses.days.setdefault((dataset, day), DayLoss())
            loss.rows += rows
            loss.counted += counted
            loss.in_postgres = kept
    return losses


class _LakeRows:
    """The rows of one dataset that a selection takes, below the watermark of now."""

    def __init__(
        self, reader: duckdb.DuckDBPyConnection, lake_dir: Path, dataset: Dataset, selection: Selection
    ) -> None:
        listing = list_parts(lake_dir, dataset)
        self.below = listing.watermark
        self.oldest_day = min(listing.days(), default=None)
        self._reader = reader
        self._paths = [str(file.path) for file in listing.files]
        self._dataset = dataset
        self._selection = selection

    def ask(self, name: str, *, counted: str = "", **values: object) -> list[tuple[Any, ...]]:
        if not self._paths:
            return []
        relation, paths = parts_in_sql(self._dataset, self._paths)
        statement = filled(_SQL[name], parts=relation, gone=self._selection.in_lake(), counted=counted).decode()
        given = {**paths, "keys": list(self._selection.keys), "below": self.below, **values}
        return self._reader.execute(statement, given).fetchall()


class Eraser:
    """Works for the mirror, on its connection and workbench, while nothing is published."""

    def __init__(
        self, connection: Connection, lake_dir: Path, rewriter: Rewriter, reader: duckdb.DuckDBPyConnection
    ) -> None:
        self._connection = connection
        self._lake_dir = lake_dir
        self._rewriter = rewriter
        self._reader = reader

    def resume(self) -> int:
        """Let the lake follow what Postgres has erased before; answers how many days were rewritten."""
        return sum(self._follow(*known) for known in unfinished(self._connection))

    def work(self, *, is_alone: bool, step: Callable[[str], None]) -> int:
        """Do all that was asked for; all that could be published has been. `is_alone`: no jobs run, so nobody else
        folds. Answers how many days were rewritten. Raises EraseRefused where the tally is behind, and what
        `Rewriter.rewrite` raises: the next call goes on then."""
        days = self.resume()
        for erasure, kind, keys in self._connection.execute(_SQL["requested"]).fetchall():
            self._erase(erasure, Selection(kind, tuple(keys)), is_alone=is_alone, step=step)
            days += self.resume()
        return days

    def _erase(self, erasure: UUID, selection: Selection, *, is_alone: bool, step: Callable[[str], None]) -> None:
        if is_alone:
            Tally(self._connection).tick()
        self._wait_for_tally()
        step("erasure counted")
        lake = {
            dataset: _LakeRows(self._reader, self._lake_dir, dataset, selection)
            for dataset in DATASETS
            if selection.takes(dataset)
        }
        found = {dataset: rows.ask("lake_days", counted=_COUNTED[dataset]) for dataset, rows in lake.items()}
        with self._connection.transaction():
            self._erase_here(erasure, selection, lake, found)
        step("erasure noted")

    def _wait_for_tally(self) -> None:
        """Until all that the lake has is in the 10-second counts: what is taken out of them was in them."""
        below = max(list_parts(self._lake_dir, dataset).watermark for dataset in DATASETS)
        for _ in range(_TALLY_TRIES):
            if self._connection.execute(_SQL["is_folded"], {"below": below}).fetchone() == (True,):
                return
            time.sleep(_TALLY_SECONDS)
        raise EraseRefused("The tally is behind; nothing was erased yet. `meshhook-errors doctor` tells more.")

    def _erase_here(
        self,
        erasure: UUID,
        selection: Selection,
        lake: dict[Dataset, _LakeRows],
        found: dict[Dataset, list[tuple[Any, ...]]],
    ) -> None:
        """Postgres's half, in one transaction; notes what goes in both halves."""
        folded = self._connection.execute(_SQL["lock_tally"]).fetchone()
        assert folded is not None
        run = _Here(self._connection, selection, lake["errors"].below, folded[0])
        run.connection.execute(_SQL["make_tables"])
        run.note_lake(lake["errors"])
        rows, errors = run.delete("errors", lake["errors"].below)
        trials = 0
        if "executions" in lake:
            trials = run.delete("executions", lake["executions"].below)[0]
        run.subtract()
        run.renew_groups(lake["errors"])
        run.forget_texts()
        rows += sum(day[1] for day in found["errors"])
        errors += sum(day[2] for day in found["errors"])
        trials += sum(day[1] for day in found.get("executions", []))
        values = {
            "id": erasure,
            "rows": rows,
            "errors": errors,
            "trials": trials,
            "below": json.dumps({dataset: rows.below for dataset, rows in lake.items()}),
        }
        self._connection.execute(_SQL["note"], values)

    def _follow(self, erasure: UUID, selection: Selection, below: dict[Dataset, int]) -> int:
        """The lake's half. Rows that were published later aren't meant."""
        rewritten = 0
        for dataset, watermark in below.items():
            gone = Gone(
                f"(({selection.in_lake()}) and xact_id < $below)", {"keys": list(selection.keys), "below": watermark}
            )
            rows = _LakeRows(self._reader, self._lake_dir, dataset, selection)
            days = {day for day, *_ in rows.ask("lake_days", counted=_COUNTED[dataset], below=watermark)}
            kept = self._days_with_kept(dataset, selection)
            for day in sorted(days | {day for day, is_told in kept.items() if is_told}):
                listing = list_parts(self._lake_dir, dataset)
                telling = self._telling(selection, listing, day) if day in kept else None
                self._rewriter.rewrite(dataset, day, listing, gone, telling)
                rewritten += 1
        self._connection.execute(_SQL["finish"], {"id": erasure, "days": rewritten})
        return rewritten

    def _days_with_kept(self, dataset: Dataset, selection: Selection) -> dict[date, bool]:
        """The days of which rows were retired, and whether their rollups tell of what is to go."""
        found: dict[date, bool] = {}
        for file in list_parts(self._lake_dir, dataset).files:
            if not isinstance(file, Seal) or not retired_files(self._lake_dir, dataset, file.day, [file.path]):
                continue
            rollups = list_rollups(self._lake_dir, dataset, [file.day])
            finest = (rollups.paths[grain].get(file.path.name) for grain in ("minute", "hour"))
            paths = [str(path) for path in finest if path is not None]
            found[file.day] = any(self._tells_of(path, selection) for path in paths)
        return found

    def _tells_of(self, rollup: str, selection: Selection) -> bool:
        if selection.kind not in _WHOLE_SERIES:
            return False
        statement = filled(_SQL["rollup_tells"], gone=selection.in_lake()).decode()
        return bool(self._reader.execute(statement, {"path": rollup, "keys": list(selection.keys)}).fetchall())

    def _telling(self, selection: Selection, listing: Listing, day: date) -> Telling:
        """What the kept rollups of a day tell of from then on. They know neither runs nor values: such figures stay."""
        paths = tuple(file.path for file in listing.files if file.day == day)
        if selection.kind not in _WHOLE_SERIES:
            return Telling(paths)
        return Telling(paths, selection.in_lake(), {"keys": list(selection.keys)})


@dataclass(frozen=True, slots=True)
class _Here:
    """One erasure in Postgres's transaction."""

    connection: Connection
    selection: Selection
    below: int
    folded: int

    def _run(self, name: str, *, below: int | None = None, **more: object) -> Iterable[tuple[Any, ...]]:
        statement = _SQL[name].decode().replace("{gone}", self.selection.in_postgres().decode()).encode()
        values = {"keys": list(self.selection.keys), "below": self.below if below is None else below}
        cursor = self.connection.execute(statement, {**values, "folded": self.folded, **more})
        return cursor.fetchall() if cursor.description else ()

    def note_lake(self, lake: _LakeRows) -> None:
        """What goes from the lake, and what stays of the same groups."""
        groups = lake.ask("lake_groups")
        self._copy("erased_groups", groups)
        if self.selection.kind == "fingerprint":
            self._copy("erased_groups", [(key, 0) for key in self.selection.keys])
        if self.selection.kind not in _WHOLE_SERIES:
            (oldest,) = next(iter(self._run("oldest_count")))
            self._copy("erased_series", lake.ask("lake_series", oldest=oldest) if oldest else [])

    def delete(self, dataset: Dataset, below: int) -> tuple[int, int]:
        """Answers how many rows the lake didn't have, and what they stood for."""
        rows, counted = next(iter(self._run(f"delete_{dataset}", below=below)))
        return rows, counted

    def subtract(self) -> None:
        """Take what goes out of the 10-second counts."""
        if self.selection.kind in _WHOLE_SERIES:
            self._run("delete_counts")
            if self.selection.takes("executions"):
                self._run("delete_execution_counts")
        else:
            self._run("subtract_counts")
            self._run("drop_empty_counts")

    def renew_groups(self, lake: _LakeRows) -> None:
        """Groups say what is left of them; those of which nothing is go, with their notes and history."""
        touched = [row[0] for row in self._run("touched_groups")]
        self._copy("kept_groups", lake.ask("lake_kept", fingerprints=touched) if touched else [])
        self._run("keep_groups")
        self._run("find_emptied")
        midnight = datetime.min.time()
        detail = datetime.combine(lake.oldest_day, midnight, tzinfo=UTC) if lake.oldest_day else None
        self._run("renew_groups", detail=detail)
        for name in (
            "part_emptied",
            "delete_emptied_events",
            "delete_emptied_notes",
            "delete_emptied",
            "blank_emptied",
            "blank_messages",
        ):
            self._run(name)

    def forget_texts(self) -> None:
        """Marks in messages and notes, and what is known of runs."""
        if self.selection.kind in _OF_RUNS:
            self._run("delete_stuck")
            self._run("delete_runs")
        if self.selection.kind == "value":
            for mark in self.selection.keys:
                for name in ("blank_marks", "blank_notes", "blank_titles"):
                    self._run(name, mark=mark)

    def _copy(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(f"copy {table} from stdin".encode()) as copy:
            for row in rows:
                copy.write_row(row)
