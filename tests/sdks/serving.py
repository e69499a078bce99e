"""A web application under uvicorn with sentry-sdk: `python -m tests.sdks.serving DSN PORT`. It ends with its input."""

import asyncio
import sys

import sentry_sdk
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def good(_request: Request) -> Response:
    return PlainTextResponse("good")


async def failing(request: Request) -> Response:
    raise RuntimeError(f"order {request.query_params['order']} can't be served")


async def serve(port: int) -> None:
    app = Starlette(routes=[Route("/good", good), Route("/failing", failing)])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    serving = asyncio.create_task(server.serve())
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    sentry_sdk.init(sys.argv[1], release="shop@2.0.0", environment="tests")
    asyncio.run(serve(int(sys.argv[2])))
    sentry_sdk.flush(10)
