"""What a plan names, as one relation: the rows of files and the buckets of rollups look alike there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import structlog

from analytics.evolution import parts_in_sql
from analytics.lake import Dataset, Listing
from analytics.reading import Question, Source, plan
from analytics.rollups import Rollups
from analytics.store import Store
from ingest.exceptions import StoreUnavailable
from ingest.statements import filled, load_statements

_SQL = load_statements(__file__)

log = structlog.get_logger("lake")


def sources_in_sql(dataset: Dataset, sources: Sequence[Source]) -> tuple[str, dict[str, Any]]:
    """A relation for a `from` clause, and its parameters: `moment` (microseconds since 1970: of the row, or the start
    of its bucket), the dimensions and the measures."""
    selects: list[str] = []
    values: dict[str, Any] = {}
    for index, source in enumerate(sources):
        read: dict[str, list[str]]
        if source.kind == "rows":
            parts, read = parts_in_sql(dataset, list(source.paths))
        else:
            parts, read = filled(_SQL["rollups"], paths="$rolled").decode(), {"rolled": list(source.paths)}
        for name, paths in read.items():
            parts = parts.replace(f"${name}", f"${name}_{index}")
            values[f"{name}_{index}"] = paths
        kind = source.kind if source.kind in ("rows", "outline") else "rollup"
        statement = _SQL[f"{dataset}_{kind}"]
        slots = {"parts": parts, "start": f"$start_{index}", "end": f"$end_{index}"}
        selects.append(filled(statement, **slots).decode())
        values |= {f"start_{index}": source.start, f"end_{index}": source.end}
    return f"({' union all '.join(selects)})", values


def read_sources(
    store: Store,
    question: Question,
    listing: Listing,
    rollups: Rollups,
    sources: Sequence[Source],
    statement: bytes,
    values: dict[str, Any],
) -> tuple[pl.DataFrame, Sequence[Source]]:
    """The answer to a statement with a slot `{sources}`, and what was read for it. Where a rollup can't be read, those
    of the days are, and then the files. Raises what `Store.read_lake` raises."""
    pieces = dict.fromkeys((source.start, source.end) for source in sources)
    fewer = [(rollups.of_days(), question.interval_seconds)] if rollups.have_months() else []
    for left, interval in (*fewer, (rollups.only_kept(), 1)):
        try:
            return _read(store, question.dataset, sources, statement, values), sources
        except StoreUnavailable:
            if all(source.kind == "rows" for source in sources):
                raise
        log.warning("a rollup can't be read, others or files are: `verify` tells which", dataset=question.dataset)
        narrowed = [replace(question, start=start, end=end, interval_seconds=interval) for start, end in pieces]
        sources = [source for piece in narrowed for source in plan(listing, left, piece)]
    return _read(store, question.dataset, sources, statement, values), sources


def _read(
    store: Store, dataset: Dataset, sources: Sequence[Source], statement: bytes, values: dict[str, Any]
) -> pl.DataFrame:
    relation, read = sources_in_sql(dataset, sources)
    return store.read_lake(filled(statement, sources=relation), values | read)
