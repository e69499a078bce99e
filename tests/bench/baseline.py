"""What ingest is compared with: a Starlette route that reads the body and answers."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def read_body(request: Request) -> Response:
    await request.body()
    return Response(b'{"accepted":1,"duplicates":0,"rejected":[]}', 202, media_type="application/json")


app = Starlette(routes=[Route("/api/error-events", read_body, methods=["POST"])])
