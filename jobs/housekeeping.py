"""What keeps Postgres small: partitions made ahead of time, and old days dropped once the lake has them."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import structlog
from psycopg import sql

from analytics.lake import DATASETS, Dataset, list_parts
from ingest.database import Connection, make_partitions, partitions
from ingest.statements import load_statements

_SQL = load_statements(__file__)
_FACT: dict[Dataset, str] = {"errors": "error_metrics", "executions": "execution_metrics"}
_PARTITION_DAY = re.compile(r"_(\d{8})$")

log = structlog.get_logger("housekeeping")


def keep_house(
    connection: Connection, lake_dir: Path, today: date, *, postgres_days: int, counts_days: int
) -> list[str]:
    """Make the coming partitions, drop what is older than `postgres_days` and published, forget old counts and
    ledger entries. Answers the partitions dropped."""
    make_partitions(connection, today)
    dropped = _drop_partitions(connection, lake_dir, today - timedelta(days=postgres_days))
    limits = {"oldest": _midnight(today, counts_days), "oldest_id": _midnight(today, postgres_days)}
    for name, statement in _SQL.items():
        if name.startswith("forget_"):
            connection.execute(statement, limits)
    return dropped


def _midnight(today: date, days_ago: int) -> datetime:
    return datetime.combine(today - timedelta(days=days_ago), datetime.min.time(), tzinfo=UTC)


def _drop_partitions(connection: Connection, lake_dir: Path, oldest_kept: date) -> list[str]:
    dropped = []
    for dataset in DATASETS:
        watermark = list_parts(lake_dir, dataset).watermark
        for name in partitions(connection, _FACT[dataset]):
            match = _PARTITION_DAY.search(name)
            if match is None or datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date() >= oldest_kept:
                continue
            if _is_published(connection, name, watermark):
                connection.execute(sql.SQL("drop table {}").format(sql.Identifier(name)))
                log.info("partition dropped", partition=name)
                dropped.append(name)
            else:
                log.warning("an old partition isn't in the lake yet and stays", partition=name)
    return dropped


def _is_published(connection: Connection, partition: str, watermark: int) -> bool:
    """Whether every row of the partition is below both watermarks: folded by the tally, and in the lake."""
    statement = sql.SQL(
        "select not exists (select from {partition} where xact_id >= least(%(watermark)s::text::xid8,"
        " (select xact_id from tally_watermark)))"
    )
    row = connection.execute(statement.format(partition=sql.Identifier(partition)), {"watermark": watermark}).fetchone()
    return row == (True,)
