"""A program that fails in many ways and reports with sentry-sdk alone: `python -m tests.sdks.failing DSN`."""

import logging
import sys
import threading

import sentry_sdk

WORKFLOW = "6f1d1c7e-0000-4000-8000-0000000000aa"
RUN = "6f1d1c7e-0000-4000-8000-0000000000bb"


def parse(text: str) -> int:
    planted = "hunter2-in-a-local-variable"  # noqa: F841 - the SDK sends local variables
    try:
        return int(text)
    except ValueError as error:
        raise KeyError("order number") from error


def several() -> None:
    raise ExceptionGroup("two deliveries failed", [ConnectionRefusedError("first host"), TimeoutError("second host")])


def caught() -> None:
    for failing in (lambda: parse("no number"), several):
        try:
            failing()
        except Exception as error:  # noqa: BLE001
            sentry_sdk.capture_exception(error)


def logged() -> None:
    log = logging.getLogger("orders")
    log.error("order %s of %d items was refused", "A-17", 3)
    try:
        parse("nothing")
    except KeyError:
        log.exception("the import stopped")


def of_a_workflow() -> None:
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("workflow_id", WORKFLOW)
        scope.set_tag("run_id", RUN)
        scope.set_context("meshhook", {"node": "transform", "attempt": 3, "max_attempts": 3, "source": "worker"})
        sentry_sdk.capture_message("the transform gave up", level="warning")


def main(dsn: str) -> None:
    sentry_sdk.init(dsn, release="orders@1.4.2", environment="tests", auto_session_tracking=False)
    caught()
    logged()
    of_a_workflow()
    thread = threading.Thread(target=lambda: parse("in a thread"), name="importer")
    thread.start()
    thread.join()
    parse("nobody catches this")


if __name__ == "__main__":
    main(sys.argv[1])
