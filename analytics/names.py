"""Projects and workflows by name: what people read where rows hold ids."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ingest.database import Connection
from ingest.plain_text import is_plain_line
from ingest.statements import load_statements

_SQL = load_statements(__file__)
_LONGEST = 80
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Names:
    """Labels by id. No two projects and no two workflows read the same, and what has no name reads as its id."""

    projects: Mapping[str, str] = field(default_factory=dict)
    workflows: Mapping[str, str] = field(default_factory=dict)
    displayed: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def project(self, project_id: object) -> str:
        """The project's name."""
        return self.projects.get(str(project_id), str(project_id))

    def workflow(self, workflow_id: object) -> str:
        """Slug and version, with the project where another one has a workflow of that name."""
        return self.workflows.get(str(workflow_id), str(workflow_id))

    def about_workflow(self, workflow_id: object) -> str:
        """What a tooltip adds: the display name where it differs from the slug, the project, and the id."""
        key = str(workflow_id)
        owner = self.projects.get(self.owners.get(key, ""), "")
        return " · ".join(text for text in (self.displayed.get(key, ""), owner, key) if text)


def names(connection: Connection) -> Names:
    """The names that are known now; none where no MeshHook is connected and no project was made."""
    called = {key: _readable(name) or key for key, name in connection.execute(_SQL["project_names"])}
    projects = _told_apart(called, str)
    labels: dict[str, str] = {}
    displayed: dict[str, str] = {}
    owners: dict[str, str] = {}
    for key, project_id, slug, version, name in connection.execute(_SQL["workflow_names"]):
        readable_slug, readable_name = _readable(slug), _readable(name)
        label = readable_slug or readable_name or key
        labels[key] = label if version is None else f"{label} v{version}"
        if readable_name and readable_name != label:
            displayed[key] = readable_name
        if project_id is not None:
            owners[key] = project_id
    workflows = _told_apart(labels, lambda key: projects.get(owners.get(key, ""), owners.get(key, "")))
    return Names(projects, _told_apart(workflows, str), displayed, owners)


def by_name(ids: Iterable[str], label: Callable[[str], str]) -> list[str]:
    """Each id once, in the order in which people look for a label: v2 before v10. Ids without a name come last."""

    def position(key: str) -> tuple[bool, list[tuple[int, str]], str]:
        text = label(key)
        if text == key:
            return True, [], key
        # Text stands at even places, digits at odd ones.
        parts = enumerate(_DIGITS.split(text.casefold()))
        return False, [(int(part), "") if n % 2 else (0, part) for n, part in parts], key

    return sorted(set(ids), key=position)


def _readable(text: str) -> str:
    """One line of text, whatever was typed in MeshHook."""
    line = "".join(character for character in " ".join(text.split()) if is_plain_line(character))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _told_apart(labels: Mapping[str, str], addition: Callable[[str], str]) -> dict[str, str]:
    """The labels, with an addition to those that stand more than once."""
    times = Counter(labels.values())
    return {
        key: f"{label} · {more}" if times[label] > 1 and (more := addition(key)) else label
        for key, label in labels.items()
    }
