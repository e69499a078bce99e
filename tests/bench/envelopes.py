"""A small envelope as the real SDK sends it, about 2 KB."""

import sentry_sdk
from sentry_sdk.transport import Transport


class _Keep(Transport):
    def capture_envelope(self, envelope: object) -> None:
        kept.append(envelope.serialize())  # type: ignore[attr-defined]


kept: list[bytes] = []


def _call(depth: int) -> None:
    if depth:
        _call(depth - 1)
    raise ConnectionError("HTTP 502 from https://crm.example.com/v2/contacts/4711")


def envelope() -> tuple[bytes, str]:
    """The envelope and the event's id, which stands in it twice."""
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=_Keep,
        default_integrations=False,
        include_local_variables=False,
        release="1.4.2",
        environment="production",
    )
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("workflow_id", "7f1d1c7e-5b0a-4c3e-9d2f-3a1b5c7d9e0f")
        try:
            _call(0)
        except ConnectionError as error:
            event_id = sentry_sdk.capture_exception(error)
    assert event_id is not None
    return kept[-1], event_id
