"""Delivery against real servers: nothing lost, nothing out of order, no secret told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiosmtpd.controller import Controller

from analytics.alert_store import create_channel
from analytics.rules import ChannelDraft
from ingest.database import Connection, connect
from ingest.exceptions import StoreUnavailable
from ingest.settings import Settings
from ingest.vault import Vault
from jobs.delivery.email import MailTransport, html_text
from jobs.delivery.message import Message
from jobs.delivery.outbox import Outbox
from jobs.delivery.slack import SlackTransport, attachment
from jobs.delivery.transport import Destination, PassingFailure, Transport
from tests.ports import free_port
from tests.servers import Mailbox, Slack, slack_server

VAULT = Vault("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
HOSTILE = '<script>alert("x")</script> & *bold* _it_ ' + "y" * 5000


@pytest.fixture
def slack() -> Iterator[Slack]:
    with slack_server() as server:
        yield server


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Settings]]:
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    options = Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", smtp_from="errors@example.com")
    yield box, options
    controller.stop()


class Desk:
    """An outbox with a clock that the test turns."""

    def __init__(self, database_url: str, options: Settings | None = None) -> None:
        self.ahead = timedelta()
        transports = {"slack": SlackTransport(), "email": MailTransport(options or Settings())}
        self.outbox = Outbox(lambda: connect(database_url, "delivery"), transports, VAULT, self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def deliver(self) -> int:
        leased = self.outbox.deliver_due()
        while self.outbox._workers._work_queue.qsize():
            time.sleep(0.01)
        return leased


@pytest.fixture
def desk(database_url: str, mailbox: tuple[Mailbox, Settings]) -> Iterator[Desk]:
    desk = Desk(database_url, mailbox[1])
    yield desk
    desk.outbox.close()


def message(kind: str = "firing", **facts: Any) -> dict[str, Any]:
    moment = "2026-11-24T12:00:00+00:00"
    return {
        "kind": kind,
        "rule_name": "Webhook errors",
        "value": 42,
        "threshold": 20,
        "window_seconds": 300,
        "since": moment,
        "fired_at": moment,
        "resolved_at": "2026-11-24T12:10:00+00:00" if kind == "resolved" else None,
        "scope": {"source": ["webhook"]},
        "top_groups": [{"fingerprint": "f", "title": "HTTP 502", "errors": 40}],
        "series": [[moment, 3], [moment, 40]],
        "links": {"overview": "http://app.example/?range=1h&source=webhook", "history": "http://app.example/history"},
    } | facts


def channel(connection: Connection, kind: str, name: str | None = None, url: str = "") -> UUID:
    draft = (
        ChannelDraft(name=name or kind, kind="slack", webhook_url=url)
        if kind == "slack"
        else ChannelDraft(name=name or kind, kind="email", to=("ops@example.com", "boss@example.com"))
    )
    return create_channel(connection, draft, VAULT).id


def enqueue(connection: Connection, channel_id: UUID, kind: str = "firing", alert: UUID | None = None) -> UUID:
    alert_id = alert or uuid4()
    connection.execute(
        """insert into alerts (id, rule_name, rule, started_at, fired_at) values (%s, 'r', '{}', now(), now())
        on conflict do nothing""",
        (alert_id,),
    )
    connection.execute(
        """insert into notifications (alert_id, channel_id, channel_name, kind, dedup_key, message)
        values (%s, %s, 'c', %s, %s, %s)""",
        (alert_id, channel_id, kind, f"{alert_id}:{kind}:{channel_id}", json.dumps(message(kind))),
    )
    return alert_id


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.02)


def status(connection: Connection) -> list[tuple[str, str, int]]:
    return connection.execute(  # type: ignore[return-value]
        "select kind, status, attempts from notifications order by created_at, kind"
    ).fetchall()


def test_slack_gets_the_breach_with_everything_in_it(connection: Connection, desk: Desk, slack: Slack) -> None:
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    until(lambda: status(connection) == [("firing", "delivered", 1)])
    (body,) = slack.bodies
    text = json.dumps(body)
    for expected in ("Webhook errors: 42 errors in 5 min", "20 (window 5 min)", "HTTP 502", "range=1h&source=webhook"):
        assert expected in text
    assert {block["type"] for block in body["attachments"][0]["blocks"]} == {"header", "section", "actions"}


def test_mail_gets_text_and_html_and_a_resolve_joins_its_thread(
    connection: Connection, desk: Desk, mailbox: tuple[Mailbox, Settings]
) -> None:
    mail_channel = channel(connection, "email")
    alert = enqueue(connection, mail_channel)
    enqueue(connection, mail_channel, "resolved", alert)
    desk.deliver()
    until(lambda: len(mailbox[0].mails) == 1)
    until(lambda: status(connection)[0][1] == "delivered")
    desk.deliver()
    until(lambda: len(mailbox[0].mails) == 2)
    firing, resolved = mailbox[0].mails
    assert firing["Subject"] == "[firing] Webhook errors: 42 errors in 5 min"
    assert firing["To"] == "ops@example.com, boss@example.com"
    assert resolved["Subject"] == "[resolved] Webhook errors: resolved after 10 min"
    assert resolved["In-Reply-To"] == firing["Message-ID"]
    assert firing.get_body(("plain",)) is not None  # type: ignore[attr-defined]
    assert "HTTP 502" in firing.get_body(("html",)).get_content()  # type: ignore[attr-defined]


def test_two_processes_deliver_once(connection: Connection, database_url: str, desk: Desk, slack: Slack) -> None:
    slack_channel = channel(connection, "slack", url=slack.url)
    for _ in range(12):
        enqueue(connection, slack_channel)
    other = Desk(database_url)
    done = threading.Event()

    def deliver(each: Desk) -> None:
        while not done.wait(0.01):
            each.deliver()

    threads = [threading.Thread(target=deliver, args=[each]) for each in (desk, other)]
    for thread in threads:
        thread.start()
    until(lambda: all(row[1:] == ("delivered", 1) for row in status(connection)))
    done.set()
    for thread in threads:
        thread.join()
    other.outbox.close()
    assert len(slack.bodies) == 12


def test_it_waits_as_long_as_slack_asks_and_keeps_every_attempt(
    connection: Connection, desk: Desk, slack: Slack
) -> None:
    slack.answers = [(429, {"Retry-After": "30"}), (500, {})]
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    until(lambda: connection.execute("select count(*) from notification_attempts").fetchone() == (1,))
    desk.ahead = timedelta(seconds=25)
    assert desk.deliver() == 0
    for seconds in (35, 45):
        desk.ahead = timedelta(seconds=seconds)
        assert desk.deliver() == 1
        until(lambda: connection.execute("select leased_until from notifications").fetchone() == (None,))
    assert status(connection) == [("firing", "delivered", 3)]
    attempts = connection.execute("select outcome from notification_attempts order by id").fetchall()
    assert attempts == [("retry",), ("retry",), ("delivered",)]


def test_a_revoked_webhook_is_given_up_and_its_address_told_nowhere(
    connection: Connection, desk: Desk, slack: Slack, capsys: pytest.CaptureFixture[str]
) -> None:
    slack.answers = [(404, {})]
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    until(lambda: status(connection) == [("firing", "failed", 1)])
    kept = str(connection.execute("select a::text, n::text from notification_attempts a, notifications n").fetchall())
    assert "404" in kept
    assert "very-secret-path" not in kept + capsys.readouterr().out
    stored = str(connection.execute("select channels::text from channels").fetchall())
    assert "very-secret-path" not in stored


@pytest.mark.parametrize("status_code", [400, 404])
def test_an_answer_that_repeats_the_address_is_not_kept(
    connection: Connection, desk: Desk, slack: Slack, status_code: int
) -> None:
    slack.answers = [(status_code, {})]
    slack.refusal = "<pre>Cannot POST /services/T0/B0/very-secret-path</pre>"
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    until(lambda: status(connection) == [("firing", "failed", 1)])
    kept = str(connection.execute("select detail from notification_attempts").fetchall())
    assert str(status_code) in kept
    assert "very-secret-path" not in kept


def test_a_page_that_it_is_led_to_is_no_delivery(connection: Connection, desk: Desk, slack: Slack) -> None:
    slack.answers = [(302, {"Location": slack.url})]
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    until(lambda: status(connection) == [("firing", "failed", 1)])


def test_an_address_that_cannot_be_used_is_told_in_no_log(slack: Slack, caplog: pytest.LogCaptureFixture) -> None:
    to = Destination("c", {}, f"{slack.url} x", "key")
    with pytest.raises(PassingFailure) as failure:
        SlackTransport().send(Message.model_validate(message()), to)
    assert "very-secret-path" not in str(failure.value) + caplog.text


def test_a_link_that_slack_would_refuse_is_left_away() -> None:
    long = message(links={"overview": "http://app.example/?" + "x" * 3000, "history": "http://app.example/history"})
    buttons = attachment(Message.model_validate(long))["blocks"][-1]["elements"]
    assert [button["url"] for button in buttons] == ["http://app.example/history"]


def test_a_server_that_is_away_is_tried_again(connection: Connection, desk: Desk) -> None:
    with slack_server() as gone:
        url = gone.url
    enqueue(connection, channel(connection, "slack", url=url))
    desk.deliver()
    until(lambda: connection.execute("select outcome from notification_attempts").fetchall() == [("retry",)])
    assert status(connection) == [("firing", "pending", 1)]


def test_a_sender_that_dies_is_replaced_after_its_lease(connection: Connection, desk: Desk, slack: Slack) -> None:
    enqueue(connection, channel(connection, "slack", url=slack.url))
    connection.execute("update notifications set lease = %s, leased_until = now() + interval '60 seconds'", (uuid4(),))
    assert desk.deliver() == 0
    desk.ahead = timedelta(seconds=61)
    desk.deliver()
    until(lambda: len(slack.bodies) == 1)


def test_a_resolve_waits_for_its_firing(connection: Connection, desk: Desk, slack: Slack) -> None:
    slack.answers = [(500, {})]
    slack_channel = channel(connection, "slack", url=slack.url)
    alert = enqueue(connection, slack_channel)
    enqueue(connection, slack_channel, "resolved", alert)
    assert desk.deliver() == 1
    until(lambda: connection.execute("select count(*) from notification_attempts").fetchone() == (1,))
    assert desk.deliver() == 0
    for _ in range(2):
        desk.ahead += timedelta(seconds=5)
        assert desk.deliver() == 1
        until(
            lambda: connection.execute("select count(*) from notifications where lease is not null").fetchone() == (0,)
        )
    assert [body["text"][:9] for body in slack.bodies] == ["[firing] ", "[resolved"]


def test_a_channel_that_hangs_delays_no_other(
    connection: Connection, desk: Desk, slack: Slack, mailbox: tuple[Mailbox, Settings]
) -> None:
    slack.delay = 2
    slack_channel = channel(connection, "slack", url=slack.url)
    for _ in range(30):
        enqueue(connection, slack_channel)
    while desk.deliver():
        pass
    enqueue(connection, channel(connection, "email"))
    desk.deliver()
    until(lambda: len(mailbox[0].mails) == 1, 1.5)
    assert slack.bodies == []


def test_what_is_being_sent_is_sent_by_nobody_else_however_long_it_takes(
    connection: Connection, database_url: str, desk: Desk, slack: Slack
) -> None:
    slack.delay = 1
    slack_channel = channel(connection, "slack", url=slack.url)
    for _ in range(6):
        enqueue(connection, slack_channel)
    other = Desk(database_url)
    desk.outbox.deliver_due()
    for ahead in (40, 80):  # longer than a lease
        for each in (desk, other):
            each.ahead = timedelta(seconds=ahead)
            each.outbox.deliver_due()
    until(lambda: desk.deliver() + other.deliver() == 0 and all(row[1] == "delivered" for row in status(connection)))
    other.outbox.close()
    assert len(slack.bodies) == 6
    assert {row[2] for row in status(connection)} == {1}


@pytest.mark.parametrize("asked", ["inf", "1e300", "nan", "-5", "0", "soon"])
def test_a_pause_that_makes_no_sense_is_replaced_by_our_own(
    connection: Connection, desk: Desk, slack: Slack, asked: str
) -> None:
    slack.answers = [(503, {"Retry-After": asked})]
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    until(lambda: connection.execute("select outcome from notification_attempts").fetchall() == [("retry",)])
    row = connection.execute("select extract(epoch from next_attempt_at - now()) from notifications").fetchone()
    assert row is not None
    assert 0.5 < row[0] <= 3600


def test_a_mistake_of_a_transport_is_an_attempt_like_any_other(connection: Connection, desk: Desk) -> None:
    class Broken(Transport):
        def send(self, message: Message, to: Destination) -> str:
            raise KeyError(to.secret)

    desk.outbox._transports = {"slack": Broken()}
    enqueue(connection, channel(connection, "slack", url="https://hooks.example/x"))
    desk.deliver()
    until(lambda: status(connection) == [("firing", "pending", 1)])
    until(
        lambda: (
            connection.execute("select outcome, detail from notification_attempts").fetchall()
            == [("retry", "It couldn't be sent (KeyError).")]
        )
    )


def test_what_was_sent_is_recorded_when_postgres_is_back(
    connection: Connection, desk: Desk, slack: Slack, database_url: str
) -> None:
    slack.delay = 0.4
    enqueue(connection, channel(connection, "slack", url=slack.url))
    desk.deliver()
    time.sleep(0.2)
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'meshhook-errors delivery'"
    )
    answers = iter([StoreUnavailable("away")])

    def away_once() -> Connection:
        for error in answers:
            raise error
        return connect(database_url, "delivery")

    desk.outbox._connect = away_once
    until(lambda: status(connection) == [("firing", "delivered", 1)])


def test_a_mail_server_that_refuses_for_good_is_not_asked_again(
    connection: Connection, desk: Desk, mailbox: tuple[Mailbox, Settings]
) -> None:
    mailbox[0].answers = ["550 no such user"]
    enqueue(connection, channel(connection, "email"))
    desk.deliver()
    until(lambda: status(connection) == [("firing", "failed", 1)])


@pytest.mark.parametrize("farewell", ["421 too busy", "500 what?"])
def test_an_accepted_mail_stays_accepted_whatever_follows(
    connection: Connection, desk: Desk, mailbox: tuple[Mailbox, Settings], farewell: str
) -> None:
    mailbox[0].farewell = farewell
    enqueue(connection, channel(connection, "email"))
    desk.deliver()
    until(lambda: connection.execute("select outcome from notification_attempts").fetchall() == [("delivered",)])
    assert len(mailbox[0].mails) == 1


def test_hostile_text_is_shown_as_text_and_within_limits() -> None:
    hostile = Message.model_validate(
        message(rule_name=HOSTILE[:100], top_groups=[{"fingerprint": "f", "title": HOSTILE, "errors": 1}])
    )
    assert "<script>" not in html_text(hostile)
    blocks = attachment(hostile)["blocks"]
    assert "<script>" not in json.dumps(blocks[1:])
    assert len(blocks[0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3000 for block in blocks if block["type"] == "section")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"signal": "count", "value": 1}, "1 error in 5 min"),
        ({"signal": "rate_per_minute", "value": 12.25}, "12.2 errors per minute over 5 min"),
        ({"signal": "error_rate_percent", "value": 12.5}, "12.5 % of executions failed in 5 min"),
        ({"signal": "error_rate_percent", "value": None}, "no known rate in 5 min"),
    ],
)
def test_the_signal_is_told_in_words(facts: dict[str, Any], says: str) -> None:
    told = Message.model_validate(message(**facts))
    assert told.what(told.value) == says


@pytest.mark.parametrize("url", ["https://hooks.example/a b", "https://hooks.example:99999/", "https://hööks.example/"])
def test_an_address_that_no_client_can_use_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="begins with https"):
        ChannelDraft(name="c", kind="slack", webhook_url=url)
