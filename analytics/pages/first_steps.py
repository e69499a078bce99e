"""What an empty dashboard shows: how to send the first error."""

import json

import streamlit as st

from ingest.settings import settings


def first_steps() -> None:
    """Explain; the page comes alive by itself when an error arrives."""
    options = settings()
    host = options.api_url.partition("://")
    body = json.dumps({"message": "hello from curl", "source": "worker"})
    with st.container(border=True):
        st.subheader("Nothing has gone wrong yet", anchor=False)
        st.markdown(
            "Send a first error, and this page comes alive by itself. `KEY` is the ingest key that `make up` printed; "
            "it stands in `connection.json` in the data directory, and `meshhook-errors keys create` makes another."
        )
        shell, python = st.columns(2, gap="large")
        with shell:
            st.caption("From the shell")
            st.code(
                f"curl {options.api_url}/api/error-events \\\n  -H 'Authorization: Bearer KEY' \\\n  -d '{body}'",
                language="bash",
                wrap_lines=True,
            )
        with python:
            st.caption("From Python")
            st.code(
                f'from ingest import client\nclient.init("{host[0]}://KEY@{host[2]}/1")\n'
                'client.capture_message("hello from Python")',
                language="python",
                wrap_lines=True,
            )
