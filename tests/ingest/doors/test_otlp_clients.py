"""The real SDK and the real exporter of OpenTelemetry, over HTTP, at a server that really listens."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import requests
import uvicorn
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs as as_otlp_json
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as as_protobuf
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.database import Connection
from ingest.keys import create_key
from ingest.settings import Settings
from jobs.api import create_app
from tests.apis import stored
from tests.ingest.doors.otlp_requests import JSON, PROTOBUF, events, rows
from tests.ports import free_port

RESOURCE = Resource.create(
    {"service.name": "hooks", "service.version": "1.4.2", "deployment.environment.name": "test", "host.name": "h1"}
)


@contextmanager
def listening(application: ASGIApp) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/v1/logs"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def endpoint(options: Settings) -> Iterator[str]:
    with listening(create_app(options)) as url:
        yield url


@pytest.fixture
def headers(connection: Connection) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_key(connection, 'worker', 'ingest')}"}


class JsonExporter(LogRecordExporter):
    """Sends what OpenTelemetry's own JSON encoder makes; the exporter around it is a release candidate that can't be
    installed beside this SDK."""

    def __init__(self, endpoint: str, headers: dict[str, str]) -> None:
        self._endpoint = endpoint
        self._headers = headers | {"Content-Type": JSON}

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        body = as_otlp_json(batch).to_json().encode()
        answer = requests.post(self._endpoint, body, headers=self._headers, timeout=10)
        return LogRecordExportResult.SUCCESS if answer.json() == {} else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True


class Watched(LogRecordExporter):
    """Keeps what an exporter was given and what became of it."""

    def __init__(self, inner: LogRecordExporter) -> None:
        self.inner = inner
        self.batches: list[Sequence[ReadableLogRecord]] = []
        self.results: list[LogRecordExportResult] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self.batches.append(batch)
        self.results.append(self.inner.export(batch))
        return self.results[-1]

    def shutdown(self) -> None:
        self.inner.shutdown()

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True


@contextmanager
def logger_to(exporter: LogRecordExporter) -> Iterator[logging.Logger]:
    """A logger of the standard library whose records go out through the SDK, all sent at the end."""
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    with pytest.warns(DeprecationWarning):
        handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("hooks.deliver")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        provider.shutdown()


def deliver(hook: int) -> None:
    raise ConnectionRefusedError(f"hook {hook} refused")


Exporting = Callable[[str, dict[str, str]], LogRecordExporter]


@pytest.mark.parametrize(
    "exporting",
    [
        pytest.param(lambda url, headers: OTLPLogExporter(url, headers=headers), id="protobuf"),
        pytest.param(
            lambda url, headers: OTLPLogExporter(url, headers=headers, compression=Compression.Gzip),
            id="protobuf-gzip",
        ),
        pytest.param(JsonExporter, id="json"),
    ],
)
def test_what_a_service_logs_arrives(
    endpoint: str, headers: dict[str, str], connection: Connection, exporting: Exporting
) -> None:
    exporter = Watched(exporting(endpoint, headers))
    with logger_to(exporter) as logger, TracerProvider().get_tracer("t").start_as_current_span("deliver") as span:
        logger.info("starting")
        try:
            deliver(17)
        except ConnectionRefusedError:
            logger.exception("delivery of %s failed", 17, extra={"meshhook.node": "deliver", "shop": "b"})
        context = span.get_span_context()
    assert exporter.results == [LogRecordExportResult.SUCCESS]
    assert rows(connection, "source, error_type, title") == [
        ("worker", "system", "deliver: ConnectionRefusedError: delivery of 17 failed")
    ]
    (event,) = events(connection)
    assert event["exception"] == {"type": "ConnectionRefusedError", "value": "hook 17 refused"}
    assert [(frame["function"], frame["file"], frame["in_app"]) for frame in event["frames"]] == [
        ("test_what_a_service_logs_arrives", __file__, True),
        ("deliver", __file__, True),
    ]
    assert "hook 17 refused" in event["stack"]
    names = ("message", "service", "release", "environment", "server_name", "logger", "log_level", "attributes")
    assert [event[name] for name in names] == [
        "delivery of 17 failed",
        "hooks",
        "1.4.2",
        "test",
        "h1",
        "hooks.deliver",
        "ERROR",
        {"shop": "b"},
    ]
    assert event["location"]["function"] == "test_what_a_service_logs_arrives"
    assert event["trace_id"] == trace.format_trace_id(context.trace_id)
    assert event["span_id"] == trace.format_span_id(context.span_id)


class LosingFirstAnswer:
    """An application whose first answer to a POST is lost on the way, as behind a proxy that gave up waiting."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application
        self.lost: list[int] = []
        self.seen: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.lost:
            await self.application(scope, receive, self._watching(send, self.seen))
            return
        await self.application(scope, receive, self._watching(None, self.lost))
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    @staticmethod
    def _watching(send: Send | None, statuses: list[int]) -> Send:
        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            if send is not None:
                await send(message)

        return watching


def test_an_exporter_that_tries_again_after_a_lost_answer_makes_no_second_error(
    options: Settings, headers: dict[str, str], connection: Connection
) -> None:
    application = LosingFirstAnswer(create_app(options))
    with listening(application) as endpoint, logger_to(OTLPLogExporter(endpoint, headers=headers)) as logger:
        for _ in range(2):
            logger.error("the same")
    assert (application.lost, application.seen) == ([200], [200])
    assert stored(connection) == 2


def test_both_of_the_sdks_encodings_say_the_same(
    endpoint: str, headers: dict[str, str], connection: Connection
) -> None:
    exporter = Watched(OTLPLogExporter(endpoint, headers=headers))
    with logger_to(exporter) as logger:
        try:
            deliver(1)
        except ConnectionRefusedError:
            logger.exception("failed", extra={"whole": 2**53 + 1, "part": 0.1, "list": [True, "x"], "blob": b"\x00"})
    (batch,) = exporter.batches
    for body, media_type in (
        (as_protobuf(batch).SerializeToString(), PROTOBUF),
        (as_otlp_json(batch).to_json().encode(), JSON),
    ):
        assert requests.post(endpoint, body, headers=headers | {"Content-Type": media_type}, timeout=10).ok
    assert stored(connection) == 1


def test_the_variables_of_the_environment_are_enough(
    endpoint: str, headers: dict[str, str], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = headers["Authorization"].replace(" ", "%20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", f"Authorization={key}")
    with logger_to(OTLPLogExporter()) as logger:
        logger.critical("out of memory")
    assert rows(connection, "severity, title") == [("high", "out of memory")]


def test_an_sdk_without_a_key_is_told_and_does_not_try_again(
    endpoint: str, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Watched(OTLPLogExporter(endpoint))
    with logger_to(exporter) as logger:
        logger.error("never taken")
    assert exporter.results == [LogRecordExportResult.FAILURE]
    assert "401" in caplog.text
    assert stored(connection) == 0
