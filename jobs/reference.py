"""The page at `/docs`: the OpenAPI document as plain HTML. It loads nothing from elsewhere, so that it also opens in a
closed network, and runs no script."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse

_PAGE = Template((Path(__file__).parent / "reference.html").read_text(encoding="utf-8"))
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Frame-Options": "DENY"}
_DEEPEST = 3
_ORDER = ("capture", "reading", "alerting", "classification", "health")

Schema = Mapping[str, Any]


def reference_router() -> APIRouter:
    """`/docs`, and `/`, which leads there."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/docs", get_docs, methods=["GET", "HEAD"], response_class=HTMLResponse)
    router.add_api_route("/", get_root, methods=["GET", "HEAD"], response_class=RedirectResponse)
    return router


async def get_docs(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(_page(request.app), headers=_HEADERS)


async def get_root() -> RedirectResponse:
    """To the page."""
    return RedirectResponse("/docs", 307)


@lru_cache(maxsize=1)
def _page(app: FastAPI) -> str:
    document = app.openapi()
    sections: dict[str, list[str]] = {tag: [] for tag in _ORDER}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = next(iter(operation.get("tags", ())), "more")
            url = f"{app.state.options.api_url}{path}"
            sections.setdefault(tag, []).append(_operation(path, method, operation, document, url))
    content = [f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in sections.items() if parts]
    return _PAGE.substitute(operations="".join(content))


def _operation(path: str, method: str, operation: Mapping[str, Any], document: Schema, url: str) -> str:
    words = escape(operation.get("description", ""))
    parts = [f"<p>{words}</p>"] if words else []
    parts += _parameters(operation.get("parameters", ()), document)
    body = next(iter(operation.get("requestBody", {}).get("content", {}).values()), None)
    if body is not None:
        parts += ["<h4>Body</h4>", _table(_fields(body["schema"], document))]
    parts += ["<h4>For example</h4>", f"<pre>{escape(_curl(url, method, body, document))}</pre>", "<h4>Answers</h4>"]
    answers = sorted(operation["responses"].items())
    parts.append(_table((status, _shape(answer, document), answer["description"]) for status, answer in answers))
    summary = f"<b>{method.upper()}</b><code>{escape(path)}</code><span>{escape(operation.get('summary', ''))}</span>"
    return f"<details><summary>{summary}</summary><div>{''.join(parts)}</div></details>"


def _parameters(parameters: Any, document: Schema) -> list[str]:
    rows = [
        (parameter["name"], _kind(parameter["schema"], document), _about(parameter, parameter["schema"]))
        for parameter in parameters
    ]
    return ["<h4>Parameters</h4>", _table(rows)] if rows else []


def _fields(schema: Schema, document: Schema, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str, str]]:
    """Name, kind and meaning of each field, those of nested objects with their parent's name before them."""
    schema = _resolved(schema, document)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        inner = _resolved(field, document)
        about = _about(field, inner, is_required=name in required)
        yield f"{prefix}{name}", _kind(field, document), about
        if depth < _DEEPEST and "properties" in inner:
            yield from _fields(inner, document, f"{prefix}{name}.", depth + 1)


def _resolved(schema: Schema, document: Schema) -> Schema:
    """What a reference stands for; of one or many, the one; of something or null, the something."""
    if "$ref" in schema:
        return _resolved(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    for choice in schema.get("oneOf", schema.get("anyOf", ())):
        if choice.get("type") != "null":
            return _resolved({**choice, **{name: schema[name] for name in ("default",) if name in schema}}, document)
    return schema


def _kind(schema: Schema, document: Schema) -> str:
    schema = _resolved(schema, document)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), document)}"
    return str(schema.get("format") or schema.get("type") or "any")


_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "greater than {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} entries",
}


def _about(outer: Schema, schema: Schema, *, is_required: bool = False) -> str:
    """Whether it is needed, its limits, its default and what it means."""
    parts = ["required"] if is_required or outer.get("required") is True else []
    parts += [words.format(schema[name]) for name, words in _LIMITS.items() if name in schema]
    default = schema.get("default", outer.get("default"))
    if default is not None and default != []:
        parts.append(f"default {json.dumps(default)}")
    parts += filter(None, [outer.get("description", schema.get("description"))])
    return "; ".join(parts)


def _shape(answer: Schema, document: Schema) -> str:
    """The names in an answer."""
    for kind, content in answer.get("content", {}).items():
        names = _resolved(content.get("schema", {}), document).get("properties", {})
        return "{" + ", ".join(names) + "}" if names else str(kind)
    return ""


def _curl(url: str, method: str, body: Schema | None, document: Schema) -> str:
    head = f"curl {url}"
    if "/api/" in url or "/v1/" in url:
        head += " -H 'Authorization: Bearer KEY'"
    if method not in ("get", "post"):
        head += f" -X {method.upper()}"
    if body is None:
        return head
    examples = _resolved(body["schema"], document).get("examples")
    return f"{head} -d '{json.dumps(examples[0])}'" if examples else f"{head} -d @body.json"


def _table(rows: Any) -> str:
    lines = []
    for name, *cells in rows:
        others = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr><td><code>{escape(name)}</code></td>{others}</tr>")
    return f"<table>{''.join(lines)}</table>"
