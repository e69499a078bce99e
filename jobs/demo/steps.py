"""The steps of a workflow, as an executor runs them. Errors are told in the words of the JavaScript that MeshHook is
written in."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from jobs.demo.clock import Clock
from jobs.demo.upstream import Upstreams
from jobs.demo.workflows import Node

TIMEOUT_SECONDS = 9.0  # of the script
Document = dict[str, Any]


class StepFailed(Exception):
    """A try failed; `error` is what the event says."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


def transform(node: Node, document: Document) -> Document:
    """The fields that a node takes out of a document. Raises StepFailed where a path leads through nothing."""
    try:
        return {name: _look_up(path, document) for name, path in (node.fields or {}).items()}
    except TypeError as error:
        raise StepFailed(f"TypeError: {error}") from error


def _look_up(path: str, document: Document) -> Any:
    found: Any = document
    for key in path.split("."):
        if not isinstance(found, dict):
            raise TypeError(f"Cannot read properties of undefined (reading '{key}')")
        found = found.get(key)
    return found


class Caller:
    """Posts JSON to upstreams."""

    def __init__(self, upstreams: Upstreams, clock: Clock) -> None:
        self._upstreams = upstreams
        self._timeout = clock.real(TIMEOUT_SECONDS)

    def post(self, url: str, document: Document, delivery: int, attempt: int) -> tuple[int, str]:
        """Status and text of the answer. Raises StepFailed where none came."""
        parts = urlsplit(url)
        connection = HTTPConnection("127.0.0.1", self._upstreams.port(parts.netloc), timeout=self._timeout)
        headers = {"Content-Type": "application/json", "X-Delivery": str(delivery), "X-Attempt": str(attempt)}
        try:
            connection.request("POST", parts.path, json.dumps(document), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except TimeoutError:
            raise StepFailed("TimeoutError: The operation was aborted due to timeout") from None
        except (OSError, HTTPException):
            raise StepFailed("TypeError: fetch failed") from None
        finally:
            connection.close()
