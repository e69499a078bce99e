"""Stack traces as text, in the forms of Python, V8 (Node, Chrome) and the JVM, into our frames: oldest call first.

Each line is looked at once, without searching back and forth, and only so many of them.
"""

import re

from ingest.doors.shapes import start_of
from ingest.models import JsonObject

_MOST_TEXT = 200_000  # characters
_LONGEST_LINE = 1_000
_MOST_FRAMES = 100
_LONGEST_CONTEXT = 300

_PYTHON_BEGINS = "Traceback (most recent call last):"
_PYTHON_FRAME = re.compile(r'File "([^"]+)", line (\d{1,9}), in (.+)')
_JVM_FILE = re.compile(r"[\w$.-]+\.(?:java|kts?|scala|groovy|cljc?)").fullmatch
_JVM_PLACES = ("Native Method", "Unknown Source", "<generated>")
_DOTTED = re.compile(r"(?:(?:[\w$]+|<\w+>)\.)+(?:[\w$]+|<\w+>)").fullmatch
_OTHERS_BEGIN = ("Caused by:", "Suppressed:", "[cause]:", "[errors]:")

_NOT_OURS = ("site-packages", "dist-packages", "node_modules", "/lib/python3")
_NOT_OURS_FILES = ("node:", "internal/", "<", "index ")
_NOT_OURS_MODULES = ("java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.")


def stack_frames(text: str) -> list[JsonObject]:
    """The frames of the exception that a stack trace is about; none where the form isn't known. Of too many, the
    middle goes."""
    if _PYTHON_BEGINS in text:
        frames = _python(text[-_MOST_TEXT:].splitlines())
    else:
        frames = _newest_first(text[:_MOST_TEXT].splitlines())[::-1]
    return frames if len(frames) <= _MOST_FRAMES else frames[: _MOST_FRAMES // 2] + frames[-_MOST_FRAMES // 2 :]


def split_name(name: str) -> tuple[str | None, str]:
    """Module and own name of a dotted one, such as `java.lang.IllegalStateException`; any other stays whole."""
    if len(name) > _LONGEST_LINE or not _DOTTED(name):
        return None, name
    module, _, own = name.rpartition(".")
    return None if module == "builtins" else module, own


def frame(file: str, function: str, line: int | None = None, column: int | None = None, module: str = "") -> JsonObject:
    """One frame, and whether it is the application's own."""
    file = file.removeprefix("file://")
    known: JsonObject = {"file": file, "function": function or "?", "in_app": _is_in_app(file, module)}
    if line is not None:
        known["line"] = line
    if column is not None:
        known["column"] = column
    if module:
        known["module"] = module
    return known


def _is_in_app(file: str, module: str) -> bool:
    return not (
        any(mark in file for mark in _NOT_OURS)
        or file.startswith(_NOT_OURS_FILES)
        or file == "native"
        or module.startswith(_NOT_OURS_MODULES)
    )


def _python(lines: list[str]) -> list[JsonObject]:
    """The last trace of a chain: what was raised in the end. Of a group, its own frames and not its members'."""
    frames: list[JsonObject] = []
    is_in_members = False
    indent = 0
    for whole in lines:
        line = whole[:_LONGEST_LINE]
        words = line.lstrip(" |+")
        if line.lstrip().startswith("+--") or line.lstrip().startswith("+-+"):
            is_in_members = True
        elif line[:1].strip():
            is_in_members = False
        if is_in_members:
            continue
        if words.endswith(_PYTHON_BEGINS):
            frames = []
        elif match := _PYTHON_FRAME.match(words):
            frames.append(frame(match[1], match[3].strip(), int(match[2])))
            indent = len(line) - len(words)
        elif frames and indent and words.strip("^~ ") and len(line) - len(words) > indent:
            if not words.startswith("[Previous line"):
                frames[-1]["context_line"] = start_of(words.strip(), _LONGEST_CONTEXT)
            indent = 0
    return frames


def _newest_first(lines: list[str]) -> list[JsonObject]:
    """Lines that begin with `at`, up to those of a cause."""
    frames: list[JsonObject] = []
    for whole in lines:
        line = whole[:_LONGEST_LINE].strip()
        if frames and line.startswith(_OTHERS_BEGIN):
            break
        if line.startswith("at "):
            call = line[3:].removesuffix("{").strip()  # Node prints a brace where properties follow
            if found := _jvm_frame(call) or _v8_frame(call):
                frames.append(found)
    return frames


def _jvm_frame(call: str) -> JsonObject | None:
    """`java.base/java.lang.Thread.run(Thread.java:829)`"""
    name, _, rest = call.partition("(")
    file, _, digits = rest.partition(")")[0].partition(":")
    if not (_JVM_FILE(file) or file in _JVM_PLACES) or " " in name:
        return None
    for _ in range(2):  # a class loader, and a module
        before, slash, after = name.partition("/")
        if slash and "$" not in before:
            name = after
    module, _, function = name.rpartition(".")
    return frame(file, function, _number(digits), module=module) if module else None


def _v8_frame(call: str) -> JsonObject | None:
    """`Object.load (file:///app/load.mjs:3:14)`, or the place alone."""
    call = call.removeprefix("async ")
    function, bracket, place = call.partition(" (")
    if bracket and place.endswith(")"):
        place = place[:-1].rpartition(", ")[2]
    else:
        function, place = "<anonymous>", call
    file, line, column = _place(place)
    if line is None and not (bracket and file.startswith(("<anonymous>", "native", "index "))):
        return None
    return frame(file, function, line, column)


def _place(text: str) -> tuple[str, int | None, int | None]:
    """File, line and column of `file:line:column`."""
    before, _, last = text.rpartition(":")
    file, _, line = before.rpartition(":")
    if _number(last) is None:
        return text, None, None
    return (before, _number(last), None) if _number(line) is None else (file, _number(line), _number(last))


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None
