"""What of a message varies, and what is telling."""

import time
from pathlib import Path
from typing import Any

import pytest

from ingest.fingerprint import fingerprint
from ingest.fingerprint.templates import template
from tests.tables import grouping

PAGE = Path(__file__).parents[3] / "docs" / "grouping.md"


@pytest.mark.parametrize(
    ("one", "other"), [row[1:] for row in grouping.VARIES], ids=[row[0] for row in grouping.VARIES]
)
def test_what_varies_is_not_seen(one: str, other: str) -> None:
    assert template(one) == template(other)


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in grouping.TELLS], ids=[row[0] for row in grouping.TELLS])
def test_what_is_telling_is_seen(one: str, other: str) -> None:
    assert template(one) != template(other)


@pytest.mark.parametrize("table", [grouping.varies, grouping.tells])
def test_the_page_says_what_the_code_does(table: object) -> None:
    assert callable(table)
    assert "\n".join(table()) in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Key (number)=(A-17) already exists", "Key (number)=(B 9) already exists", id="key of a row"),
        pytest.param('For input string: "12,50"', 'For input string: "customer_id"', id="a value like a name"),
        pytest.param("user 'kim_miller' is locked", "user 'bo' is locked", id="a user's name"),
        pytest.param("order total 1.234,50 > 1.000,00", "order total 12,980.00 > 5,000.00", id="formats of numbers"),
        pytest.param("Oct  2 17:44:09 a systemd[1]: x exited", "Nov 3 01:02:03 b systemd[9]: x exited", id="syslog"),
        pytest.param("1 item was rejected", "6 items were rejected", id="plural"),
        pytest.param("shapes (3,4) (5,) differ", "shapes (128,64) (9,) differ", id="shapes"),
        pytest.param("zip code 12345 unknown", "zip code 90210 unknown", id="postal code"),
        pytest.param("undefined method `x' for nil:NilClass", "undefined method 'x' for nil", id="versions of Ruby"),
        pytest.param("Undefined index: sku", 'Undefined array key "sku"', id="versions of PHP"),
    ],
)
def test_more_of_what_varies(one: str, other: str) -> None:
    assert template(one) == template(other)


def test_a_template_is_what_people_can_read() -> None:
    assert template("HTTP 502 for order 17 of 'Kim' at 10.0.0.1:80") == "HTTP 502 for order <n> of <value> at <address>"
    assert template('null value in column "currency" of relation "payments"') == (
        "null value in column ⟨currency⟩ of relation ⟨payments⟩"
    )


def test_a_mark_is_one_placeholder_with_a_hash_and_without() -> None:
    assert template("mail [masked:email:1f3a9c04] bounced") == template("mail [masked:email] bounced")


SHAPES = (
    "a", "1", "a1", "-", "a-", "1-", "a1-", ".", "a.", "1.", "/", "/a", "\\", "\\a", "'", "\"", "`", "«", "'a", "a'",
    "(", "[", "{", "{\"a\":", "[{", "<", "@", "a@", "a@a.", "://", "a://", ":", "a:", "1:", "::", "ab:", "=", "a=",
    "\n", "\nat a(", "\n  File \"", "a\n", " ", "  ", " a", "0x", "e1", "E1", "A-1", "_", "a_", "a_1", "%(a)s, ", "?, ",
    "$1, ", "1, ", "<n> ", "é", "\u2028", "status ", "error: ", "code: ", "HTTP ", "Cannot read property ", "a.a.a",
    "undefined method `", "panicked at '", "Index: 1, ", "$$Lambda", "input_value=", "[masked:", "client: ", "PT1H",
    "is not a function. (In ", "JSON.parse: ", "1h", "request id: ", "a.csv", "1 validation error for ",
)  # fmt: skip


def _whole(shape: str, size: int) -> dict[str, Any]:
    """An event that has a hostile text wherever one is looked at."""
    text = (shape * size)[:size]
    frame = {"file": text[:2000], "function": text[:2000], "module": text[:2000], "in_app": True}
    return {"exception": {"type": text, "module": text, "value": text}, "frames": [frame] * 50, "causes": [frame] * 50}


@pytest.mark.timeout(60)  # all together take some seconds; what isn't linear in one of them takes minutes
@pytest.mark.parametrize("is_stack", [False, True], ids=["frames", "stack"])
def test_hostile_events_are_bounded(is_stack: bool) -> None:
    size = 256 * 1024
    for shape in SHAPES:
        metadata = _whole(shape, size)
        if is_stack:
            metadata |= {"frames": [], "stack": "\n" + (shape * size)[:size], "message": "boom"}
        assert fingerprint("worker", metadata, "t").startswith("2-"), repr(shape)


def _lasts(text: str) -> float:
    """Seconds of processor time: others may be at work on the machine."""
    began = time.thread_time()
    template.__wrapped__(text)
    return time.thread_time() - began


@pytest.mark.parametrize("end", ["", "!", "\0"])
def test_hostile_texts_are_bounded(end: str) -> None:
    size = 256 * 1024
    plain = min(_lasts(("order 17 of 'Kim' failed at 10.0.0.1 " * size)[:size]) for _ in range(3))
    for shape in SHAPES:
        text = (shape * size)[:size] + end
        lasted = min(_lasts(text) for _ in range(3))
        assert lasted < max(40 * plain, 0.05), f"{shape!r}: {lasted:.4f} s, a plain one {plain:.4f} s"
