"""Is it alive, can it work, and how is it doing: for orchestrators, Prometheus and people."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from analytics.store import Store
from ingest.database import require_prepared
from ingest.doors.gate import Gate
from ingest.exceptions import StoreUnavailable
from ingest.spool import Spool


def health_router() -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`, open to whoever reaches the port: they tell no event's content."""
    router = APIRouter(tags=["health"])
    not_ready: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready; `reason` says why."}}
    router.add_api_route("/healthz", get_healthz, methods=["GET"])
    router.add_api_route("/readyz", get_readyz, methods=["GET"], responses=not_ready)
    for path, answer in (("/healthz", get_healthz), ("/readyz", get_readyz)):
        router.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)  # what load balancers send
    router.add_api_route("/metrics", get_metrics, methods=["GET"], response_class=Response)
    return router


async def get_healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


def get_readyz(request: Request) -> Response:
    """200 when Postgres answers and is prepared; 503 otherwise, while capture goes on into the spool."""
    store: Store = request.app.state.store
    try:
        with store.connection() as connection:
            require_prepared(connection)
    except StoreUnavailable as error:
        return JSONResponse({"status": "not ready", "reason": str(error)}, 503)
    return JSONResponse({"status": "ready"})


async def get_metrics(request: Request) -> Response:
    """What this process counts, for Prometheus. It needs no thread: all of them may wait for Postgres."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(request.app.state.gate, request.app.state.spool))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Counts(Collector):
    def __init__(self, gate: Gate, spool: Spool) -> None:
        self._gate = gate
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        writer, room = self._gate.writer, self._gate.room
        yield CounterMetricFamily("meshhook_errors_rows_committed", "Rows committed to Postgres.", writer.committed)
        yield CounterMetricFamily("meshhook_errors_transactions", "Transactions that wrote rows.", writer.transactions)
        yield CounterMetricFamily("meshhook_errors_rows_spooled", "Rows that went to the disk spool.", writer.spooled)
        yield GaugeMetricFamily("meshhook_errors_requests_waiting", "Requests before their commit.", writer.backlog())
        yield GaugeMetricFamily("meshhook_errors_body_bytes", "Bodies under way.", room.taken)
        yield CounterMetricFamily("meshhook_errors_turned_away", "Requests answered 429.", room.turned_away)
        family = CounterMetricFamily(
            "meshhook_errors_counted", "Errors counted without their details.", labels=["reason"]
        )
        for reason in ("flood", "limit"):
            family.add_metric([reason], self._gate.hall.counted[reason])
        yield family
        yield from self._come_in()
        yield GaugeMetricFamily("meshhook_errors_spool_bytes", "Bytes that wait in the spool.", self._spool.size())
        yield GaugeMetricFamily("meshhook_errors_postgres_up", "1 while Postgres takes rows.", float(writer.connected))

    def _come_in(self) -> Iterator[Metric]:
        """What the doors took in beside errors and executions."""
        for name, (says, labels) in _COME_IN.items():
            family = CounterMetricFamily(f"meshhook_errors_{name}", says, labels=labels)
            for (counted, *values), count in sorted(self._gate.counts.items()):
                if counted == name:
                    family.add_metric(values, count)
            yield family


_COME_IN = {
    "sentry_items": ("Items of Sentry envelopes, whether we have a use for them or not.", ["type"]),
    "sentry_items_refused": ("Envelopes of which something couldn't be read.", []),
    "sentry_discarded": ("What Sentry SDKs say that they dropped themselves.", ["reason", "category"]),
    "otlp_records": ("Log records that came by OTLP; those below ERROR are accepted and not stored.", ["outcome"]),
}
