"""What the routes behind the doors answer when something is wrong: problem details, each with a sentence."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from analytics.exceptions import BadRequest, Conflict, NotFound
from analytics.wording import explained
from ingest.doors.problems import Problem, problem_response
from ingest.exceptions import StoreUnavailable
from ingest.vault import VaultClosed

_STATUSES = {BadRequest: 422, NotFound: 404, Conflict: 409, StoreUnavailable: 503, VaultClosed: 503}
_MOST_EXPLAINED = 20
_LONGEST_PATH = 200


def install_problems(app: FastAPI) -> None:
    """Answer our own exceptions, the framework's, and what nobody foresaw."""
    for kind in _STATUSES:
        app.add_exception_handler(kind, _expected)
    app.add_exception_handler(Exception, _unexpected)

    @app.exception_handler(Problem)
    async def _problem(_: Request, problem: Problem) -> Response:
        return problem_response(problem.status, problem.detail, problem.headers)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # what the framework says of a body in no encoding
            return problem_response(422, "The body isn't JSON: it can't be read as text.")
        detail, headers = _in_words(request, error, methods_at(app, request.url.path))
        return problem_response(error.status_code, detail, headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        problems = [{**problem, "loc": problem["loc"][1:]} for problem in error.errors()]
        return problem_response(422, " ".join(explained(problems[:_MOST_EXPLAINED])))


def _expected(_: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUSES.items() if isinstance(error, kind))
    return problem_response(status, str(error), {"Retry-After": "2"} if status == 503 else None)


def _unexpected(_: Request, __: Exception) -> Response:
    """The server logs the exception itself."""
    return problem_response(500, "Something went wrong here. It is logged; try again later.")


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that something answers at `path`, doors included."""
    found = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
    return sorted(found)


def _in_words(request: Request, error: HTTPException, methods: list[str]) -> tuple[str, dict[str, str]]:
    headers = dict(error.headers or {})
    path = request.url.path[:_LONGEST_PATH]
    if error.status_code == 404:
        return f"There is nothing at {path}. /docs describes what there is.", headers
    if error.status_code == 405 and methods:
        takes = " or ".join(methods)
        return f"{path} takes {takes}, not {request.method}. See /docs.", {**headers, "Allow": ", ".join(methods)}
    if error.status_code == 413:
        return "The body is too large: here it has at most 256 KB.", headers
    return str(error.detail), headers
