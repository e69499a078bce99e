"""The frames of a stack that came as text, for an error that has no others."""

import re

from ingest.fingerprint.frames import Frame

_MOST_TEXT, _MOST_FRAMES = 16_000, 60
_CALL = re.compile(
    r"^[ \t]*File \"(?P<python_file>[^\"\n]{1,300})\", line \d{1,7}, in (?P<python>[^\n]{1,200})$"
    r"|^[ \t]*at (?P<script>[^()\n]{1,200}?) \((?P<script_file>[^()\n]{1,300}?)(?::\d{1,9}){1,2}\)$"
    r"|^[ \t]*at (?P<jvm_module>[\w.$/@<>+`]{1,300})\.(?P<jvm>[\w$<>|`]{1,200})\([^\n]{0,300}$"
    r"|^(?P<go_module>[\w./-]{1,200}?)\.(?P<go>[(*\w][^\n]{0,200})\([^()\n]{0,300}\)\n\t(?P<go_file>[^\n:]{1,300}):\d"
    r"|^[ \t]*(?:from )?(?P<ruby_file>[^:\n]{1,300}\.rb):\d{1,7}:in [`'](?P<ruby>[^'\n]{1,200})'"
    r"|^#\d{1,3} (?P<php_file>[^(\n]{1,300})\(\d{1,7}\): (?P<php>[^(\n]{1,200})\("
    r"|^[ \t]*\d{1,3}: (?:0x[0-9a-f]{1,16} - )?(?P<rust>[\w<][^\n]{1,200})\n[ \t]+at (?P<rust_file>[^\n:]{1,300}):\d",
    re.MULTILINE,
)
_MARK = re.compile(
    r"\n[ \t]*at |\nTraceback|^Traceback|\ngoroutine \d|\n[ \t]*(?:from )?\S{1,200}:\d+:in [`']|\n#0 "
    r"|\nstack backtrace:"
)


def holds_stack(text: str) -> bool:
    """Whether a text has a stack in it."""
    return "\n" in text and _MARK.search(text, 0, _MOST_TEXT) is not None


def frames_in(text: str) -> tuple[Frame, ...]:
    """The frames of the first stack in `text`, the failing call last; of its innermost exception's in Python."""
    frames: list[Frame] = []
    is_innermost_last = False
    text = text[:_MOST_TEXT].partition("\nCaused by: ")[0]
    for match in _CALL.finditer(text):
        found = match.groupdict("")
        is_innermost_last = is_innermost_last or bool(found["python"])
        function = next(
            filter(None, (found[name] for name in ("python", "script", "jvm", "go", "ruby", "php", "rust"))), ""
        )
        file = next(
            filter(None, (found[f"{name}_file"] for name in ("python", "script", "go", "ruby", "php", "rust"))), ""
        )
        frames.append((file, function, found["jvm_module"] or found["go_module"]))
        if len(frames) == _MOST_FRAMES:
            break
    return tuple(frames if is_innermost_last else frames[::-1])
