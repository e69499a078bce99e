"""Projects: the tenants that errors belong to. Each has a short number, which SDKs accept in a DSN where they refuse
a UUID, and a UUID, which rows carry. Number 1 is for errors that name no project."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from ingest.exceptions import IngestError
from ingest.plain_text import NotPlain, checked_name
from ingest.statements import load_statements

if TYPE_CHECKING:
    from ingest.database import Connection

_SQL = load_statements(__file__)
DEFAULT = 1
_LARGEST = 2**31 - 1


class UnknownProject(IngestError):
    """No project has this number."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No project is called {reference!r}. `meshhook-errors projects list` shows the known ones.")


class BadName(IngestError):
    """A name that people couldn't read."""


class ProjectExists(IngestError):
    """A project has this name or id already."""


@dataclass(frozen=True, slots=True)
class Project:
    """`number` is None for a project that is known by its UUID alone; `id` is None for number 1."""

    number: int | None
    id: UUID | None
    name: str = ""
    events_per_minute: int | None = None

    @property
    def reference(self) -> str:
        """How a DSN names it."""
        return str(self.id if self.number is None else self.number)


def create_project(connection: "Connection", name: str, project_id: UUID | None = None) -> Project:
    """Give a project a number. `project_id` is the one that its rows carry, a new one if none is given. Raises
    ProjectExists, BadName."""
    try:
        values = {"name": checked_name(name), "id": project_id or uuid4()}
    except NotPlain as error:
        raise BadName(f"The project's name {error}") from None
    row = connection.execute(_SQL["create_project"], values).fetchone()
    if row is None:
        raise ProjectExists(f"A project with the name {name!r} or this id exists already.")
    return Project(*row)


def list_projects(connection: "Connection") -> list[Project]:
    """All projects that have a number."""
    return [Project(*row) for row in connection.execute(_SQL["list_projects"])]


def limit_project(connection: "Connection", number: int, events_per_minute: int | None) -> Project:
    """Give a project a limit of its own, None for that of the settings; running servers notice within seconds. Raises
    UnknownProject."""
    project = find_project(connection, number)
    values = {"number": project.number, "events_per_minute": events_per_minute}
    connection.execute(_SQL["limit_project"], values)
    return project


def find_project(connection: "Connection", number: int) -> Project:
    """Raises UnknownProject."""
    row = connection.execute(_SQL["find_project"], {"number": number}).fetchone() if number <= _LARGEST else None
    if row is None:
        raise UnknownProject(str(number))
    return Project(*row)


def project_of(reference: str) -> Project | int:
    """What a path or a parameter names: a project by its UUID, or the number of one that is to be looked up. Raises
    UnknownProject."""
    if reference.isascii() and reference.isdecimal() and len(reference) <= 10:
        return int(reference)
    try:
        return Project(None, UUID(reference))
    except ValueError:
        raise UnknownProject(reference[:100]) from None
