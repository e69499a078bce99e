"""What a labelled set says of the hall."""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Score:
    """`right` of `total` entries; `target` is the least share, None where it is shown for comparison only."""

    what: str
    of: str
    right: int
    total: int
    target: float | None = None

    @property
    def share(self) -> float:
        """The part that is right, from 0 to 1."""
        return self.right / self.total

    @property
    def is_met(self) -> bool:
        """Whether the target is reached; true without one."""
        return self.target is None or self.share >= self.target


def is_seen(name: str) -> bool:
    """Whether an entry belongs to the half that rules are written with: a fixed hash of its name decides."""
    return sha256(name.encode()).digest()[0] % 2 == 0
