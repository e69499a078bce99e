"""Proof that Postgres and the lake agree: every published range is read from both and compared, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import polars as pl

from analytics.evolution import as_of_today
from analytics.lake import COLUMNS, DATASETS, Dataset, Listing, Part, list_parts, strangers
from ingest.database import Connection
from ingest.statements import load_statements
from jobs.ranges import read_range

_SQL = load_statements(__file__)
_ID: dict[Dataset, str] = {"errors": "error_id", "executions": "report_id"}


@dataclass(slots=True)
class Report:
    """What was compared, and what differs. `is_equal` when nothing does."""

    ranges: int = 0
    rows_compared: int = 0
    rows_only_in_lake: int = 0  # of days that Postgres no longer holds
    waiting: int = 0  # committed, and not due in the lake yet
    problems: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the lake has every row below the watermark exactly once, as Postgres has it."""
        return not self.problems


def verify(connection: Connection, lake_dir: Path) -> Report:
    """Compare both stores. Memory is bounded by the largest range."""
    report = Report()
    for dataset in DATASETS:
        listing = list_parts(lake_dir, dataset)
        for stranger in strangers(lake_dir, dataset):
            report.problems.append(
                f"{stranger} is no part of ours, and readers of **/*.parquet count it. Move it away."
            )
        oldest = _oldest_kept(connection, dataset)
        for (start, end), parts in _ranges(listing.parts):
            report.ranges += 1
            _compare(connection, dataset, (start, end), parts, oldest, report)
        report.problems += _gaps(connection, dataset, listing)
        report.problems += _duplicates(listing.paths(), dataset)
        report.waiting += _count_from(connection, dataset, listing.watermark)
    return report


def _ranges(parts: tuple[Part, ...]) -> Iterator[tuple[tuple[int, int], list[Part]]]:
    for span, members in groupby(parts, key=lambda part: (part.start, part.end)):
        yield span, list(members)


def _gaps(connection: Connection, dataset: Dataset, listing: Listing) -> Iterator[str]:
    """Ranges of which no part stands. Ranges follow each other from 0 to what the mirror has claimed."""
    end = 0
    for span, _ in _ranges(listing.parts):
        if span[0] > end:
            yield f"{dataset}, transactions {end} to {span[0]}: every part is missing."
        end = max(end, span[1])
    claim = connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
    if claim is not None and claim[0] > listing.watermark:
        yield f"{dataset}, transactions {listing.watermark} to {claim[0]}: every part is missing."


def _compare(
    connection: Connection,
    dataset: Dataset,
    span: tuple[int, int],
    parts: list[Part],
    oldest: int | None,
    report: Report,
) -> None:
    where = f"{dataset}, transactions {span[0]} to {span[1]}"
    if len(parts) != parts[0].of:
        report.problems.append(f"{where}: {parts[0].of - len(parts)} of {parts[0].of} parts are missing.")
        return
    try:
        published = _read_parts(parts, dataset)
    except (pl.exceptions.PolarsError, OSError) as error:
        report.problems.append(f"{where}: a part can't be read ({type(error).__name__}): {parts[0].path.name}.")
        return
    if oldest is None or published["xact_id"].min() < oldest:  # type: ignore[operator]
        report.rows_only_in_lake += published.height
        return
    kept = read_range(connection, dataset, *span)
    report.rows_compared += kept.height
    if not kept.sort(_ID[dataset]).equals(published.sort(_ID[dataset])):
        report.problems.append(f"{where}: {_difference(kept, published, _ID[dataset])}")


def _read_parts(parts: list[Part], dataset: Dataset) -> pl.DataFrame:
    frames = []
    for part in parts:
        frame = pl.read_parquet(part.path, hive_partitioning=False)
        wrong_day = frame.filter(pl.col("timestamp").dt.date() != part.day)
        if wrong_day.height:
            raise OSError(f"{wrong_day.height} rows of another day")
        frames.append(as_of_today(frame, dataset).select(list(COLUMNS[dataset])))
    return pl.concat(frames)


def _difference(kept: pl.DataFrame, published: pl.DataFrame, key: str) -> str:
    missing = kept.join(published, on=key, how="anti").height
    extra = published.join(kept, on=key, how="anti").height
    if missing or extra:
        return f"{missing} rows are missing in the lake, {extra} are only there."
    return "the same ids, with other values."


def _duplicates(paths: list[str], dataset: Dataset) -> list[str]:
    if not paths:
        return []
    parts = pl.scan_parquet(paths, hive_partitioning=False, missing_columns="insert", extra_columns="ignore")
    ids = parts.select(pl.col(_ID[dataset]))
    try:
        counted = ids.select(pl.len().alias("rows"), pl.col(_ID[dataset]).n_unique().alias("ids")).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        return [f"{dataset}: the lake can't be counted ({type(error).__name__})."]
    rows, distinct = counted.row(0)
    return [f"{dataset}: {rows - distinct} rows stand twice in the lake."] if rows != distinct else []


def _oldest_kept(connection: Connection, dataset: Dataset) -> int | None:
    """The oldest transaction whose rows Postgres still holds whole."""
    row = connection.execute(_SQL[f"oldest_{dataset}"]).fetchone()
    return None if row is None else row[0]


def _count_from(connection: Connection, dataset: Dataset, watermark: int) -> int:
    row = connection.execute(_SQL[f"waiting_{dataset}"], {"watermark": watermark}).fetchone()
    return 0 if row is None else int(row[0])
