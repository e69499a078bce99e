"""A worker as users have them: real exceptions of several kinds, through the client and through logging."""

import contextlib
import json
import logging
import sys

from ingest import client

WORKFLOW = "7f1d1c7e-0000-4000-8000-000000000001"


def parse_order(text: str) -> object:
    return json.loads(text)


def divide(total: int, parts: int) -> float:
    return total / parts


@client.step("push", workflow_id=WORKFLOW)
def push(number: int) -> None:
    raise ConnectionRefusedError(f"connection refused by 10.0.0.{number}")


def main(dsn: str, rounds: int) -> None:
    client.init(dsn, release="1.4.2")
    log = logging.getLogger("worker.orders")
    log.addHandler(client.ErrorHandler())
    log.propagate = False
    for number in range(rounds):
        try:
            parse_order("{not json")
        except ValueError:
            client.capture_exception(workflow_id=WORKFLOW, node="parseOrder")
        try:
            divide(number, 0)
        except ZeroDivisionError:
            log.exception("order %d can't be divided", number)
        client.capture_message(
            "Error: HTTP 502, password=hunter2-planted", workflow_id=WORKFLOW, attempt=5, max_attempts=5
        )
        with client.step("sync", workflow_id=WORKFLOW):
            pass
        with contextlib.suppress(ConnectionRefusedError):
            push(number)
    if not client.flush(20):
        sys.exit("not everything was sent")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
