"""A tab of the system's browser on a dashboard that runs, with its sign-in or without."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, WebSocketRoute, sync_playwright

from analytics.accounts import create_user
from ingest.database import Connection
from tests import browser as system_browser
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
START_SECONDS = 60_000
OPEN = ("-m", "streamlit", "run", "app.py", "--server.address=127.0.0.1")  # without its sign-in
SIGNED_IN = ("-P", "-m", "jobs.cli", "app")


@contextmanager
def tab(command: Sequence[str], database_url: str, lake_dir: Path) -> Iterator[Page]:
    """A tab; its addresses begin at the dashboard, which is one of the commands above."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "LAKE_URL": str(lake_dir),
        "MESHHOOK_ERRORS_APP_PORT": str(port),
    }
    arguments = [sys.executable, *command, *([f"--server.port={port}"] if command is OPEN else [])]
    path = system_browser.find()
    assert path, "no browser: `make test` finds or installs one"
    server = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert server.stdout is not None
        assert any(f"127.0.0.1:{port}" in line for line in server.stdout), "the dashboard didn't start"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=system_browser.FLAGS)
            context = browser.new_context(base_url=f"http://127.0.0.1:{port}", viewport={"width": 1440, "height": 900})
            yield context.new_page()
            browser.close()
    finally:
        server.terminate()
        server.wait()


@contextmanager
def signed_in_tab(connection: Connection, database_url: str, lake_dir: Path, path: str) -> Iterator[Page]:
    """A tab at `path` of the dashboard as it really runs, with Ann signed in."""
    create_user(connection, "ann", PASSWORD)
    with tab(SIGNED_IN, database_url, lake_dir) as page:
        page.goto(f"/sign-in?next={path}")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        yield page


class HeldAnswers:
    """What the dashboard sends to a tab, which can be held back as a slow network does. To be made before the tab opens
    its page."""

    def __init__(self, page: Page) -> None:
        self._held: list[str | bytes] | None = None
        self._tab: WebSocketRoute
        page.route_web_socket(re.compile(""), self._between)

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for answer in held:
            self._tab.send(answer)

    def _between(self, tab: WebSocketRoute) -> None:
        self._tab, server = tab, tab.connect_to_server()
        server.on_message(self._deliver)

    def _deliver(self, answer: str | bytes) -> None:
        if self._held is None:
            self._tab.send(answer)
        else:
            self._held.append(answer)
