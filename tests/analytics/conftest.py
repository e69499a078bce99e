"""The settings that pages read, for the test's own database and lake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from analytics.pages.chrome import store
from ingest.settings import settings


@pytest.fixture
def configured(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("LAKE_URL", str(tmp_path / "lake"))
    monkeypatch.setenv("MESHHOOK_ERRORS_SECRET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    settings.cache_clear()
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    store().close()
    st.cache_resource.clear()
    settings.cache_clear()
