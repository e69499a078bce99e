"""Days of the lake without some of their rows: for erasing and for retiring.

The rows that stay are written as a sealed file, which takes the day's place in one exchange: see `jobs.sealing`. Its
footer has the same parts as before, each with the rows that it has now, so the accounts of all ranges stay whole, also
where nothing is left: then the sealed file is empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from analytics.evolution import parts_in_sql
from analytics.lake import COLUMNS, Dataset, Listing
from ingest.statements import filled, load_statements
from jobs.contents import Damaged, MergedPart, parts_of
from jobs.exceptions import LeadershipLost, PublishFailed, SealRefused
from jobs.publishing import Step, no_step
from jobs.rollup import Telling
from jobs.sealing import finish, merge
from jobs.workbench import Workbench

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class Gone:
    """Which rows go: a condition for DuckDB that is never null, and its parameters."""

    condition: str
    values: Mapping[str, object]


class Rewriter:
    """Works for the mirror, on its workbench, while nothing is published."""

    def __init__(
        self,
        lake_dir: Path,
        identifier: str,
        bench: Workbench,
        still_leads: Callable[[], bool],
        reader: duckdb.DuckDBPyConnection,
        step: Step = no_step,
    ) -> None:
        self._lake_dir = lake_dir
        self._identifier = identifier
        self._bench = bench
        self._still_leads = still_leads
        self._reader = reader
        self._told = step

    def rewrite(self, dataset: Dataset, day: date, listing: Listing, gone: Gone, telling: Telling | None = None) -> int:
        """Take rows out of a day; answers how many. A day that has none of them stays as it is. `telling`: what its
        rollups tell of from then on, if not of the rows that stay. Raises SealRefused, PublishFailed, LeadershipLost,
        ExchangeUnsupported; nothing has changed in the lake then."""
        files = [file for file in listing.files if file.day == day]
        paths = [file.path for file in files]
        kept_at = self._bench.file("kept.parquet")
        try:
            parts = [part for file in files for part in parts_of(file)]
            going = self._keep(dataset, paths, parts, gone, kept_at)
            if not going and telling is None:
                return 0
            merged = self._merged(parts, kept_at)
            built = merge(
                self._bench,
                self._lake_dir,
                dataset,
                day,
                listing.watermark,
                [kept_at],
                merged,
                self._identifier,
                reader=self._reader,
                step=self._told,
                telling=telling,
            )
        except Damaged as error:
            raise SealRefused(f"{dataset} of {day} stays as it is: {error} `verify` tells more.") from error
        except (OSError, duckdb.IOException) as error:
            if not self._bench.path.exists():
                raise LeadershipLost(f"Another mirror has taken over. {dataset} of {day} stays as it is.") from error
            raise PublishFailed(f"Can't rewrite {dataset} of {day}: {error}. Check space and permissions.") from error
        finally:
            kept_at.unlink(missing_ok=True)
        finish(
            self._bench,
            self._lake_dir,
            replace(built, replaces=frozenset(paths)),
            self._still_leads,
            step=self._told,
        )
        return going

    def _keep(self, dataset: Dataset, paths: list[Path], parts: list[MergedPart], gone: Gone, kept_at: Path) -> int:
        """Write the rows that stay; answers how many go. Raises Damaged where files don't hold what they say."""
        relation, values = parts_in_sql(dataset, [str(path) for path in paths])
        given = {**values, **gone.values}
        tally = filled(_SQL["tally"], parts=relation, gone=gone.condition).decode()
        rows, going = self._reader.execute(tally, given).fetchall()[0]
        if rows != sum(part[-1] for part in parts):
            raise Damaged(f"its files hold {rows} rows, their footers say {sum(part[-1] for part in parts)}.")
        self._told("rewrite begun")
        columns = ", ".join(f'"{name}"' for name in COLUMNS[dataset])
        path = _literal(kept_at)
        keep = filled(_SQL["keep"], columns=columns, parts=relation, gone=gone.condition, path=path).decode()
        self._reader.execute(keep, given)
        return int(going)

    def _merged(self, parts: list[MergedPart], kept_at: Path) -> list[MergedPart]:
        """The same parts, with the rows that each has now."""
        statement = filled(_SQL["per_part"], path=_literal(kept_at)).decode()
        rows = self._reader.execute(statement, {"starts": [start for start, *_ in parts]}).fetchall()
        left: dict[int, int] = dict(rows)
        return [(start, end, number, of, left.get(start, 0)) for start, end, number, of, _ in parts]


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
