"""Same cause, same group; different causes apart."""

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.fingerprint import VERSION, fingerprint
from tests.ingest.fingerprint.events import Frame, frames, group
from tests.scores.grouping import TARGET, scores

NAMES = st.from_regex(r"\A[a-z]{3,12}(?:_[a-z]{3,8})?\Z")
WAYS = st.lists(NAMES, min_size=1, max_size=6, unique=True)


@settings(max_examples=40)
@given(WAYS, st.lists(st.integers(1, 100_000), min_size=6, max_size=6))
def test_lines_that_shift_never_split_a_group(way: list[str], lines: list[int]) -> None:
    shifted = [{**frame, "line": line} for frame, line in zip(frames(*way), lines, strict=False)]
    assert group(trace=frames(*way)) == group(trace=shifted)


@settings(max_examples=40)
@given(st.uuids(), st.integers(0, 10**9), st.ip_addresses(v=4), st.integers(1024, 65535), st.datetimes())
def test_ids_numbers_hosts_and_times_never_split_a_group(
    uuid: Any, number: int, address: Any, port: int, at: Any
) -> None:
    said = "run {} of order {} on {}:{} failed at {}Z after {} ms"
    at = at.replace(year=2026).isoformat(timespec="seconds")
    one = group(said.format("9f86d081-884c-4d65-a62f-ea0c55ad015a", 17, "10.0.0.1", 5432, "2026-11-24T12:00:00", 3))
    assert one == group(said.format(uuid, number, address, port, at, number))


@settings(max_examples=40)
@given(WAYS, NAMES)
def test_another_innermost_function_always_splits(way: list[str], other: str) -> None:
    if other not in way:
        assert group(trace=frames(*way)) != group(trace=frames(*way[:-1], other))


@settings(max_examples=40)
@given(NAMES, NAMES, st.booleans())
def test_another_type_always_splits(one: str, other: str, has_frames: bool) -> None:
    trace = frames("accept", "parse") if has_frames else None
    if one != other:
        assert group(kind=f"{one}Error", trace=trace) != group(kind=f"{other}Error", trace=trace)


@settings(max_examples=20)
@given(st.integers(1, 40))
def test_recursion_depth_never_splits(depth: int) -> None:
    nested = ["expression", "term", "factor"] * depth
    assert group(trace=frames("parse", *nested)) == group(trace=frames("parse", "expression", "term", "factor"))


def test_a_stack_that_overflowed_is_its_recursion() -> None:
    deep = "Maximum call stack size exceeded"
    whole = frames("main", "walk", *["visit"] * 30, file="/app/walk.js")
    cut = frames(*["visit"] * 30, file="/app/walk.js")
    assert group(deep, "RangeError", whole) == group(deep, "RangeError", cut)
    assert group("too much recursion", "InternalError", cut) == group(deep, "RangeError", cut)
    assert group(deep, "RangeError", frames(*["paint"] * 30, file="/app/walk.js")) != group(deep, "RangeError", cut)


def test_library_frames_do_not_count_beside_our_own() -> None:
    ours = frames("handler")
    library = frames("send", file="/venv/lib/python3.11/site-packages/http.py", in_app=False)
    assert group(trace=ours) == group(trace=ours + library)


def test_library_frames_are_known_by_their_place_where_nobody_marks_them() -> None:
    def unmarked(of: list[Frame]) -> list[Frame]:
        return [{name: value for name, value in frame.items() if name != "in_app"} for frame in of]

    ours = unmarked(frames("handler", file="/app/src/a.js"))
    old = unmarked(frames("next", file="/app/node_modules/express/lib/router/route.js"))
    new = unmarked(frames("processParams", file="/app/node_modules/router/index.js"))
    assert group(trace=old + ours) == group(trace=new + ours)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("/srv/releases/20261101/shop/cart.js", "/srv/releases/20261124/shop/cart.js", id="release"),
        pytest.param("/assets/app-3f2a1b9c.js", "/assets/app-99aa88bb.js", id="bundle's hash"),
        pytest.param("/assets/index-BkZ3xQ9a.js", "/assets/index-D9fKq_2z.js", id="bundle's hash of letters"),
        pytest.param("D:\\apps\\shop\\src\\cart.js", "C:\\Users\\kim\\shop\\src\\cart.js", id="drive"),
        pytest.param("http://localhost:5173/src/cart.ts?t=17", "http://localhost:5174/src/cart.ts?t=9", id="stamp"),
        pytest.param("webpack:///./src/cart.js", "webpack://shop/./src/cart.js", id="webpack"),
        pytest.param("/app/.next/server/chunks/1482.js", "/app/.next/server/chunks/907.js", id="chunk"),
        pytest.param("/home/kim/tool.py", "/home/bo/tool.py", id="home"),
    ],
)
def test_where_a_program_lies_does_not_split(one: str, other: str) -> None:
    assert group(trace=frames("render", file=one)) == group(trace=frames("render", file=other))


def test_files_of_one_name_in_two_directories_are_two() -> None:
    one, other = "/app/src/routes/invoices/+page.server.ts", "/app/src/routes/team/+page.server.ts"
    assert group(trace=frames("load", file=one)) != group(trace=frames("load", file=other))


