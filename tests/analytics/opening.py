"""Pages as Streamlit's own test runner opens them. What they need stands in the fixture `configured`."""

from uuid import UUID

from streamlit.testing.v1 import AppTest

from analytics.accounts import User, create_user
from ingest.database import Connection


def user(connection: Connection, name: str = "ann") -> User:
    """Somebody who may sign in."""
    create_user(connection, name, "correct horse battery")
    row = connection.execute("select id from users where name = %s", (name,)).fetchone()
    assert row is not None
    return User(UUID(str(row[0])), name)


def opened(page: str, /, *, by: User | None = None, **parameters: str | list[str]) -> AppTest:
    """The page, with these parameters in its address; `by` is who is signed in, which the frame around it finds out."""
    test = AppTest.from_string(f"from analytics.pages import {page}\n{page}.page()", default_timeout=20)
    if by is not None:
        test.session_state["signed_in"] = by
    for name, value in parameters.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception, test.exception
    return test


def text_of(test: AppTest) -> str:
    """What stands on the page, but for its controls and messages."""
    html = [element.proto.body for element in test.get("html")]
    return " ".join(
        [*html, *(element.value for element in (*test.markdown, *test.caption, *test.subheader, *test.title))]
    )


def figures(test: AppTest) -> dict[str, str]:
    """The numbers at the top of the overview, by their labels."""
    return {metric.label: metric.value for metric in test.metric}
