"""One installation for the path's tests, with a Slack-shaped receiver and a real mail server to tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import Browser, sync_playwright

from tests import browser as system_browser
from tests.end_to_end.running import Running, running
from tests.ports import free_port
from tests.servers import Mailbox, Slack, slack_server


@pytest.fixture
def slack_receiver() -> Iterator[Slack]:
    with slack_server() as server:
        yield server


@contextmanager
def _mail_server() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture(scope="session")
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    """Of the installation that tests share."""
    with _mail_server() as server:
        yield server


@pytest.fixture
def own_mail_server() -> Iterator[tuple[Mailbox, int]]:
    """Of an installation that a test has for itself: nobody else's mails come in."""
    with _mail_server() as server:
        yield server


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, mail_server: tuple[Any, int]) -> Iterator[Running]:
    settings = {
        "MESHHOOK_ERRORS_MIRROR_MAX_LAG": "1",
        "MESHHOOK_ERRORS_SMTP_HOST": "127.0.0.1",
        "MESHHOOK_ERRORS_SMTP_PORT": str(mail_server[1]),
        "MESHHOOK_ERRORS_SMTP_SECURITY": "none",
        "MESHHOOK_ERRORS_SMTP_FROM": "errors@example.com",
    }
    with running(tmp_path_factory.mktemp("path") / "data", **settings) as started:
        yield started


@pytest.fixture(scope="module")  # the library keeps an event loop running in this thread as long as it is open
def chromium() -> Iterator[Browser]:
    path = system_browser.find()
    assert path, "no browser: `make test` finds or installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=system_browser.FLAGS)
        yield browser
        browser.close()
