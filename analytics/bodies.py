"""Bodies of requests that change something: JSON, and not much of it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

LARGEST_BODY = 256 * 1024


class JsonRoute(APIRoute):
    """Takes JSON whatever the content type says: `curl -d` sends that of a form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            others = [line for line in request.scope["headers"] if line[0] != b"content-type"]
            scope = {**request.scope, "headers": [*others, (b"content-type", b"application/json")]}
            return await handler(Request(scope, request.receive))

        return handle
