"""Which rows an erasure takes: by one kind of key, with one or more of its values."""

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from analytics.lake import Dataset
from ingest.masking.marks import MARK
from ingest.masking.masker import Masker
from ingest.statements import load_statements
from jobs.exceptions import EraseRefused

Kind = Literal["project", "workflow", "run", "fingerprint", "value"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SQL = load_statements(__file__)
_WITH_ID: tuple[Kind, ...] = ("project", "workflow", "run")
_OF_TRIALS: tuple[Kind, ...] = ("project", "workflow")


@dataclass(frozen=True, slots=True)
class Selection:
    """`keys` are ids, fingerprints, or for `value` the marks that stand in place of it; at least one."""

    kind: Kind
    keys: tuple[str, ...]

    @staticmethod
    def of(kind: Kind, keys: list[str]) -> "Selection":
        """Raises EraseRefused for a key that can't be one of its kind."""
        return Selection(kind, tuple(dict.fromkeys(_checked(kind, key) for key in keys)))

    def takes(self, dataset: Dataset) -> bool:
        """Whether rows of a dataset can have such a key."""
        return dataset == "errors" or self.kind in _OF_TRIALS

    def in_lake(self) -> str:
        """A condition for DuckDB, never null; its parameter is `keys`."""
        return _SQL[f"lake_{self.kind}"].decode()

    def in_postgres(self) -> bytes:
        """A condition for Postgres; its parameter is `keys`."""
        return _SQL[f"postgres_{self.kind}"]


def _checked(kind: Kind, key: str) -> str:
    if kind not in _WITH_ID:
        if not key or len(key) > 1000 or "\x00" in key:
            raise EraseRefused(f"This can't be a {kind}.")
        return key
    try:
        return str(UUID(key))
    except ValueError:
        raise EraseRefused(
            f"The id of a {kind} looks like 0f8fad5b-d9cb-469f-a165-70867728950e, not {key!r}."
        ) from None


def marks_of(masker: Masker, value: str) -> list[str]:
    """The keyed marks that stand in place of a plain value, or in a text that holds some; a mark stands for itself.

    Raises EraseRefused where there is none: nothing can be found by it then.
    """
    found = [mark for mark in MARK.findall(masker.text(value.strip())) if mark.count(":") == 2]
    if not found:
        raise EraseRefused(
            "Masking makes no mark of this value by which it could be found: it isn't recognised by its looks, or its "
            "mark has no hash. See docs/masking.md, «By looks»."
        )
    return found
