"""The client: what it says of an error, and that it never raises into the code that it watches."""

import asyncio
import enum
import functools
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest

from ingest import client
from ingest.client.address import parse_address
from ingest.client.executions import Executions
from ingest.client.snapshot import new_id, plain_values
from tests.ingest.receiver import Receiver

WORKFLOW = "7f1d1c7e-0000-4000-8000-000000000001"


def fail(secret: str) -> None:
    local = f"local {secret}"
    raise KeyError(len(local))


def test_an_exception_arrives_with_type_frames_and_context(receiver: Receiver) -> None:
    try:
        fail("planted-in-a-local")
    except KeyError:
        error_id = client.capture_exception(workflow_id="w", node="createContact", attempt=2)
    (event,) = receiver.wait_for(1)
    assert (event["error_id"], event["workflow_id"], event["source"]) == (error_id, "w", "worker")
    metadata = event["metadata"]
    assert metadata["exception"] == {"type": "KeyError", "module": "builtins", "value": "24"}
    assert (metadata["node"], metadata["attempt"], metadata["release"]) == ("createContact", 2, "1.2.3")
    assert [frame["function"] for frame in metadata["frames"]] == [
        "test_an_exception_arrives_with_type_frames_and_context",
        "fail",
    ]
    last = metadata["frames"][-1]
    assert (last["file"], last["module"], last["in_app"]) == (__file__, __name__, True)
    assert last["context_line"] == "raise KeyError(len(local))"
    assert receiver.keys == {"Bearer the-key"}
    assert receiver.headers[0]["Content-Encoding"] == "gzip"


def test_the_standard_library_is_not_the_app(receiver: Receiver) -> None:
    with suppress(ValueError), client.step("parse"):
        json.loads("{")
    (event,) = receiver.wait_for(1)
    modules = {frame["module"]: frame["in_app"] for frame in event["metadata"]["frames"]}
    assert modules == {__name__: True, "json": False, "json.decoder": False}


def test_no_local_variable_is_sent(receiver: Receiver) -> None:
    try:
        fail("planted-in-a-local".upper())
    except KeyError:
        client.capture_exception()
    receiver.wait_for(1)
    assert b"PLANTED-IN-A-LOCAL" not in receiver.bodies[0][1]


def test_no_local_variable_is_kept_alive(receiver: Receiver) -> None:
    gone = []

    class Large:
        def __del__(self) -> None:
            gone.append(True)

    def hold_and_fail() -> None:
        _large = Large()
        raise ValueError

    receiver.judge = lambda _items: 503  # so that the error stays queued
    try:
        hold_and_fail()
    except ValueError:
        client.capture_exception()
    assert gone == [True]
    receiver.judge = lambda _items: 202


def test_what_caused_an_exception_comes_along(receiver: Receiver) -> None:
    try:
        try:
            fail("x")
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        client.capture_exception()
    (event,) = receiver.wait_for(1)
    assert event["message"] == "outer"
    (cause,) = event["metadata"]["causes"]
    assert (cause["type"], cause["relation"], cause["frames"][-1]["function"]) == ("KeyError", "cause", "fail")


def test_an_exception_while_handling_another_names_it_unless_suppressed(receiver: Receiver) -> None:
    for wording, suppressed in (("shown", False), ("hidden", True)):
        try:
            try:
                fail("x")
            except KeyError:
                if suppressed:
                    raise RuntimeError(wording) from None
                raise RuntimeError(wording)  # noqa: B904 - the implicit context is the point
        except RuntimeError:
            client.capture_exception()
    shown, hidden = receiver.wait_for(2)
    assert [cause["relation"] for cause in shown["metadata"]["causes"]] == ["context"]
    assert "causes" not in hidden["metadata"]


def test_the_members_of_a_group_come_along(receiver: Receiver) -> None:
    client.capture_exception(ExceptionGroup("several", [ValueError("first"), OSError("second")]))
    (event,) = receiver.wait_for(1)
    assert [(c["relation"], c["value"]) for c in event["metadata"]["causes"]] == [
        ("member", "first"),
        ("member", "second"),
    ]


def test_a_chain_that_bites_its_tail_ends(receiver: Receiver) -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    client.capture_exception(first)
    (event,) = receiver.wait_for(1)
    assert [cause["value"] for cause in event["metadata"]["causes"]] == ["second"]


def test_a_deep_recursion_is_bounded(receiver: Receiver) -> None:
    def forever(number: int) -> int:
        return forever(number + 1)

    try:
        forever(0)
    except RecursionError:
        assert client.capture_exception() is not None
    (event,) = receiver.wait_for(1)
    assert len(event["metadata"]["frames"]) == 100


