"""The planted corpus through every door of a whole installation, with Postgres there and with Postgres away: afterwards
no secret stands in Postgres, the spool, the lake, a log, a message or an answer."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.end_to_end.leaking import Entrance, through_meshhook, through_the_api, through_the_client
from tests.end_to_end.running import Running, read_files, running, until
from tests.labelled.plants import Planted, Search, planted
from tests.servers import Mailbox, Slack

TITLES_TOLD = 60  # titles that the alerts' messages show, five in each
DOOR = """case when metadata ->> 'logger' = 'leaking' then 'client log' else
    coalesce(metadata ->> 'door', metadata #>> '{tags,door}', metadata #>> '{attributes,door}', 'MeshHook') end"""

PLACES_LOOKED_AT = {
    *("the spool", "the lake", "the log", "Slack", "mail", "an answer to a sender", "GET /api/error-events"),
    *(f"error_metrics, {door}" for door in ("object", "array", "lines", "envelope", "store", "MeshHook")),
    *(f"error_metrics, {door}" for door in ("OTLP JSON", "OTLP protobuf", "spooled array", "spooled envelope")),
    *(f"error_metrics, client {way}" for way in ("message", "exception", "log")),
    *("table error_groups", "table error_counts", "table notifications", "table meshhook_runs", "Postgres' log"),
}

pytestmark = pytest.mark.timeout(180)


class Leaks:
    """Collects where a secret was found."""

    def __init__(self, plants: list[Planted]) -> None:
        self._search = Search(plants)
        self.found: list[str] = []
        self.looked_at: dict[str, int] = {}  # characters, by place

    def look(self, place: str, text: str) -> None:
        self.looked_at[place] = self.looked_at.get(place, 0) + len(text)
        self.found += [f"{place}: {name}" for name in self._search.found(text)]


def test_no_planted_secret_is_anywhere_after_it_came_through_every_door(
    tmp_path: Path, own_mail_server: tuple[Mailbox, int], slack_receiver: Slack
) -> None:
    plants = planted()
    leaks = Leaks(plants)
    settings = {
        "MESHHOOK_ERRORS_MIRROR_MAX_LAG": "3",
        "MESHHOOK_ERRORS_DETAILS_PER_MINUTE": "1000000",  # each of them is looked at
        "MESHHOOK_ERRORS_LOG_LEVEL": "debug",
        "MESHHOOK_ERRORS_SMTP_HOST": "127.0.0.1",
        "MESHHOOK_ERRORS_SMTP_PORT": str(own_mail_server[1]),
        "MESHHOOK_ERRORS_SMTP_SECURITY": "none",
        "MESHHOOK_ERRORS_SMTP_FROM": "errors@example.test",
    }
    with running(tmp_path / "data", **settings) as installation:
        send_everything(installation, plants, leaks)
        tell(installation, slack_receiver, own_mail_server[0])
        look_at_messages(leaks, slack_receiver, own_mail_server[0])
        look_at_answers(installation, leaks)
        look_at_tables(installation, leaks)
        look_at_the_lake(installation, leaks, sum(counts(installation).values()))
    leaks.look("the log", installation.output.read_text())
    for log in installation.directory.rglob("*.log"):
        leaks.look("Postgres' log", log.read_text(errors="replace"))
    assert not leaks.found, f"{len(leaks.found)} leaks:\n" + "\n".join(sorted(set(leaks.found)))
    assert leaks.looked_at.keys() >= PLACES_LOOKED_AT
    assert all(leaks.looked_at[place] > 100 for place in PLACES_LOOKED_AT)


def send_everything(installation: Running, plants: list[Planted], leaks: Leaks) -> None:
    """Through every door; once more while Postgres is away, so that the API spools; and wait until all is stored."""
    entrance = Entrance(installation)
    through_the_api(entrance, plants)
    failures = through_meshhook(installation, plants)
    leaks.look("the client's output", through_the_client(installation))
    with postgres_away(installation):
        entrance.send_arrays("spooled array", plants)
        entrance.send_envelopes("spooled envelope", plants[::5])
        entrance.send_logs("spooled OTLP", plants)
        leaks.look("the spool", spooled(installation))
    until(lambda: not spooled(installation) and installation.request("GET", "/api/channels"), 40)
    texts = sum(plant.text is not None for plant in plants)
    expected = entrance.accepted | {"client exception": texts, "client log": texts, "MeshHook": failures}
    assert_all_arrived(installation, expected | {"client message": entrance.accepted["array"]})
    leaks.look("an answer to a sender", "\n".join(entrance.answers))


def counts(installation: Running) -> dict[str, int]:
    """How many errors each door brought into Postgres."""
    with psycopg.connect(installation.info["database_url"]) as connection:
        rows = connection.execute(f"select {DOOR}, count(*) from meshhook_errors.error_metrics group by 1").fetchall()  # type: ignore[arg-type]
    return dict(rows)


def assert_all_arrived(installation: Running, expected: dict[str, int]) -> None:
    """At least `expected` by door: MeshHook's runs are told too."""
    deadline = time.monotonic() + 60
    while missing := {door: count for door, count in expected.items() if counts(installation).get(door, 0) < count}:
        log = installation.output.read_text()[-2000:]
        assert time.monotonic() < deadline, f"of {missing} only {counts(installation)}\n{log}"
        time.sleep(0.2)


def spooled(installation: Running) -> str:
    """What waits on disk."""
    files = [path for path in (installation.directory / "spool").rglob("*") if path.is_file()]
    return "".join(path.read_text(errors="replace") for path in files)


@contextmanager
def postgres_away(installation: Running) -> Iterator[None]:
    """Postgres is stopped, and who would start it again is held."""
    postmaster = installation.directory / "postgres" / "cluster" / "postmaster.pid"
    pid = int(postmaster.read_text().splitlines()[0])
    os.kill(installation.process.pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGQUIT)
        until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2], 20)
        yield
    finally:
        os.kill(installation.process.pid, signal.SIGCONT)


