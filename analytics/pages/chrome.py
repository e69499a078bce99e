"""What stands around every page: the bar at the top, the look, and where the data comes from."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from analytics.accounts import COOKIE, User, user_of_session
from analytics.charts import SEVERITY_COLOURS, Mode
from analytics.names import Names, names
from analytics.store import Store
from ingest.exceptions import StoreUnavailable
from ingest.settings import settings

ICON = ":material/monitoring:"
INKS: dict[Mode, dict[str, str]] = {
    "light": {"line": "#dfe4e8", "accent": "#2b5f8a", "soft": "#566270", "good": "#1f7a4a"},
    "dark": {"line": "#2d3640", "accent": "#7fb2dd", "soft": "#9aa6b2", "good": "#5fbf8a"},
}

_LOOK = """<style>
[data-testid="stHeader"] { display: none; }
[data-testid="stMainBlockContainer"] { padding: 1.1rem 2rem 3rem; max-width: 1500px; }
[data-testid="stStatusWidget"], [data-testid="stDecoration"] { display: none; }
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
[data-testid="stMetric"] { padding: 0.2rem 0; }
[data-testid="stMetricLabel"] p { font-size: 0.82rem; opacity: 0.75; }
[data-testid="stMetricValue"] { font-variant-numeric: tabular-nums; }
.st-key-bar { border-bottom: 1px solid var(--mh-line); padding-bottom: 0.55rem; margin-bottom: 0.5rem; }
.mh-mark { font-weight: 680; font-size: 1.05rem; letter-spacing: -0.01em; white-space: nowrap; }
.mh-mark span { color: var(--mh-high); }
.mh-who { font-size: 0.85rem; opacity: 0.8; white-space: nowrap; text-align: right; }
.mh-who a { color: inherit; }
.mh-table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 0.88rem; }
.mh-table th { text-align: left; font-weight: 500; opacity: 0.65; font-size: 0.78rem;
  padding: 0.2rem 0.5rem 0.35rem 0; }