def test_the_words_count_where_the_way_is_the_same() -> None:
    wrapper = frames("dispatch", "fail_with")
    assert group("no branch matches", trace=wrapper) != group("condition is no boolean", trace=wrapper)
    assert group("[Errno 28] x", trace=wrapper) != group("[Errno 5] x", trace=wrapper)


def test_what_an_engine_says_in_its_own_words_counts_by_its_names() -> None:
    way = frames("formatPrice", file="/src/price.js")
    chrome = group("Cannot read properties of undefined (reading 'currency')", "TypeError", way)
    assert chrome == group('can\'t access property "currency", item is undefined', "TypeError", way)
    assert chrome == group("undefined is not an object (evaluating 'e.currency')", "TypeError", way)
    assert chrome != group("Cannot read properties of undefined (reading 'price')", "TypeError", way)


def test_what_only_a_browser_words_counts_by_its_type() -> None:
    way = frames("saveDraft", file="/src/draft.js")
    chrome = "Failed to execute 'setItem' on 'Storage': Setting the value of 'draft' exceeded the quota."
    assert group(chrome, "QuotaExceededError", way) == group("The quota has been exceeded.", "QuotaExceededError", way)
    assert group(chrome, "QuotaExceededError", way) != group(chrome, "SecurityError", way)


def test_minified_functions_leave_the_words_to_tell() -> None:
    def built(name: str, message: str) -> str:
        return group(message, "TypeError", frames(name, file="https://x.example/app.3f9c2b71.js", in_app=False))

    assert built("t", "x.map is not a function") == built("n", "y.map is not a function")
    assert built("t", "x.map is not a function") != built("t", "x.filter is not a function")


def test_source_node_status_and_code_count() -> None:
    told = (
        group(),
        group(source="webhook"),
        group(node="charge"),
        group(http_status=502),
        group(http_status=404),
        group(code="ECONNRESET"),
    )
    assert len(set(told)) == len(told)


def test_what_an_error_came_from_counts() -> None:
    def caused(kind: str, value: str) -> str:
        return group("sync failed", causes=[{"type": kind, "value": value, "relation": "cause"}])

    assert caused("TimeoutError", "after 3 s") == caused("TimeoutError", "after 17 s")
    assert len({group("sync failed"), caused("TimeoutError", "after 3 s"), caused("KeyError", "'a'")}) == 3


def test_an_exception_s_name_before_its_message_is_not_said_twice() -> None:
    exception = {"type": "KeyError", "value": "'sku'"}
    bare = fingerprint("worker", {"message": "'sku'", "exception": exception}, "t")
    assert bare == fingerprint("worker", {"message": "KeyError: 'sku'", "exception": exception}, "t")
    assert bare == fingerprint("worker", {"exception": exception}, "t")


STACKS = {
    "python": 'Traceback (most recent call last):\n  File "/app/a.py", line {}, in run\n    x()\n'
    '  File "/app/b.py", line {}, in {}\n    y()\nValueError: boom',
    "node": "Error: boom\n    at {2} (/app/src/b.js:{0}:7)\n    at run (/app/src/a.js:{1}:3)",
    "jvm": "java.lang.RuntimeException: boom\n\tat com.acme.B.{2}(B.java:{0})\n\tat com.acme.A.run(A.java:{1})",
    "go": "panic: boom\n\ngoroutine {0} [running]:\ngithub.com/acme/b.{2}(0xc00012e000)\n\t/src/b/b.go:{1} +0x1d1\n",
    "ruby": "boom\napp/b.rb:{0}:in `{2}'\nfrom app/a.rb:{1}:in `run'",
    "php": "boom\n#0 /app/b.php({0}): App\\B->{2}('x')\n#1 /app/a.php({1}): run()",
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_stack_that_came_as_text_is_as_good_as_frames(stack: str) -> None:
    def told(one: int, other: int, function: str) -> str:
        return fingerprint("worker", {"message": "boom", "stack": stack.format(one, other, function)}, "boom")

    assert told(1, 2, "charge") == told(17, 99, "charge")
    assert told(1, 2, "charge") != told(1, 2, "refund")


def test_a_key_names_its_version() -> None:
    version, digest = group().split("-")
    assert (version, VERSION, len(bytes.fromhex(digest))) == ("2", 2, 8)


GOLDEN = {
    "plain": "2-0f83d9ba50034888",
    "frames": "2-28d701720fc614dc",
    "caused": "2-9a4378ff79cb8577",
}


def golden() -> dict[str, str]:
    return {
        "plain": group("user 17 not found", "LookupError", source="webhook", node="find"),
        "frames": group("HTTP 502", "Error", frames("runStep", "throwForStatus", file="/app/src/steps/http-call.js")),
        "caused": group("sync failed", causes=[{"type": "TimeoutError", "module": "builtins", "value": "after 3 s"}]),
    }


def test_version_2_gives_the_keys_that_it_always_gave() -> None:
    assert golden() == GOLDEN


def test_every_process_gives_the_same_keys() -> None:
    script = "from tests.ingest.fingerprint.test_grouping import golden; print(golden())"
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert told == [str(golden())] * 2


def test_both_halves_of_the_labelled_pairs_are_grouped_as_people_do() -> None:
    assert [score for score in scores() if score.target == TARGET and not score.is_met] == []
