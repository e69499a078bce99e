"""JSON errors as RFC 9457 problem details."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response


class Problem(Exception):
    """A request that can't be served: `detail` says what to do."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer to send."""
        return problem_response(self.status, self.detail, self.headers)


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of type application/problem+json."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(json.dumps(body), status, dict(headers or {}), media_type="application/problem+json")
