"""What comes along in a message and isn't one: a body in JSON or HTML, the details of a database, a stack."""

import re

import re2

from ingest.fingerprint.telling import hidden

_JSON = re.compile(r"\{\s{0,80}\\?[\"'][\w.-]{1,60}\\?[\"']\s*:|\[\s{0,80}\{")
_HTML = re.compile(r"<(?:!doctype|html|\?xml|head|body|(?:soap|soapenv|s|env):envelope)\b", re.IGNORECASE)
_XML = re.compile(r"<([A-Za-z][\w:.-]{0,60})[^<>\n]{0,300}>[\s\S]*</\1>")
_XML_CODE = re.compile(r"<(?:\w{1,20}:)?(?:faultcode|error|code)>([\w.:-]{1,60})<", re.IGNORECASE)
_TEXT = r"\\?[\"']([^\"'\\\n]{{1,60}})\\?[\"']"
_PAIR = (
    r"\\?[\"']({names})\\?[\"']\s*:\s*(?:[\[(]\s*)?"  # a value, or the first two of several
    rf"(?:{_TEXT}(?:\s*,\s*{_TEXT}\s*[\])])?|(-?\d{{{{1,6}}}})\b)"
)
_CODE = re.compile(_PAIR.format(names="code|error_code|errorCode|error|reason|err|errno|fault"))
_FIELD = re.compile(
    _PAIR.format(names="path|field|param|parameter|property|loc|pointer|column|constraint|target|source")
)
_SAID = re.compile(_PAIR.format(names="message|msg|error_description|detail|title|description"))
_NAME = re.compile(r"[\w./ \[\]-]{1,60}")
_STACK = re.compile(
    r"\n[ \t]{0,80}at (?:async )?[\w$.<(/]|\nTraceback \(most recent|\ngoroutine \d|\n#\d{1,3} "
    r"|\n[ \t]{0,80}from \S{1,200}:\d|\nstack backtrace:|\nnote: run with|\nStack trace:",
    re.IGNORECASE,
)
# Lines that go: details of a database, a program's lines that are shown with an error, what its author may have meant.
_DROPPED = re.compile(
    r"(?:DETAIL|HINT|STATEMENT|QUERY|LOCATION):|LINE \d{1,6}:|[>→] ?\d{1,7}\b|\d{1,7} ?[|│]|Did you mean\?"
    r"|Is the server running|\tIs the server"
)
_POINTED = re.compile(r"[→>] ?\d{1,7}\b")  # then lines around it are numbered, too
_NUMBERED = re.compile(r"\d{1,7}\b")
_CARETS = re.compile(r"[|│]? ?[-.]{0,200}[\^~]{1,200}")
_LAST = ("Multiple connection attempts failed", "Require stack:", "Extracted source (")
_ADDED = re.compile(
    r"\[parameters?: [^\n]*| with params \[[^\n]{0,600}?\](?=:|\n|\Z)|\(Background on this error at: [^)\n]*\)?"
    r"|\n?For more information check[^\n]*"
    r"|For further information visit[^\n]*|(?<=input_value=)[^\n]{0,300}?(?=, input_type|\]|\n|\Z)"
)
# Of a statement, what it does to what: the values in it are anybody's.
_STATEMENT = re.compile(
    r"([\[(])(?:Connection: [\w-]{1,40}, )?(?:Host: [^,\n]{0,80}, Port: \d{0,5}, Database: [^,\n]{0,80}, )?"
    r"(SQL: (?:[^\s)\]]{1,80}[ \n\t]{1,8}){1,3}[^\s)\]]{0,80})[\s\S]*"
)
# The first of several tells.
_SEVERAL = re.compile(r"(\d+ validation errors? for [^\n]{1,200}\n[^\n]{1,200}\n[^\n]{1,300})\n[\s\S]*")
_AT_SOURCE = re.compile(r"\s?at \[Source: [^\n]{0,600}?line: \d{1,9}, column: \d{1,9}\]")
# What a web server adds about the request.
_OF_REQUEST = re.compile(r"(, client: )[\d.:a-f]{3,45}, server: [^\n]*")
_RETRIED = re.compile(
    r"[,;.:(] ?\(?(?:retrying|re-?queue?ing|will (?:be )?retr(?:y|ied)|retry (?:in|after|at)|giving up|gave up"
    r"|no more retries|next (?:try|attempt|retry))\b[^,;:()\n]{0,80}\)?"
    r"|,? ?\(?(?:and |\+ ?)\d{1,9} (?:more|others?)\b[^,.;)\n]{0,40}\)?",
    re.IGNORECASE,
)
_MAY_BE_RETRIED = re2.compile(rb"(?i)retr[yi]|requeu|re-queu|giving up|gave up|next (?:try|attempt)|\d (?:more|other)")
_MAY_HAVE_MORE = re2.compile(
    rb"\[parameter|with params|Background on|or (?:more|further) information|input_value="
    rb"|[.;] (?:Did you|Perhaps you|See |For |Please )"
)
_CUT = ("…", "...", "]", ">", "… ", "... ")
_CUT_OFF = re.compile(r"\S{0,80}(?:…|\.\.\.|\[(?:cut|truncated)[^\]]{0,40}\]|<truncated>)\s*\Z", re.IGNORECASE)
_LATER_ADVICE = re.compile(r"[.;] (?:Did you mean|Perhaps you meant|See |For more information|Please )[^\n]*")


