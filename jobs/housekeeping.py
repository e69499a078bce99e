"""What keeps Postgres small: partitions made ahead of time, and old days dropped once the lake has them."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import structlog
from psycopg import sql

from analytics.evolution import parts_in_sql
from analytics.lake import DATASETS, Dataset, list_parts
from ingest.database import Connection, make_partitions, partitions, system_identifier
from ingest.hall import Hall
from ingest.statements import filled, load_statements
from jobs.contents import open_reader
from jobs.own_failures import report
from jobs.ranges import ID_COLUMN

_SQL = load_statements(__file__)
_FACT: dict[Dataset, str] = {"errors": "error_metrics", "executions": "execution_metrics"}
_PARTITION_DAY = re.compile(r"_(\d{8})$")

_MOST_TRIES = 10

log = structlog.get_logger("housekeeping")


def keep_house(
    connection: Connection,
    lake_dir: Path,
    today: date,
    *,
    postgres_days: int,
    counts_days: int,
    hall: Hall | None = None,
) -> list[str]:
    """Make the coming partitions, drop what is older than `postgres_days` and published, forget old counts and
    ledger entries. Answers the partitions dropped. One that the lake doesn't hold alike stays, and is told of as an
    error of ours, once a day, by way of `hall` (else of a usual one)."""
    try:
        make_partitions(connection, today)
    except psycopg.errors.LockNotAvailable:
        log.warning("a long transaction stands in the way of new partitions, the next turn tries again")
    dropped, refused = _drop_partitions(connection, lake_dir, today - timedelta(days=postgres_days))
    for name, reason in refused.items():
        _tell(connection, hall or Hall(), name, reason, today)
    # Ids are known for as long as their rows are here: a day that stays keeps its own.
    days = [day for dataset in DATASETS for day in partition_days(connection, dataset)]
    oldest_day = min([today - timedelta(days=postgres_days), *days])
    limits = {"oldest": _midnight(today - timedelta(days=counts_days)), "oldest_id": _midnight(oldest_day)}
    for name, statement in _SQL.items():
        if name.startswith("forget_"):
            connection.execute(statement, limits)
    return dropped


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)


def partition_days(connection: Connection, dataset: Dataset) -> list[date]:
    """The days of receipt whose rows Postgres has a partition for."""
    return [day for name in partitions(connection, _FACT[dataset]) if (day := _day_of(name)) is not None]


def _day_of(partition: str) -> date | None:
    match = _PARTITION_DAY.search(partition)
    return match and datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date()


def _tell(connection: Connection, hall: Hall, partition: str, reason: str, today: date) -> None:
    """A partition that can't go is Postgres growing, and a lake that isn't what it should be: people are to know."""
    day = _day_of(partition)
    title = (
        f"{partition} stays in Postgres: the lake doesn't hold the same of {day}. "
        "Run `meshhook-errors verify --days`, then `meshhook-errors verify --mend`"
    )
    message = (
        f"{partition}, what came on {day}, isn't dropped, because the lake doesn't hold the same: {reason}. "
        "`meshhook-errors verify --days` says what is wrong. To mend it, stop the jobs and run `meshhook-errors verify "
        "--mend`. The partition is dropped within an hour afterwards."
    )
    report(connection, hall, "partition-stays", partition, today, title=title, message=message)


def _drop_partitions(connection: Connection, lake_dir: Path, oldest_kept: date) -> tuple[list[str], dict[str, str]]:
    """The partitions dropped, and those that the lake doesn't hold alike, with the reason."""
    dropped: list[str] = []
    refused: dict[str, str] = {}
    for dataset in DATASETS:
        watermark = _published_to(connection, lake_dir, dataset)
        for name in partitions(connection, _FACT[dataset]):
            day = _day_of(name)
            if day is None or day >= oldest_kept:
                continue
            if not _is_published(connection, name, watermark):
                log.warning("an old partition isn't in the lake yet and stays", partition=name)
            elif (missing := _difference(connection, lake_dir, dataset, name, day)) is not None:
                log.error("an old partition stays: the lake doesn't hold the same", partition=name, reason=missing)
                refused[name] = missing
            elif _drop(connection, name):
                dropped.append(name)
            else:
                return dropped, refused
    return dropped, refused


def _difference(connection: Connection, lake_dir: Path, dataset: Dataset, partition: str, day: date) -> str | None:
    """What the lake holds otherwise than a partition, by number and ids of rows; None where that is the same."""
    statement = _SQL[f"held_{dataset}"].decode().replace("{partition}", f'"{partition}"').encode()
    here = connection.execute(statement).fetchone()
    assert here is not None
    if here[0] == 0:
        return None
    for _ in range(_MOST_TRIES):
        listing = list_parts(lake_dir, dataset)
        relation, values = parts_in_sql(dataset, listing.paths()) if listing.files else ("", {})
        span = {"begin": _midnight(day), "end": _midnight(day + timedelta(days=1))}
        there: tuple[int, str] = (0, "0")
        if listing.files:
            try:
                with open_reader() as reader:
                    found = filled(_SQL["in_lake"], parts=relation, id=ID_COLUMN[dataset]).decode()
                    there = reader.execute(found, {**values, **span}).fetchall()[0]
            except duckdb.Error:
                if all(file.path.exists() for file in listing.files):
                    return "a file of it can't be read; `meshhook-errors verify` tells which"
                continue  # a day was sealed meanwhile
        if there == (here[0], here[1]):
            return None
        return f"{here[0]} rows here, {there[0]} there; `meshhook-errors verify` tells more"
    return "its files change all the time"


def _published_to(connection: Connection, lake_dir: Path, dataset: Dataset) -> int:
    """The lake's watermark; 0 where it isn't what this database's mirror has claimed: another database's lake."""
    watermark = list_parts(lake_dir, dataset).watermark
    claim = connection.execute(_SQL["claim"], {"dataset": dataset}).fetchone()
    if claim is None or claim[2] != system_identifier(connection):
        return 0
    return watermark if claim[0] <= watermark <= claim[1] else 0


def _drop(connection: Connection, partition: str) -> bool:
    """Whether the lock was to be had at once: while a drop waits for a long read, every writer waits behind it."""
    try:
        with connection.transaction():
            connection.execute("set local lock_timeout = '1s'")
            connection.execute(sql.SQL("drop table {}").format(sql.Identifier(partition)))
    except psycopg.errors.LockNotAvailable:
        log.warning("a long transaction reads an old partition, it stays until the next turn", partition=partition)
        return False
    log.info("partition dropped", partition=partition)
    return True


def _is_published(connection: Connection, partition: str, watermark: int) -> bool:
    """Whether every row of the partition is below both watermarks: folded by the tally, and in the lake."""
    statement = sql.SQL(
        "select not exists (select from {partition} where xact_id >= least(%(watermark)s::text::xid8,"
        " (select xact_id from tally_watermark)))"
    )
    row = connection.execute(statement.format(partition=sql.Identifier(partition)), {"watermark": watermark}).fetchone()
    return row == (True,)
