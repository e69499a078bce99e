"""What an empty dashboard shows: how to send the first error."""

import streamlit as st

from analytics.pages.connect import address_of
from analytics.pages.snippets import first_snippets
from ingest.keys import dsn_of
from ingest.projects import DEFAULT
from ingest.settings import settings


def first_steps() -> None:
    """Explain; the page comes alive by itself when an error arrives."""
    api_url = settings().api_url
    address = address_of(DEFAULT)
    key = address.key if address else "KEY"
    with st.container(border=True):
        st.subheader("Nothing has gone wrong yet", anchor=False)
        says = "Send a first error, and this page comes alive by itself. *Connect* shows more ways."
        if address is None:
            says += " `KEY` is a key that may send: `meshhook-errors keys create NAME` makes one."
        st.markdown(says)
        for column, snippet in zip(
            st.columns(2, gap="large"), first_snippets(api_url, key, dsn_of(api_url, key)), strict=True
        ):
            with column:
                st.caption(snippet.label)
                st.code(snippet.text, language=snippet.language, wrap_lines=True)
