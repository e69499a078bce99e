"""What the demo's two projects run. A definition stands in MeshHook's table; the engine runs what it reads there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """A step: `url` of an `http_call` names an upstream as its host, `fields` of a `transform` name paths."""

    id: str
    type: str
    next: str | None
    url: str = ""
    fields: Mapping[str, str] | None = None

    @property
    def told(self) -> dict[str, str]:
        """How an event names it."""
        return {"id": self.id, "type": self.type}


@dataclass(frozen=True, slots=True)
class Workflow:
    """One version of a workflow, as it stands in the database."""

    id: str
    project_id: str
    slug: str
    version: int
    nodes: Mapping[str, Node]
    first: str

    @property
    def label(self) -> str:
        return f"{self.slug} v{self.version}"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A workflow as the demo sets it up. `tracked`: its runs begin with a job of the queue `workflow_jobs`."""

    project: str
    slug: str
    name: str
    per_minute: float
    definition: Definition
    tracked: bool = False


def read_definition(definition: Definition) -> tuple[dict[str, Node], str]:
    """The steps by their ids, and the first one's id."""
    nodes = [
        Node(step["id"], step["type"], step.get("next"), step.get("url", ""), step.get("fields"))
        for step in definition["nodes"]
    ]
    return {node.id: node for node in nodes}, nodes[0].id


def _steps(*steps: tuple[str, str, Any]) -> Definition:
    """A chain of (id, type, url or fields)."""
    following = [step[0] for step in steps[1:]] + [None]
    nodes = []
    for (name, kind, what), after in zip(steps, following, strict=True):
        extra = {"url": what} if kind == "http_call" else {"fields": what} if kind == "transform" else {}
        nodes.append({"id": name, "type": kind, "next": after, **extra})
    return {"nodes": nodes}


PROJECTS = ("storefront", "back-office")
JOB_QUEUE = "workflow_jobs"
CURRENCIES = ("EUR", "USD", "GBP")  # what billing takes
BLUEPRINTS = (
    Blueprint(
        "storefront",
        "order-intake",
        "Orders from the shop",
        3.0,
        _steps(
            ("normalise", "transform", {"amount": "order.amount", "currency": "order.currency"}),
            ("charge", "http_call", "http://billing/charges"),
            ("reserve", "http_call", "http://warehouse/reservations"),
            ("done", "terminate", None),
        ),
    ),
    Blueprint(
        "storefront",
        "customer-sync",
        "Customers to the CRM",
        2.0,
        _steps(
            ("pick", "transform", {"name": "customer.name", "email": "customer.email"}),
            ("upsert", "http_call", "http://crm/contacts"),
        ),
    ),
    Blueprint(
        "storefront",
        "refund",
        "Refunds",
        1.0,
        _steps(
            ("amount", "transform", {"amount": "order.amount", "currency": "order.currency"}),
            ("pay-back", "http_call", "http://billing/refunds"),
            ("tell", "http_call", "http://mailer/messages"),
        ),
    ),
    Blueprint(
        "back-office",
        "invoice-export",
        "Invoices to the ledger",
        1.5,
        _steps(
            ("collect", "transform", {"total": "order.amount", "currency": "order.currency"}),
            ("post", "http_call", "http://ledger/invoices"),
        ),
        tracked=True,
    ),
    Blueprint(
        "back-office",
        "signup-welcome",
        "Welcome of new customers",
        1.5,
        _steps(
            ("contact", "http_call", "http://crm/contacts"),
            ("greeting", "transform", {"to": "customer.email", "name": "customer.name"}),
            ("mail", "http_call", "http://mailer/messages"),
        ),
    ),
)
BY_SLUG = {blueprint.slug: blueprint for blueprint in BLUEPRINTS}
UPSTREAMS = ("billing", "warehouse", "crm", "mailer", "ledger", "registry")


def careless(definition: Definition) -> Definition:
    """What the bad deploy ships: its transform reads a field that no webhook has."""
    nodes = []
    for step in definition["nodes"]:
        extra = {"phone": "customer.contact.phone"} if step["type"] == "transform" else {}
        nodes.append({**step, "fields": step["fields"] | extra} if extra else step)
    return {"nodes": nodes}
