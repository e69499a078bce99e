"""Version 1 is frozen: groups of installations bear its keys, and version 2 continues them by what it gives."""

from typing import Any

import pytest

from ingest.fingerprint import version_1

FRAMES = [
    {"file": "/srv/app/crm.py", "line": 1, "function": "a", "in_app": True},
    {"file": "/srv/app/crm.py", "line": 2, "function": "walk", "in_app": True},
    {"file": "/srv/app/crm.py", "line": 3, "function": "walk", "in_app": True},
    {"file": "/site-packages/http.py", "function": "send", "in_app": False},
]
BUNDLED = [
    {"file": "C:\\app\\assets\\app-3f2a1b9c.js", "function": "anonymous$1"},
    {"file": "lib.js", "function": "b"},
]
ADDRESSES = "GET https://b.example/2?x=1 from 10.0.0.1:5432 at 2026-11-24T12:00:00Z failed: 0x1f, 9f86d081884c7d65"
GOLDEN: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("1-730967e716609827", "worker", {"message": "user 17 not found", "exception": {"type": "LookupError"}}, ""),
    ("1-730967e716609827", "worker", {"message": "user 90210 not found", "exception": {"type": "LookupError"}}, ""),
    ("1-0102a3a65370ebdc", "webhook", {"message": "user 17 not found", "exception": {"type": "LookupError"}}, ""),
    (
        "1-fae59fed6f301924",
        "worker",
        {"message": "Error: HTTP 502", "exception": {"type": "Error", "value": "HTTP 502"}, "node": "charge"},
        "",
    ),
    (
        "1-1a162cf424f48384",
        "worker",
        {"exception": {"type": "KeyError", "module": "builtins", "value": "'customer_id'"}},
        "KeyError: 'customer_id'",
    ),
    ("1-4434c7985f73676f", "system", {}, "Error without a message"),
    ("1-46d547854415a2e7", "system", {"message": ADDRESSES}, ""),
    (
        "1-dd3c14af56a8d579",
        "system",
        {"message": "no file /var/a/b.txt in run 9f86d081-884c-4d65-a62f-ea0c55ad015a"},
        "",
    ),
    ("1-8d5033d682dc7e21", "worker", {"message": "m", "exception": {"type": "E"}, "frames": FRAMES}, ""),
    ("1-13fabfbd872759e0", "worker", {"message": "m", "exception": {"type": "E"}, "frames": BUNDLED}, ""),
    ("1-3b2c5c3f2d48dbd3", "worker", {"message": 7, "exception": "text", "frames": "text", "node": 3}, "a title"),
    ("1-2b992e59445c5a04", "worker", {"message": "a " * 400 + "end"}, ""),
)


@pytest.mark.parametrize(("key", "source", "metadata", "title"), GOLDEN)
def test_version_1_gives_the_keys_that_it_always_gave(
    key: str, source: str, metadata: dict[str, Any], title: str
) -> None:
    assert version_1.fingerprint(source, metadata, title) == key
