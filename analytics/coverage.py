"""Up to when the lake's files have what came in."""

import re
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO

import polars as pl

from analytics.lake import Dataset, list_parts

_TO = re.compile(r"-\d{20}-(\d{20})-[^/]*$")  # files of every kind tell up to where they go


def received_to(lake_dir: Path, dataset: Dataset = "errors") -> datetime | None:
    """When the last row that the files hold was received; None where they hold none, or just can't be read.

    What was received later is in Postgres alone. A transaction that was open all the while may still add an earlier
    one: see the watermark in docs/lake.md.
    """
    ends = {path: match[1] for path in list_parts(lake_dir, dataset).paths() if (match := _TO.search(path))}
    newest = max(ends.values(), default=None)
    paths = [path for path, end in ends.items() if end == newest]
    if not paths:
        return None
    try:
        with ExitStack() as stack:  # opened once: under a name there may soon be another file, or none
            files: list[IO[bytes]] = [stack.enter_context(Path(path).open("rb")) for path in paths]
            found = pl.scan_parquet(files, hive_partitioning=False).select(pl.col("received_at").max()).collect().item()
    except (OSError, pl.exceptions.PolarsError):
        return None
    return found if isinstance(found, datetime) else None
