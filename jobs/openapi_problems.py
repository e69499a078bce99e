"""What can go wrong, in the OpenAPI document: each operation names its problems as they are really answered."""

from typing import Any

_PROBLEM = {
    "type": "object",
    "description": "Problem details as RFC 9457 has them; `detail` says what to do.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_WORDS = {
    401: "No key, or one that isn't valid.",
    403: "The key's role may not do this.",
    404: "Nothing has this id.",
    409: "It contradicts what is there, such as a name that is taken.",
    413: "The body is larger than 256 KB.",
    422: "The question or the body can't be used; the detail names what.",
    503: "Postgres is away or isn't prepared; retry after the time given.",
}
_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def describe_problems(document: dict[str, Any]) -> None:
    """Add the problems of all operations that the framework describes."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "health" in operation.get("tags", ()):
                operation["security"] = []
            else:
                _describe(operation, _statuses(path, method))


def _statuses(path: str, method: str) -> list[int]:
    statuses = [401, 403, 422, 503]
    if "{" in path:
        statuses.append(404)
    if method != "get":
        statuses.append(409)
    if method in ("post", "put", "patch"):
        statuses.append(413)
    return sorted(statuses)


def _describe(operation: dict[str, Any], statuses: list[int]) -> None:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses = operation["responses"]
    for status in statuses:
        responses[str(status)] = {"description": _WORDS[status], "content": content}
