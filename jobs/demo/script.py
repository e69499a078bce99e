"""The scripted hour as data: what goes wrong, when, and the webhooks that come in; one seed, one hour."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from jobs.demo.workflows import BLUEPRINTS, BY_SLUG, Blueprint

Kind = Literal[
    "bad_gateway",  # an upstream answers 502
    "unavailable",  # an upstream answers 503
    "hang",  # an upstream takes the request and says nothing
    "refuse",  # nothing listens
    "slow",  # an upstream takes its time
    "bad_body",  # webhooks carry what an upstream refuses with 422
    "deploy",  # a broken version is published, and taken back at the end
    "crash",  # workers end in the middle of a step
    "cancel",  # a user cancels runs
    "pause",  # a user pauses runs, and resumes them
    "unsigned",  # webhooks with a wrong signature
    "unknown_slug",  # webhooks for a workflow that isn't there
    "surge",  # more webhooks than usual
]
_SURE_ARRIVALS = 3  # of each workflow that a trouble is about, while it lasts
_LATEST_START = 20.0  # seconds that a trouble may begin later than written, by the seed


@dataclass(frozen=True, slots=True)
class Trouble:
    """`start` and `end` in seconds of the script. `target` is an upstream, a workflow's slug or a project; `slugs` are
    the workflows that suffer. `share` is how many of the requests are hit, `times` how often it happens at all."""

    kind: Kind
    target: str
    start: float
    end: float
    what: str
    effect: str
    slugs: tuple[str, ...] = ()
    share: float = 1.0
    times: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A webhook that comes in at a second of the script; `number` is its own."""

    second: float
    number: int
    project: str
    slug: str
    is_signed: bool = True
    has_bad_body: bool = False


# The hour; `start` and `end` in minutes here.
_HOUR = (
    Trouble(
        "bad_gateway",
        "billing",
        3.5,
        7.5,
        "billing answers 502 to 60 % of the requests",
        "many repeated tries, a few failed runs",
        slugs=("order-intake", "refund"),
        share=0.6,
    ),
    Trouble(
        "unsigned",
        "storefront",
        8.5,
        11,
        "somebody sends webhooks with an old secret",
        "401; the web layer reports them",
        times=15,
    ),
    Trouble(
        "hang",
        "crm",
        12,
        15.5,
        "crm takes requests and never answers",
        "tries time out, runs fail",
        slugs=("customer-sync", "signup-welcome"),
    ),
    Trouble(
        "crash",
        "order-intake",
        17,
        19,
        "three workers crash in the middle of a step",
        "three runs hang: stuck, not failed",
        slugs=("order-intake",),
        times=3,
    ),
    Trouble(
        "slow",
        "warehouse",
        20,
        23,
        "warehouse is slow",
        "nothing fails",
        slugs=("order-intake",),
    ),
    Trouble(
        "deploy",
        "customer-sync",
        24,
        27.5,
        "a broken version is deployed, and rolled back",
        "each of its runs fails: TypeError",
        slugs=("customer-sync",),
    ),
    Trouble(
        "refuse",
        "registry",
        29,
        32.5,
        "the registry that exports are planned with is down",
        "jobs in the dead-letter queue",
        slugs=("invoice-export",),
    ),
    Trouble(
        "bad_body",
        "order-intake",
        34,
        37,
        "half of the orders have a currency that billing refuses",
        "422 five times, runs fail",
        slugs=("order-intake",),
        share=0.5,
    ),
    Trouble(
        "cancel",
        "signup-welcome",
        38,
        40,
        "a user cancels three runs",
        "canceled, no failures",
        slugs=("signup-welcome",),
        times=3,
    ),
    Trouble(
        "pause",
        "refund",
        40.5,
        43,
        "a user pauses three runs, and resumes them",
        "they go on, no failures",
        slugs=("refund",),
        times=3,
    ),
    Trouble(
        "refuse",
        "mailer",
        44,
        47,
        "mailer is down: connections are refused",
        "fetch failed, runs fail",
        slugs=("refund", "signup-welcome"),
    ),
    Trouble(
        "unknown_slug",
        "back-office",
        48,
        50,
        "somebody sends webhooks for a workflow that isn't there",
        "404; the web layer reports them",
        times=10,
    ),
    Trouble(
        "surge",
        "",
        51,
        55,
        "2.5 times as many webhooks",
        "more of everything",
        share=2.5,
    ),
    Trouble(
        "unavailable",
        "ledger",
        51.5,
        54.5,
        "ledger answers 503 to 40 % of the requests",
        "many repeated tries, hardly a failed run",
        slugs=("invoice-export",),
        share=0.4,
    ),
    Trouble(
        "crash",
        "invoice-export",
        55.5,
        57,
        "two workers crash in the middle of a step",
        "two runs hang: stuck, not failed",
        slugs=("invoice-export",),
        times=2,
    ),
)


class Script:
    """The hour laid over `seconds`: in less time the same troubles come closer together."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.seconds = seconds
        self.seed = seed
        random = Random(f"{seed}/troubles")
        self.troubles = tuple(self._placed(trouble, random) for trouble in _HOUR)
        self.arrivals = tuple(self._numbered())

    def active(self, kind: Kind, target: str, second: float) -> Trouble | None:
        """The trouble of a kind that `target` has at a moment."""
        for trouble in self.troubles:
            if trouble.kind == kind and trouble.target == target and trouble.start <= second < trouble.end:
                return trouble
        return None

    def _placed(self, trouble: Trouble, random: Random) -> Trouble:
        scale = self.seconds / 60
        later = random.uniform(0, _LATEST_START) / 60
        return replace(trouble, start=(trouble.start + later) * scale, end=(trouble.end + later) * scale)

    def _numbered(self) -> Iterator[Arrival]:
        random = Random(f"{self.seed}/arrivals")
        found = [arrival for blueprint in BLUEPRINTS for arrival in self._usual(blueprint, random)]
        for trouble in self.troubles:
            found += self._of(trouble, random)
        for number, arrival in enumerate(sorted(found, key=lambda arrival: arrival.second), 1):
            bad = self.active("bad_body", arrival.slug, arrival.second)
            yield replace(arrival, number=number, has_bad_body=bad is not None and random.random() < bad.share)

    def _usual(self, blueprint: Blueprint, random: Random) -> Iterator[Arrival]:
        """Independent arrivals at the workflow's rate, and at a multiple of it while there is a surge."""
        second = 0.0
        most = max(trouble.share for trouble in self.troubles if trouble.kind == "surge")
        while (second := second + random.expovariate(blueprint.per_minute * most / 60)) < self.seconds:
            surge = self.active("surge", "", second)
            if random.random() < (surge.share if surge else 1.0) / most:
                yield Arrival(second, 0, blueprint.project, blueprint.slug)

    def _of(self, trouble: Trouble, random: Random) -> Iterator[Arrival]:
        """The webhooks that are the trouble, and those that make sure that somebody meets it in its first half."""
        for _ in range(trouble.times if trouble.kind in ("unsigned", "unknown_slug") else 0):
            second = random.uniform(trouble.start, trouble.end)
            slug = "no-such-workflow" if trouble.kind == "unknown_slug" else "order-intake"
            yield Arrival(second, 0, trouble.target, slug, is_signed=trouble.kind != "unsigned")
        for slug in trouble.slugs:
            for _ in range(_SURE_ARRIVALS):
                second = random.uniform(trouble.start, (trouble.start + trouble.end) / 2)
                yield Arrival(second, 0, BY_SLUG[slug].project, slug)
