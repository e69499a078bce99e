"""The dashboard's entry: navigation and who is signed in, nothing else."""

import streamlit as st

from analytics.pages import chrome, classification, connect, errors, history, overview, sql, thresholds

st.set_page_config(page_title="MeshHook Errors", page_icon=chrome.ICON, layout="wide")
pages = [
    st.Page(overview.page, title="Overview", url_path="overview", default=True),
    st.Page(errors.page, title="Errors", url_path="errors"),
    st.Page(history.page, title="History", url_path="history"),
    st.Page(sql.page, title="SQL", url_path="sql"),
    st.Page(thresholds.page, title="Thresholds", url_path="thresholds"),
    st.Page(classification.page, title="Classification", url_path="classification"),
    st.Page(connect.page, title="Connect", url_path="connect"),
]
current = st.navigation(pages, position="hidden")
chrome.frame(pages)
current.run()