def without_documents(text: str) -> str:
    """`text` with a document in it replaced by what is telling of it, and without details and stacks below it."""
    if text.endswith(_CUT):
        text = f"{text[:-200]}{_CUT_OFF.sub('', text[-200:])}"
    if "\n" in text:
        found = _STACK.search(text)
        if found and text[: found.start()].strip():
            text = text[: found.start()]
        text = _SEVERAL.sub(r"\1", "\n".join(_kept(text.split("\n"))))
    if "Source: " in text:
        text = _AT_SOURCE.sub("", text)
    if "SQL: " in text:
        text = _STATEMENT.sub(r"\1\2", text)
    if ", client: " in text:
        text = _OF_REQUEST.sub("", text)
    raw = text.encode("utf-8", "replace")
    if _MAY_HAVE_MORE.search(raw):
        text = _ADDED.sub("", _LATER_ADVICE.sub("", text))
    if _MAY_BE_RETRIED.search(raw):
        text = _RETRIED.sub("", text)
    if "<" in text and (page := _HTML.search(text)):
        text = f"{text[: page.start()]}<html>"
    if "</" in text and (page := _XML.search(text)):
        code = _XML_CODE.search(page[0])
        text = f"{text[: page.start()]}<xml {code[1] if code else ''}>{text[page.end() :]}"
    if ("{" in text or "[" in text) and (begin := _JSON.search(text)):
        end = _end(text, begin.start())
        text = f"{text[: begin.start()]}{_told(text[begin.start() : end])}{text[end:]}"
    return text


def _kept(lines: list[str]) -> list[str]:
    kept: list[str] = []
    is_numbered = any(_POINTED.match(line.strip()) for line in lines)
    for line in lines:
        bare = line.strip()
        if bare.startswith(_LAST):
            break
        if _CARETS.match(bare):
            if len(kept) > 1 and (kept[-1][0].isspace() or bare.startswith("-")):  # the line of code that they point at
                kept.pop()
        elif bare and not _DROPPED.match(bare) and not (is_numbered and _NUMBERED.match(bare)):
            kept.append(line)
    return kept


def _end(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] in "[{") - (text[position] in "]}")
        if depth == 0:
            return position + 1
    return len(text)


def _told(document: str) -> str:
    """The first code, or what it says where there is none, and the first field."""
    code, field = _first(_CODE, document), _first(_FIELD, document)
    if code.isdecimal() or (len(code) <= 12 and " " not in code):
        code = hidden(code)
    if (not code or document == code) and (said := _SAID.search(document)):
        code = (said[2] or "")[:60]
    return f"<json {code} {'' if field.startswith('/') else field}>" if code else "<json>"


def _first(expression: re.Pattern[str], document: str) -> str:
    for match in expression.finditer(document):
        values = [value for value in match.groups()[1:] if value]
        if values and all(_NAME.fullmatch(value) for value in values):
            return ".".join(values)
    return ""