def test_a_message_has_a_severity(receiver: Receiver) -> None:
    client.capture_message("full disk", "high", fingerprint=["disk", "full"])
    (event,) = receiver.wait_for(1)
    assert (event["message"], event["severity"], event["fingerprint"]) == ("full disk", "high", ["disk", "full"])


@contextmanager
def logger_with_handler() -> Iterator[logging.Logger]:
    log = logging.getLogger("app.orders")
    handler = client.ErrorHandler()
    log.addHandler(handler)
    log.propagate = False  # the test's own handlers recurse, and raise for arguments that don't fit
    yield log
    log.propagate = True
    log.removeHandler(handler)


def test_a_logged_error_arrives_and_a_warning_does_not(receiver: Receiver) -> None:
    with logger_with_handler() as log:
        log.warning("not this one")
        log.error("order %s failed", 17, extra={"workflow_id": WORKFLOW, "other": 1})
        try:
            fail("x")
        except KeyError:
            log.exception("and this one")
        log.critical("arguments that %d fit", "don't")
    first, second, third = receiver.wait_for(3)
    assert (first["message"], first["metadata"]["logger"]) == ("order 17 failed", "app.orders")
    assert first["workflow_id"] == WORKFLOW
    assert (second["message"], second["metadata"]["exception"]["type"]) == ("and this one", "KeyError")
    assert (third["message"], third["severity"]) == ("arguments that %d fit", "high")


def test_an_error_logged_while_reporting_one_does_not_recurse(receiver: Receiver) -> None:
    class Chatty(Exception):
        def __str__(self) -> str:
            log.error("asked for my text", exc_info=self)
            return "chatty"

    with logger_with_handler() as log:
        log.error("once", exc_info=Chatty())
    assert client.flush(5)
    assert receiver.messages() == ["once"]


def test_a_step_counts_executions_and_passes_the_exception_on(receiver: Receiver) -> None:
    @client.step("sync", workflow_id="w")
    def sync(number: int) -> int:
        return 1 // number

    @client.step("async", workflow_id="w")
    async def later(number: int) -> int:
        return 1 // number

    assert sync(1) == 1
    assert asyncio.run(later(1)) == 1
    with pytest.raises(ZeroDivisionError):
        asyncio.run(later(0))
    original = ValueError("the same object")
    with pytest.raises(ValueError, match="same object") as again, client.step("block", workflow_id="w"):
        raise original
    assert again.value is original
    assert client.flush(5)
    assert sorted(event["metadata"]["node"] for event in receiver.taken()) == ["async", "block"]
    assert all(event["metadata"]["handled"] is False for event in receiver.taken())
    reports = receiver.taken("/api/executions")
    assert (sum(r["finished"] for r in reports), sum(r["failed"] for r in reports)) == (4, 2)
    assert {(report["workflow_id"], report["source"]) for report in reports} == {("w", "worker")}
    assert all(UUID(report["report_id"]) for report in reports)


def test_a_coroutine_function_is_known_in_disguise(receiver: Receiver) -> None:
    class Callable:
        async def __call__(self) -> None:
            raise ValueError("in a call")

    async def add(left: int, right: int) -> None:
        raise ValueError("in a partial")

    for function in (Callable(), functools.partial(add, 1)):
        step = client.step("disguised")(function)
        with pytest.raises(ValueError, match="in a"):
            asyncio.run(step(2) if isinstance(function, functools.partial) else step())
    assert client.flush(5)
    assert receiver.messages() == ["in a call", "in a partial"]


