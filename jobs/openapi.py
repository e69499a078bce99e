"""The doors in the OpenAPI document. They are plain routes, for speed, so they describe themselves here."""

from typing import Any

from fastapi import FastAPI

from ingest.doors import error_events, executions, otlp
from ingest.doors.executions import Report
from ingest.models import ERROR_TYPES, SEVERITIES, SOURCES
from jobs.openapi_problems import describe_problems

_TEXT = {"type": "string"}
_UUID = {"type": "string", "format": "uuid"}
_EVENT = {
    "type": "object",
    "additionalProperties": True,
    "properties": {
        "error_id": _UUID | {"description": "Made by the sender; a resend with the same id is a duplicate."},
        "timestamp": {"description": "ISO 8601 or epoch seconds; the time of receipt if missing."},
        "source": {"enum": list(SOURCES)},
        "error_type": _TEXT | {"examples": list(ERROR_TYPES)},
        "severity": {"enum": list(SEVERITIES)},
        "workflow_id": _UUID,
        "project_id": _UUID,
        "run_id": _UUID,
        "title": _TEXT,
        "fingerprint": {"description": "Text or a list of texts: errors with the same one are one group."},
        "message": _TEXT,
        "metadata": {"type": "object", "additionalProperties": True},
    },
    "examples": [{"message": "HTTP 502 from the CRM", "source": "worker", "metadata": {"node": "createContact"}}],
}
_ANSWER = {
    "type": "object",
    "required": ["accepted", "duplicates", "rejected"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": {"type": "object", "properties": {"index": {"type": "integer"}, "error": _TEXT}},
        },
    },
}
_PROBLEM = {
    "type": "object",
    "properties": {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
}
_STATUSES = {
    400: "The connection closed early.",
    401: "No key, or one that isn't valid.",
    403: "The key's role may not do this, or it belongs to another project.",
    404: "No such project.",
    408: "The body came too slowly.",
    413: "Too large, or too many items.",
    415: "An unknown Content-Encoding.",
    422: "Not JSON, or the only item can't be used.",
    429: "Too much comes in at once; retry after the time given. With `counted` in it: durable, don't send it again.",
    503: "Neither Postgres nor the spool takes it now; retry after the time given.",
}
_BYTES = {"type": "string", "format": "binary"}
_PROJECT = {"name": "project", "in": "query", "description": "A project's number or UUID.", "schema": _TEXT}
_LOGS = {
    "type": "object",
    "description": "OTLP's ExportLogsServiceRequest.",
    "properties": {"resourceLogs": {"type": "array", "items": {"type": "object", "additionalProperties": True}}},
}
_LOGS_TAKEN = {
    "type": "object",
    "description": "OTLP's ExportLogsServiceResponse.",
    "properties": {
        "partialSuccess": {
            "type": "object",
            "properties": {"rejectedLogRecords": _TEXT | {"pattern": "^[0-9]+$"}, "errorMessage": _TEXT},
        }
    },
}
_STATUS = {
    "type": "object",
    "description": "google.rpc.Status.",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": _TEXT},
}
_LOG_STATUSES = {
    400: "It can't be decoded.",
    401: _STATUSES[401],
    403: _STATUSES[403],
    404: _STATUSES[404],
    408: _STATUSES[408],
    413: "Too large, or too many records.",
    415: "Neither of the two media types, or an unknown Content-Encoding.",
    429: _STATUSES[429],
    503: _STATUSES[503],
}


def describe_doors(app: FastAPI) -> None:
    """Add the doors to what `app.openapi()` answers."""
    plain = app.openapi

    def with_doors() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            describe_problems(document)
            document["paths"].setdefault(error_events.PATH, {})["post"] = _operation("Send errors", _EVENT)
            report = Report.model_json_schema()
            document["paths"].setdefault(executions.PATH, {})["post"] = _operation("Report executions", report)
            document["paths"].setdefault(otlp.PATH, {})["post"] = _logs_operation()
            for door in ("envelope", "store"):
                document["paths"][f"/api/{{project}}/{door}/"] = {"post": _sentry_operation(door)}
            schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer"}
            document["security"] = [{"key": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = with_doors  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _operation(summary: str, item: dict[str, Any]) -> dict[str, Any]:
    one_or_many = {"oneOf": [item, {"type": "array", "items": item}]}
    problem = {"application/problem+json": {"schema": _PROBLEM}}
    return {
        "summary": summary,
        "description": "One object, an array, or NDJSON; gzip, deflate, br or zstd. Answered after the commit.",
        "tags": ["capture"],
        "parameters": [_PROJECT],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": one_or_many}, "application/x-ndjson": {"schema": item}},
        },
        "responses": {
            "202": {"description": "Durable.", "content": {"application/json": {"schema": _ANSWER}}},
            **{str(status): {"description": text, "content": problem} for status, text in _STATUSES.items()},
        },
    }


def _logs_operation() -> dict[str, Any]:
    def in_both(schema: dict[str, Any]) -> dict[str, Any]:
        return {"application/x-protobuf": {"schema": _BYTES}, "application/json": {"schema": schema}}

    return {
        "summary": "Send OpenTelemetry logs",
        "description": "OTLP over HTTP, as protobuf or JSON; gzip, deflate, br or zstd. Records of severity ERROR and "
        "above, and those with an exception, become errors; the others are accepted and counted. Answered after the "
        "commit, in the encoding of the request.",
        "tags": ["capture"],
        "parameters": [_PROJECT],
        "requestBody": {"required": True, "content": in_both(_LOGS)},
        "responses": {
            "200": {"description": "Durable.", "content": in_both(_LOGS_TAKEN)},
            **{
                str(status): {"description": says, "content": in_both(_STATUS)}
                for status, says in _LOG_STATUSES.items()
            },
        },
    }


def _sentry_operation(door: str) -> dict[str, Any]:
    is_envelope = door == "envelope"
    media_type, schema = ("application/x-sentry-envelope", _BYTES) if is_envelope else ("application/json", {})
    problem = {"application/problem+json": {"schema": _PROBLEM}}
    taken = {"type": "object", "properties": {"id": _TEXT | {"description": "The event's id."}}}
    return {
        "summary": "Send Sentry envelopes" if is_envelope else "Send one Sentry event, as old SDKs do",
        "description": "What Sentry SDKs send to our DSN; the key goes along as they do it. Events become errors, "
        "sessions become executions; anything else is accepted and counted. Answered after the commit.",
        "tags": ["capture"],
        "parameters": [
            {
                "name": "project",
                "in": "path",
                "required": True,
                "description": _PROJECT["description"],
                "schema": _TEXT,
            },
            {"name": "sentry_key", "in": "query", "description": "The key, unless a header names it.", "schema": _TEXT},
        ],
        "security": [],
        "requestBody": {"required": True, "content": {media_type: {"schema": schema}}},
        "responses": {
            "200": {"description": "Durable.", "content": {"application/json": {"schema": taken}}},
            **{str(status): {"description": says, "content": problem} for status, says in _STATUSES.items()},
        },
    }
