"""The sign-in: nothing of the dashboard can be reached without one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit.runtime import Runtime

from analytics.accounts import (
    COOKIE,
    SESSION_LENGTH,
    begin_session,
    change_password,
    check_password,
    create_user,
    end_session,
    user_of_session,
)
from analytics.exceptions import BadRequest
from ingest.database import Connection
from ingest.settings import Settings
from jobs.dashboard import create_app

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(connection: Connection, database_url: str, clock: Clock) -> Iterator[TestClient]:
    create_user(connection, "admin", PASSWORD)
    app = create_app(Settings(database_url=database_url), clock)  # type: ignore[arg-type]
    with TestClient(app, follow_redirects=False) as client:
        yield client
    Runtime._instance = None  # Streamlit allows one in a process, and each test starts its own


def sign_in(browser: TestClient, password: str = PASSWORD, **options: str) -> tuple[int, str]:
    url = f"/sign-in?next={options.pop('target', '/')}"
    answer = browser.post(url, data={"name": "admin", "password": password}, headers=options)
    return answer.status_code, answer.headers.get("location", "")


@pytest.mark.parametrize(
    "path", ["/", "/history?severity=high", "/static/index.js", "/_stcore/host-config", "/_stcore/message"]
)
def test_without_a_session_everything_leads_to_the_sign_in(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")


def test_the_page_s_socket_is_closed_without_a_session(browser: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/_stcore/stream"):
        pass


def test_name_and_password_open_the_page(browser: TestClient) -> None:
    assert sign_in(browser, target="/history%3Fseverity%3Dhigh") == (303, "/history?severity=high")
    assert browser.get("/").status_code == 200
    cookie = browser.cookies.jar._cookies["testserver.local"]["/"][COOKIE]  # type: ignore[attr-defined]
    assert "HttpOnly" in cookie._rest


def test_a_wrong_password_opens_nothing(browser: TestClient) -> None:
    assert sign_in(browser, "wrong")[0] == 401
    assert browser.get("/").status_code == 303


def test_a_name_that_nobody_can_have_is_a_wrong_one(browser: TestClient) -> None:
    assert browser.post("/sign-in", data={"name": "a\0b", "password": PASSWORD}).status_code == 401


def test_guessing_is_slowed_down(browser: TestClient) -> None:
    assert [sign_in(browser, f"guess {number}")[0] for number in range(6)] == [401] * 5 + [429]
    assert sign_in(browser)[0] == 429


def test_many_guesses_at_once_are_slowed_down_too(browser: TestClient) -> None:
    with ThreadPoolExecutor(12) as guessers:
        statuses = list(guessers.map(lambda number: sign_in(browser, f"guess {number}")[0], range(12)))
    assert statuses.count(401) == 5


def test_signing_in_often_is_no_guessing(browser: TestClient) -> None:
    assert [sign_in(browser)[0] for _ in range(8)] == [303] * 8


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/%5Cevil.example", "javascript:x"])
def test_the_sign_in_leads_to_no_other_site(browser: TestClient, target: str) -> None:
    assert sign_in(browser, target=target) == (303, "/")


def test_a_form_from_another_site_is_refused(browser: TestClient) -> None:
    assert sign_in(browser, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert sign_in(browser, Origin="https://evil.example")[0] == 403


def test_signing_out_ends_the_session(browser: TestClient) -> None:
    sign_in(browser)
    token = browser.cookies[COOKIE]
    assert browser.get("/sign-out").status_code == 200
    assert browser.post("/sign-out").status_code == 303
    browser.cookies.set(COOKIE, token)
    assert browser.get("/").status_code == 303


def test_an_open_page_ends_with_its_session(browser: TestClient) -> None:
    sign_in(browser)
    with browser.websocket_connect("/_stcore/stream") as socket:
        assert browser.post("/sign-out").status_code == 303
        socket.send_bytes(b"")
        with pytest.raises(WebSocketDisconnect) as end:
            while True:
                socket.receive_bytes()
    assert end.value.code == 1008


def test_a_session_ends_by_itself(browser: TestClient, connection: Connection, clock: Clock) -> None:
    user = check_password(connection, "admin", PASSWORD)
    assert user is not None
    token = begin_session(connection, user, NOW)
    clock.now = NOW + SESSION_LENGTH + timedelta(seconds=1)
    browser.cookies.set(COOKIE, token)
    assert browser.get("/").status_code == 303


def test_health_needs_no_sign_in(browser: TestClient) -> None:
    assert browser.get("/_stcore/health").status_code == 200


def test_a_new_password_ends_the_sessions_of_the_old_one(connection: Connection) -> None:
    create_user(connection, "admin", PASSWORD)
    user = check_password(connection, "admin", PASSWORD)
    assert user is not None
    token = begin_session(connection, user, NOW)
    change_password(connection, "admin", "another horse battery")
    assert user_of_session(connection, token, NOW) is None
    assert check_password(connection, "admin", PASSWORD) is None
    assert check_password(connection, "admin", "another horse battery") == user


def test_a_user_who_is_known_keeps_the_password(connection: Connection) -> None:
    create_user(connection, "admin", PASSWORD)
    create_user(connection, "admin", "another horse battery")
    assert check_password(connection, "admin", PASSWORD) is not None


def test_accounts_keep_no_password_and_no_token(connection: Connection) -> None:
    create_user(connection, "admin", PASSWORD)
    user = check_password(connection, "admin", PASSWORD)
    assert user is not None
    token = begin_session(connection, user, NOW)
    kept = str(connection.execute("select u::text, s::text from users u, sessions s").fetchall())
    assert PASSWORD not in kept
    assert token not in kept
    assert user_of_session(connection, token, NOW) == user
    end_session(connection, token)
    assert user_of_session(connection, token, NOW) is None
    assert check_password(connection, "nobody", PASSWORD) is None
    with pytest.raises(BadRequest, match="at least 10"):
        create_user(connection, "weak", "short")
