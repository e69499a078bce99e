"""Answers of the doors; JSON errors are problem details as RFC 9457 has them."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Message

_PROBLEM_TYPE = "application/problem+json"


class Answer(NamedTuple):
    """The two messages of an ASGI response."""

    start: Message
    body: Message


def answer(status: int, content: bytes, media_type: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """A whole response."""
    lines = [(b"content-type", media_type), (b"content-length", b"%d" % len(content)), *header_lines(headers or {})]
    return Answer(
        {"type": "http.response.start", "status": status, "headers": lines},
        {"type": "http.response.body", "body": content},
    )


def header_lines(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class Problem(Exception):
    """A request that can't be served: `detail` says what to do, `members` are added to the problem details."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.members = dict(members or {})
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """What a door sends."""
        content = json.dumps(_details(self.status, self.detail) | self.members).encode()
        return answer(self.status, content, _PROBLEM_TYPE.encode(), self.headers)


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """What a route behind the doors sends."""
    return Response(json.dumps(_details(status, detail)), status, dict(headers or {}), media_type=_PROBLEM_TYPE)


def _details(status: int, detail: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
