"""The web layer: checks a webhook's signature, finds its workflow and creates the run. What it refuses leaves no row in
MeshHook's tables, so it reports that itself."""

import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ingest import client
from jobs.demo.engine import Engine
from jobs.demo.store import Store
from jobs.demo.truth import Ledger, Refusal
from jobs.demo.work import Run

SIGNATURE = "X-MeshHook-Signature"


class Refused(Exception):
    """A webhook that isn't taken; `status` is the answer."""

    status = 400


class BadSignature(Refused):
    """Somebody else sent it, or with an old secret."""

    status = 401


class UnknownWorkflow(Refused):
    """No published workflow has this slug."""

    status = 404


_REASONS: tuple[tuple[type[Refused], Refusal], ...] = (
    (BadSignature, "bad_signature"),
    (UnknownWorkflow, "unknown_slug"),
)


def sign(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Receiver:
    """What the web layer does with one webhook. `failure` as the engine's."""

    def __init__(self, store: Store, engine: Engine, ledger: Ledger, secrets: Mapping[str, str]) -> None:
        self.failure: Exception | None = None
        self._store = store
        self._engine = engine
        self._ledger = ledger
        self._secrets = secrets
        self._project_ids = {project: store.project_id(project) for project in secrets}

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Answers status and text."""
        project, _, slug = path.removeprefix("/hooks/").partition("/")
        try:
            return 202, self._start(project, slug, headers, body)
        except Refused as refused:
            self._report(refused, project, slug)
            return refused.status, str(refused)
        except Exception as error:  # noqa: BLE001 - the play ends with it
            self.failure = error
            return 500, "the web layer failed"

    def _start(self, project: str, slug: str, headers: dict[str, str], body: bytes) -> str:
        """Answers the new run's id. Raises Refused."""
        secret = self._secrets.get(project)
        given = headers.get(SIGNATURE, "")
        if secret is None or not hmac.compare_digest(given.encode(), sign(secret, body).encode()):
            raise BadSignature(f"The signature of a webhook for {slug} doesn't match")
        workflow = self._store.published(project, slug)
        if workflow is None:
            raise UnknownWorkflow(f"No workflow has the slug {slug}")
        document = json.loads(body)
        run = Run(self._store.start_run(workflow), workflow, document["delivery"], document)
        self._store.run_created(run.id, headers, document)
        self._engine.accept(run)
        return run.id

    def _report(self, refused: Refused, project: str, slug: str) -> None:
        project_id = self._project_ids.get(project)
        told = client.capture_exception(
            refused, source="webhook", project_id=project_id, http_status=refused.status, tags={"slug": slug}
        )
        for kind, reason in _REASONS:
            if isinstance(refused, kind):
                self._ledger.refuse(reason, is_reported=told is not None)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    wbufsize = -1  # head and body in one packet

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, text = self.server.receiver.receive(self.path, dict(self.headers.items()), body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class Web:
    """The receiver behind a port on loopback."""

    def __init__(self, receiver: Receiver) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = receiver
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.port: int = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