.mh-table td { padding: 0.36rem 0.5rem 0.36rem 0; border-top: 1px solid var(--mh-line); vertical-align: top;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mh-table .num { text-align: right; font-variant-numeric: tabular-nums; padding-right: 0.9rem; }
.mh-table a { color: inherit; text-decoration: none; }
.mh-table a:hover { text-decoration: underline; }
.mh-dim { opacity: 0.65; }
.mh-sev { display: inline-block; width: 0.62rem; height: 0.62rem; border-radius: 2px; margin-right: 0.45rem; }
.mh-live { font-size: 0.8rem; opacity: 0.75; white-space: nowrap; }
.mh-live i { display: inline-block; width: 0.5rem; height: 0.5rem; border-radius: 50%; background: #2f9e62;
  margin-right: 0.4rem; }
.mh-code { font-family: var(--st-code-font, monospace); font-size: 0.82rem; overflow-wrap: anywhere; }
.mh-frame { border-left: 3px solid var(--mh-line); padding: 0.25rem 0 0.25rem 0.7rem; margin: 0.35rem 0; }
.mh-frame.app { border-left-color: var(--mh-accent); }
.mh-raised { margin: 0 0 0.4rem; font-size: 0.9rem; }
.mh-source { margin-top: 0.25rem; font-family: var(--st-code-font, monospace); font-size: 0.8rem; overflow-x: auto; }
.mh-source > div { white-space: pre; padding: 0.05rem 0.4rem; opacity: 0.7; }
.mh-source > .mh-here { background: color-mix(in srgb, var(--mh-accent) 16%, transparent); opacity: 1; }
.mh-line { display: inline-block; min-width: 2.4rem; padding-right: 0.7rem; text-align: right; opacity: 0.55;
  user-select: none; }
.mh-fold { margin: 0.35rem 0; font-size: 0.82rem; } .mh-fold summary { cursor: pointer; opacity: 0.65; }
.mh-chips { display: flex; flex-wrap: wrap; gap: 0.35rem; }
.mh-chip { border: 1px solid var(--mh-line); border-radius: 999px; padding: 0.08rem 0.6rem; font-size: 0.8rem;
  overflow-wrap: anywhere; }
.mh-facts { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; font-size: 0.88rem;
  margin: 0 !important; padding: 0 !important; }
.mh-facts dt { opacity: 0.65; } .mh-facts dd { margin: 0; overflow-wrap: anywhere; }
[data-testid="stLayoutWrapper"]:has(> .st-key-in_the_url) { display: none; }
[data-testid="stCaptionContainer"] code, [data-testid="stAlert"] code { font-size: 0.92em !important; }
.mh-facts a { color: var(--mh-accent); } .mh-facts small { display: block; opacity: 0.65; font-size: 0.92em; }
.mh-fits { container-type: inline-size; }
@container (max-width: 620px) { .mh-table .mh-roomy { display: none; } }
.mh-why { width: 19.5rem; } @container (min-width: 1000px) { .mh-why { width: 36%; } }
.mh-below { margin-bottom: 1rem; } .mh-below > .mh-below { margin: 0.5rem 0 0; }
.mh-warning { font-size: 0.88rem; } .mh-warning a { color: inherit; }
.mh-warning i { display: inline-block; width: 0.5rem; height: 0.5rem;
  border-radius: 50%; background: var(--mh-medium); margin-right: 0.45rem; }
.mh-rule { font-size: 0.92rem; line-height: 1.4; } .mh-rule .mh-chip { margin-left: 0.5rem; font-size: 0.72rem; }
.mh-when { font-size: 0.82rem; opacity: 0.75; overflow-wrap: anywhere; } .mh-when i { opacity: 0.7; }
.mh-when code { font-size: 0.95em; } .mh-rule a { color: inherit; text-decoration: none; }
.mh-rule a:hover { text-decoration: underline; } .mh-rules .mh-when { display: -webkit-box; -webkit-line-clamp: 2;
  -webkit-box-orient: vertical; overflow: hidden; white-space: normal; }
.mh-reason { margin-left: 0.5rem; font-size: 0.82rem; opacity: 0.75; } .mh-rules .mh-rule { white-space: normal; }
.mh-preview { font-size: 0.92rem; } .mh-preview b { font-size: 1.25rem; }
[class*="st-key-rule_row_"] { border-top: 1px solid var(--mh-line); padding-top: 0.5rem; }
[class*="st-key-rule_row_"] [class*="st-key-on_"] label { padding-top: 0; }
[class*="st-key-about_"] { flex-wrap: nowrap; }
[class*="st-key-on_"] { align-self: center; } [class*="st-key-on_"] label { padding-top: 0.35rem; }
@media (max-width: 1000px) { [class*="st-key-lists"] > [data-testid="stHorizontalBlock"],
  [class*="st-key-lists"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  [class*="st-key-lists"] > * [data-testid="stColumn"] { min-width: 100%; } }
.mh-refused { border-left: 3px solid var(--mh-high); padding: 0.5rem 0.8rem; font-size: 0.92rem;
  background: color-mix(in srgb, var(--mh-high) 9%, transparent); overflow-wrap: anywhere; }
.st-key-sql_text textarea { font-family: var(--st-code-font, monospace); font-size: 0.85rem; line-height: 1.5;
  tab-size: 2; }
@media (max-width: 900px) { [data-testid="stMainBlockContainer"] { padding: 0.8rem 1rem 2rem; }
  .st-key-bar { column-gap: 0.3rem; } }
</style>"""


@st.cache_resource
def store() -> Store:
    """Postgres and the lake, shared by all sessions of this process."""
    options = settings()
    return Store(options.database_url.get_secret_value(), options.lake_dir, application="dashboard")


@st.cache_data(ttl=15, show_spinner=False)
def known_names() -> Names:
    """What projects and workflows are called, looked up every 15 seconds."""
    with store().connection() as connection:
        return names(connection)


def mode() -> Mode:
    """Whether the reader's page is light or dark."""
    return "dark" if st.context.theme.type == "dark" else "light"


def zone() -> str:
    """The reader's time zone."""
    name = st.context.timezone or "UTC"
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"


@st.cache_data(ttl=10, show_spinner=False)
def _user_of(token: str) -> User | None:
    with store().connection() as connection:
        return user_of_session(connection, token, datetime.now(UTC))


def _remember_who_is_signed_in() -> None:
    token = st.context.cookies.get(COOKIE)
    with suppress(StoreUnavailable):  # the page says so; who it was is still known
        st.session_state["signed_in"] = _user_of(token) if token else None


def signed_in() -> User | None:
    """Who looks at the page. Nobody, and so nobody who may change anything, where it stands without its sign-in."""
    user: User | None = st.session_state.get("signed_in")
    return user


def who() -> str:
    """Whoever is signed in, for the record of a change."""
    user = signed_in()
    return "the dashboard" if user is None else user.name


def frame(pages: Sequence[Any]) -> None:
    """The bar at the top. Who is signed in is known from here on."""
    _remember_who_is_signed_in()
    colours = SEVERITY_COLOURS[mode()]
    inks = {**INKS[mode()], "high": colours["high"], "medium": colours["medium"]}
    variables = " ".join(f"--mh-{name}: {colour};" for name, colour in inks.items())
    st.html(f"{_LOOK}<style>:root {{ {variables} }}</style>")
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="medium"):
        st.html('<div class="mh-mark">MeshHook <span>Errors</span></div>', width="content")
        for page in pages:
            st.page_link(page, label=page.title, width="content")
        user = signed_in()
        name = f"<bdi>{escape(user.name)}</bdi> · " if user else ""
        st.html(f'<div class="mh-who">{name}<a href="/sign-out" target="_self">Sign out</a></div>')


def severity_mark(severity: str) -> str:
    """A small square in the severity's colour; the word itself stands beside it or in the title."""
    colour = SEVERITY_COLOURS[mode()].get(severity, "#888888")
    return f'<span class="mh-sev" style="background:{colour}" title="{escape(severity)}"></span>'
