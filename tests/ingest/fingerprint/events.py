"""Events to group, in short."""

from typing import Any

from ingest.fingerprint import fingerprint

Frame = dict[str, Any]


def frames(*functions: str, line: int = 1, file: str = "/srv/app/crm.py", in_app: bool = True) -> list[Frame]:
    """A frame for each function, the failing one last."""
    return [{"file": file, "line": line, "function": name, "in_app": in_app} for name in functions]


def group(
    message: str = "m",
    kind: str = "E",
    trace: list[Frame] | None = None,
    source: str = "worker",
    **more: Any,
) -> str:
    """The group of an error of these."""
    metadata: dict[str, Any] = {"message": message, "exception": {"type": kind, "value": message}, **more}
    return fingerprint(source, metadata | ({"frames": trace} if trace else {}), message)
