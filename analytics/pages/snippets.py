"""What a reader copies to send errors to us, ready with address and key."""

import json
from typing import Literal, NamedTuple

Language = Literal["bash", "python", "javascript"]


class Snippet(NamedTuple):
    """A text to copy."""

    label: str
    language: Language
    text: str


def first_snippets(api_url: str, key: str, dsn: str) -> list[Snippet]:
    """The shortest ways to a first error."""
    body = json.dumps({"message": "hello from curl", "source": "worker"})
    curl = f"curl {api_url}/api/error-events \\\n  -H 'Authorization: Bearer {key}' \\\n  -d '{body}'"
    python = f'from ingest import client\n\nclient.init("{dsn}")\nclient.capture_message("hello from Python")'
    return [Snippet("From the shell", "bash", curl), Snippet("From Python, with our client", "python", python)]


def sentry_snippets(dsn: str) -> list[Snippet]:
    """The SDKs that people have already."""
    return [
        Snippet("Python", "python", f'import sentry_sdk\n\nsentry_sdk.init(dsn="{dsn}")'),
        Snippet("Node", "javascript", f'import * as Sentry from "@sentry/node";\n\nSentry.init({{ dsn: "{dsn}" }});'),
        Snippet(
            "Browser", "javascript", f'import * as Sentry from "@sentry/browser";\n\nSentry.init({{ dsn: "{dsn}" }});'
        ),
    ]


def otlp_snippets(api_url: str, key: str, project: str) -> list[Snippet]:
    """What every OpenTelemetry SDK reads from its environment."""
    address = f"{api_url}/v1/logs" + (f"?project={project}" if project != "1" else "")
    text = (
        f"export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT='{address}'\n"
        f"export OTEL_EXPORTER_OTLP_LOGS_HEADERS='Authorization=Bearer%20{key}'\n"
        "export OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf"
    )
    return [Snippet("Environment", "bash", text)]


def trials_snippets(api_url: str, key: str, project: str) -> list[Snippet]:
    """Executions, so that the rate is known."""
    address = f"{api_url}/api/executions" + (f"?project={project}" if project != "1" else "")
    body = json.dumps({"source": "worker", "finished": 250, "failed": 3})
    return [
        Snippet("From the shell", "bash", f"curl '{address}' \\\n  -H 'Authorization: Bearer {key}' \\\n  -d '{body}'")
    ]
