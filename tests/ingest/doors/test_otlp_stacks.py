"""Stack traces as text: of Python, of V8 and of the JVM, as these really write them."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from ingest.doors.otlp.stacks import split_name, stack_frames


def innermost() -> None:
    raise KeyError("first")


def chained() -> None:
    try:
        innermost()
    except KeyError as error:
        raise ValueError('second\n  File "no.py", line 1, in no\n') from error


def grouped() -> None:
    errors: list[Exception] = []
    for call in (innermost, chained):
        try:
            call()
        except Exception as error:  # noqa: BLE001 - collected
            errors.append(error)
    raise ExceptionGroup("several", errors)


def recursive(depth: int = 500) -> None:
    if depth == 0:
        innermost()
    recursive(depth - 1)


def after_a_group() -> None:
    try:
        grouped()
    except ExceptionGroup:
        innermost()


def raised_by(call: Callable[[], None]) -> str:
    try:
        call()
    except Exception:  # noqa: BLE001 - its text is wanted
        return traceback.format_exc()
    raise AssertionError


def functions(text: str) -> list[str]:
    return [frame["function"] for frame in stack_frames(text)]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (innermost, ["raised_by", "innermost"]),
        (chained, ["raised_by", "chained"]),
        (grouped, ["raised_by", "grouped"]),
        (after_a_group, ["raised_by", "after_a_group", "innermost"]),
    ],
)
def test_of_python_the_frames_are_those_of_what_was_raised_in_the_end(
    call: Callable[[], None], expected: list[str]
) -> None:
    text = raised_by(call)
    assert [name for name in functions(text) if name != "no"] == expected
    last = next(frame for frame in reversed(stack_frames(text)) if frame["function"] == expected[-1])
    assert last["file"] == __file__
    assert last["in_app"]
    assert last["context_line"].startswith("raise ")


def test_of_python_a_recursion_stays_short() -> None:
    frames = stack_frames(raised_by(recursive))
    assert (frames[0]["function"], frames[-1]["function"], len(frames) < 10) == ("raised_by", "innermost", True)


def test_of_too_many_frames_the_middle_goes() -> None:
    lines = "".join(f'  File "a.py", line {number}, in f{number}\n' for number in range(1_000))
    frames = stack_frames(f"Traceback (most recent call last):\n{lines}ValueError: x")
    assert [frame["line"] for frame in frames] == [*range(50), *range(950, 1_000)]


NODE = """TypeError: Cannot read properties of undefined (reading 'id')
at 10 o'clock
    at Order.total [as sum] (/srv/app/dist/order.js:17:23)
    at async file:///srv/app/deliver.mjs:3:9
    at new Client (/srv/app/node_modules/pg/lib/client.js:132:17)
    at Array.map (<anonymous>)
    at async Promise.all (index 0)
    at eval (eval at run (/srv/app/vm.js:1:1), <anonymous>:5:6)
    at C:\\app\\win.js:7:8
    at Module._compile (node:internal/modules/cjs/loader:1105:14) {
  [cause]: Error: inner
      at hidden (/srv/app/hidden.js:1:1)
}"""


def test_of_v8() -> None:
    def short(frame: dict[str, Any]) -> tuple[Any, ...]:
        return frame["function"], frame["file"], frame.get("line"), frame.get("column"), frame["in_app"]

    assert [short(frame) for frame in reversed(stack_frames(NODE))] == [
        ("Order.total [as sum]", "/srv/app/dist/order.js", 17, 23, True),
        ("<anonymous>", "/srv/app/deliver.mjs", 3, 9, True),
        ("new Client", "/srv/app/node_modules/pg/lib/client.js", 132, 17, False),
        ("Array.map", "<anonymous>", None, None, False),
        ("Promise.all", "index 0", None, None, False),
        ("eval", "<anonymous>", 5, 6, False),
        ("<anonymous>", "C:\\app\\win.js", 7, 8, True),
        ("Module._compile", "node:internal/modules/cjs/loader", 1105, 14, False),
    ]


JVM = """java.lang.IllegalStateException: no stock
at first sight (it seems)
\tat com.acme.Stock.take(Stock.java:42)
\tat com.acme.Shop$$Lambda$14/0x0000000800066840.accept(Unknown Source)
\tat com.acme.ShopKt.main(Shop.kt) ~[shop.jar:1.0]
\tat app//com.acme.Shop.<init>(Shop.java:9)
\tat java.base/jdk.internal.reflect.NativeMethodAccessorImpl.invoke0(Native Method)
\tat java.base@17.0.1/java.lang.Thread.run(Thread.java:833)
\tSuppressed: java.io.IOException: x
\t\tat com.acme.Hidden.close(Hidden.java:1)
Caused by: java.sql.SQLException: closed
\tat com.acme.Hidden.query(Hidden.java:2)
\t... 3 more
"""


def test_of_the_jvm() -> None:
    def short(frame: dict[str, Any]) -> tuple[Any, ...]:
        return frame["module"], frame["function"], frame["file"], frame.get("line"), frame["in_app"]

    assert [short(frame) for frame in reversed(stack_frames(JVM))] == [
        ("com.acme.Stock", "take", "Stock.java", 42, True),
        ("com.acme.Shop$$Lambda$14/0x0000000800066840", "accept", "Unknown Source", None, True),
        ("com.acme.ShopKt", "main", "Shop.kt", None, True),
        ("com.acme.Shop", "<init>", "Shop.java", 9, True),
        ("jdk.internal.reflect.NativeMethodAccessorImpl", "invoke0", "Native Method", None, False),
        ("java.lang.Thread", "run", "Thread.java", 833, False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:12 +0x1d",
        "   at Shop.Cart.Pay(String card) in C:\\src\\Cart.cs:line 12\n   at Shop.Main(String[] args)",
        "at the moment nothing is known: 17",
        "",
    ],
)
def test_what_has_another_form_gives_no_frames(text: str) -> None:
    assert stack_frames(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "    at " + "a(" * 2_000,
        "    at " + "a.b/" * 2_000 + "(A.java:1)",
        '  File "' + "x" * 5_000,
        "+-" * 3_000,
        ":1" * 3_000,
    ],
)
def test_hostile_texts_end(line: str) -> None:
    for text in (f"{line}\n" * 2_000, f"Traceback (most recent call last):\n{line}\n" * 2_000):
        assert len(stack_frames(text)) <= 100


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("psycopg.errors.UniqueViolation", ("psycopg.errors", "UniqueViolation")),
        ("java.util.Map$Entry", ("java.util", "Map$Entry")),
        ("builtins.KeyError", (None, "KeyError")),
        ("app.run.<locals>.Boom", ("app.run.<locals>", "Boom")),
        ("KeyError", (None, "KeyError")),
        ("*errors.errorString", (None, "*errors.errorString")),
        ("std::io::Error", (None, "std::io::Error")),
        ("Something went wrong. Again.", (None, "Something went wrong. Again.")),
        ("a." * 5_000, (None, "a." * 5_000)),
    ],
)
def test_a_dotted_name_is_split(name: str, expected: tuple[str | None, str]) -> None:
    assert split_name(name) == expected