def tell(installation: Running, slack: Slack, mailbox: Mailbox) -> None:
    """Rules for some of the groups, five titles a message, to Slack and by mail."""
    channels = [
        installation.request("POST", "/api/channels", body)["id"]
        for body in (
            {"name": "team", "kind": "slack", "webhook_url": slack.url},
            {"name": "on call", "kind": "email", "to": ["oncall@example.test"]},
        )
    ]
    with psycopg.connect(installation.info["database_url"]) as connection:
        rows = connection.execute(
            "select fingerprint from meshhook_errors.error_groups where title <> 'x' order by md5(fingerprint)"
        ).fetchall()
    groups = [row[0] for row in rows][:TITLES_TOLD]
    before = len(slack.bodies), len(mailbox.mails)
    rules = 0
    for start in range(0, len(groups), 5):
        rule = {
            "name": f"Rule {start}",
            "scope": {"fingerprint": groups[start : start + 5]},
            "window_seconds": 3600,
            "threshold": 1,
            "keep_firing_seconds": 3600,
            "channel_ids": channels,
        }
        installation.request("POST", "/api/alert-rules", rule)
        rules += 1
    until(lambda: (len(slack.bodies) - before[0], len(mailbox.mails) - before[1]) == (rules, rules), 40)
    assert rules == TITLES_TOLD // 5


def look_at_messages(leaks: Leaks, slack: Slack, mailbox: Mailbox) -> None:
    """What was sent to people, decoded."""
    for body in slack.bodies:
        leaks.look("Slack", json.dumps(body, ensure_ascii=False))
    for mail in mailbox.mails:
        leaks.look("mail", str(mail["Subject"]))
        for part in mail.walk():
            if part.get_content_maintype() == "text":
                leaks.look("mail", part.get_content())  # type: ignore[attr-defined]


def look_at_answers(installation: Running, leaks: Leaks) -> None:
    """Everything that the API tells of the errors."""
    cursor, seen = "", 0
    while cursor is not None:
        page = installation.request("GET", f"/api/error-events?limit=1000{cursor and f'&cursor={cursor}'}")
        seen += len(page["events"])
        leaks.look("GET /api/error-events", json.dumps(page, ensure_ascii=False))
        cursor = page["next_cursor"]
    assert seen == sum(counts(installation).values())
    for path in (
        "/api/error-metrics?interval=1d&group_by=fingerprint",
        "/api/alerts",
        "/api/alert-rules",
        "/api/channels",
    ):
        leaks.look(f"GET {path}", json.dumps(installation.request("GET", path), ensure_ascii=False))


def look_at_tables(installation: Running, leaks: Leaks) -> None:
    """Each row of each table of ours, as COPY writes it."""
    with psycopg.connect(installation.info["database_url"]) as connection:
        tables = connection.execute(
            """select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'meshhook_errors' and relkind in ('r', 'p') and not relispartition"""
        ).fetchall()
        doors = list(counts(installation))
        for door in doors:
            statement = sql.SQL("copy (select * from meshhook_errors.error_metrics where {} = {}) to stdout").format(
                sql.SQL(DOOR), door
            )
            leaks.look(f"error_metrics, {door}", _copied(connection, statement))
        for (table,) in tables:
            if table != "error_metrics":
                name = sql.Identifier("meshhook_errors", table)
                leaks.looked_at.setdefault(f"table {table}", 1)  # some stay empty
                leaks.look(
                    f"table {table}", _copied(connection, sql.SQL("copy (select * from {}) to stdout").format(name))
                )
    assert {"error_groups", "notifications", "meshhook_inbox"} <= {table for (table,) in tables}


def _copied(connection: psycopg.Connection, statement: sql.Composed) -> str:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(block) for block in copy).decode()


def look_at_the_lake(installation: Running, leaks: Leaks, errors: int) -> None:
    """Each column of each file."""
    files = f"{installation.info['lake_url']}/**/*.parquet"
    until(
        lambda: read_files(f"select count(*) from '{files.replace('**', 'errors/**', 1)}'") == [(errors,)],
        40,
    )
    for path in Path(installation.info["lake_url"]).rglob("*.parquet"):
        leaks.look("the lake's footers", path.read_bytes()[-20_000:].decode("latin-1"))
    rows = read_files(f"select t::text from read_parquet('{files}', union_by_name = true) t")
    leaks.look("the lake", "\n".join(row[0] for row in rows))