@pytest.mark.parametrize("interruption", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_failure(receiver: Receiver, interruption: type[BaseException]) -> None:
    with pytest.raises(interruption), client.step("stopped"):
        raise interruption
    assert client.flush(5)
    assert receiver.bodies == []


def test_executions_of_different_minutes_and_workflows_are_reported_apart() -> None:
    executions = Executions()
    for workflow in (UUID(WORKFLOW), None, WORKFLOW):
        for number in range(400):
            executions.count("worker", None, workflow, failed=number % 4 == 0)
    sums: dict[str | None, list[int]] = {}
    for report in map(json.loads, executions.take()):
        assert report["timestamp"].endswith(":00Z")
        total = sums.setdefault(report["workflow_id"], [0, 0])
        total[0] += report["finished"]
        total[1] += report["failed"]
    assert sums == {WORKFLOW: [800, 200], None: [400, 100]}
    assert executions.take() == []
    assert not executions


class Odd(Exception):
    """Whatever it is asked, it raises."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("no answer")

    __str__ = __repr__ = __bool__ = __len__ = __eq__ = __hash__ = _refuse  # type: ignore[assignment]


def test_nothing_raises_into_the_caller(receiver: Receiver) -> None:
    assert client.capture_exception(Odd(), extra=Odd(), tags={"t": object(), Odd: Odd()}) is not None
    assert client.capture_message(Odd()) is not None  # type: ignore[arg-type]
    assert client.capture_exception("not an exception") is not None  # type: ignore[arg-type]
    with pytest.raises(Odd), client.step("odd", workflow_id=Odd()):  # type: ignore[arg-type]
        raise Odd
    first, second, third, fourth = receiver.wait_for(4)
    assert "can't be read" in first["message"]
    assert first["metadata"]["exception"]["type"] == "Odd"
    assert "can't be read" in second["message"]
    assert third["message"] == "not an exception"
    assert fourth["metadata"]["node"] == "odd"


def test_context_is_copied_at_the_capture(receiver: Receiver) -> None:
    order = {"state": "before", "lines": [1]}
    client.capture_message("copied", order=order)
    order["state"] = "after"
    order["lines"].append(2)  # type: ignore[attr-defined]
    (event,) = receiver.wait_for(1)
    assert event["metadata"]["order"] == {"state": "before", "lines": [1]}


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (10**5000, "<int whose text can't be read>"),  # Python refuses to write so many digits
        ({(1, 2): {3}}, {"(1, 2)": [3]}),
        (UUID(WORKFLOW), WORKFLOW),
        (Colour.RED, "red"),
        (b"\xff", "b'\\xff'"),
        (True, True),
        (1.5, 1.5),
        ("\udcff", "\udcff"),
    ],
    ids="nan infinity huge keys uuid enum bytes bool float surrogate".split(),
)
def test_any_context_becomes_json(given: object, expected: object) -> None:
    copy = plain_values({"value": given})
    assert copy == {"value": expected}
    assert json.loads(json.dumps(copy, allow_nan=False)) == copy


def test_endless_context_is_cut() -> None:
    endless: list[Any] = []
    endless.append(endless)
    wide = {str(number): "x" * 1000 for number in range(100_000)}
    copy = plain_values({"endless": endless, "wide": wide, "after": "x"})
    assert len(json.dumps(copy, ensure_ascii=False)) < 100_000
    assert len(json.dumps(plain_values({"deep": endless, "after": "kept"})["after"])) == len('"kept"')


def test_ids_are_uuids_of_version_7_in_order_of_time() -> None:
    now = time.time()
    ids = [new_id(now + seconds) for seconds in range(50)]
    assert ids == sorted(set(ids))
    parsed = UUID(ids[0])
    assert (parsed.version, parsed.variant, str(parsed)) == (7, "specified in RFC 4122", ids[0])
    assert int.from_bytes(parsed.bytes[:6], "big") == int(now * 1000)


def test_before_init_everything_is_a_no_op() -> None:
    assert client.capture_message("nobody hears") is None
    assert client.capture_exception(ValueError()) is None
    assert client.flush()
    assert client.close()
    with client.step("quiet"):
        pass


def test_without_an_exception_there_is_nothing_to_report(receiver: Receiver) -> None:
    assert client.capture_exception() is None
    assert client.dropped() == 0


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ("http://k@h:8080/1", None, (False, "h", 8080, "", "k", None)),
        ("https://k@h/prefix/12", None, (True, "h", 443, "/prefix", "k", "12")),
        ("http://k@h/01", None, (False, "h", 80, "", "k", None)),
        (f"http://k@h/p/{WORKFLOW.upper()}", None, (False, "h", 80, "/p", "k", WORKFLOW)),
        (f"http://k@h/{WORKFLOW[:-1]}", None, (False, "h", 80, f"/{WORKFLOW[:-1]}", "k", None)),
        ("http://k%2B@h/1", None, (False, "h", 80, "", "k+", None)),
        ("http://k@[::1]:81/1", None, (False, "::1", 81, "", "k", None)),
        ("http://h:81", "k", (False, "h", 81, "", "k", None)),
        ("http://h/errors/", "k", (False, "h", 80, "/errors", "k", None)),
    ],
)
def test_an_address_is_understood(given: str, key: str | None, expected: tuple[object, ...]) -> None:
    assert tuple(parse_address(given, key)) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        "h:8080",
        "ftp://k@h/1",
        "http://h:8080/1",
        "http://k@h:port/1",
        "http://k%0A@h/1",
        "http://k@h/a b/1",
        None,
        7,
    ],
)
def test_an_impossible_address_is_refused_at_init(given: Any) -> None:
    with pytest.raises(ValueError, match=r"http://KEY@errors\.example\.com:8080/1"):
        client.init(given)


def test_an_unknown_source_is_refused_at_init() -> None:
    with pytest.raises(ValueError, match="worker, webhook, system"):
        client.init("http://k@h/1", source="cron")  # type: ignore[arg-type]
