"""Pages as Streamlit's own test runner opens them. What they need stands in the fixture `configured`."""

from streamlit.testing.v1 import AppTest


def opened(page: str, **parameters: str | list[str]) -> AppTest:
    """The page, with these parameters in its address."""
    test = AppTest.from_string(f"from analytics.pages import {page}\n{page}.page()", default_timeout=20)
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
