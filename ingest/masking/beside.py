"""Values beside a telling name: `password=…`, `"token": "…"`, `<secret>…</secret>`, a header's line and their like.

Every expression is linear: bounded or possessive repeats, so a hostile text can't hang the writer.
"""

import re
from collections.abc import Callable

from ingest.masking.marks import MARK, mark_of_name
from ingest.masking.names import KeyNames

_ASSIGNMENT = re.compile(
    r"""(?:(?<![\w.$-])(?!(?<=\\)[nrt]|(?<=%)[0-9A-Fa-f]{2})|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))(?<!\[masked:)(?P<name>[\w.$-]++)"""
    r"""(?P<between>(?:\\{0,15}["'`”]|%22|%27)?(?:\]|%5[Dd])?\s{0,3}(?:=>|:=|={1,3}|:|%3[AaDd]|＝|：)\s{0,3})"""
)
_OPENING = re.compile(r"[bBuUrRfF]?(\\{0,15})([\"'`“])")
_ENCLOSING = re.compile(r"(\\{0,15})([\"'`])\Z")
_BARE = re.compile(
    rf"""(?:{MARK.pattern}|[^\s"'`&<>,;)}}\]\\]|[,;](?=[^\s"'`\\&<>,;)}}\]])(?![\w.\[\]-]{{1,40}}[=:])"""
    r"""|[)}\]](?=[^\s"'`&<>,;.:)}\]\\])|\\++(?!["'`]))++"""
)
_CODE = re.compile(r"[A-Za-z_][\w.]{0,80}[(\[]")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|ApiKey|Key)[ \t]{1,4}\S+", re.IGNORECASE)
_NOTHING = frozenset(("null", "none", "nil", "true", "false", "undefined", "nan"))
# What follows a colon in prose: «token: missing», «password: must be longer».
_PROSE = _NOTHING | frozenset(
    """required missing invalid expired malformed must should not no too is was are has cannot can can't could couldn't
    does doesn't failed disabled enabled unknown unset empty or and for the a an of authentication authorization header
    closed opened given rejected revoked unsupported mismatch incorrect wrong denied unauthorized forbidden field
    string str number int integer bool boolean object any bytes optional this value unexpected""".split()
)
ASSIGNED = ("=", ":", "%3", "＝", "：")  # one of them stands in every assignment
_Q = r"\\{0,7}[\"']"
_FORMS = (  # what a text must hold for it, and a value in another form beside its name
    ("</", r"<(?P<name>[\w.:-]++)[^<>\n]{0,200}>(?P<value>[^<]{1,4096})"),
    ("--", r"(?<![\w-])(?P<name>--[\w.-]++)\s{1,3}[\"']?(?P<value>[^\s\"']{1,1024})"),
    ("[|(", rf"[\[(]\s?b?{_Q}(?P<name>[\w.-]{{1,60}}){_Q},\s?b?{_Q}(?P<value>[^\"'\\\r\n]{{1,2048}})(?={_Q}\s?[\])])"),
    (" is | was ", r"(?<![\w.-])(?P<name>[\w.-]++) (?:is|was) [\"']?(?P<value>(?=[^\s\"']{0,60}\d)[^\s\"']{6,1024})"),
)
FORMS = tuple((tuple(hints.split("|")), re.compile(expression)) for hints, expression in _FORMS)
EXAMPLES = (  # one for each form, for the docs; a test proves that each is masked
    "password=Zq7Xw9Lm",
    "GET /a?page=2&api_key=Zq7Xw9Lm",
    "user%5Bpassword%5D=Zq7Xw9Lm",
    '{"client_secret": "Zq7Xw9Lm"}',
    r"{\"token\": \"Zq7Xw9Lm\"}",
    "'secret' => 'Zq7Xw9Lm'",
    "Server=db;Password=Zq7Xw9Lm;",
    "Cookie: sid=Zq7Xw9Lm; theme=dark",
    "curl -H 'Authorization: Zq7Xw9Lm'",
    "--token Zq7Xw9Lm",
    "<password>Zq7Xw9Lm</password>",
    '["x-api-key", "Zq7Xw9Lm"]',
    "password is Zq7Xw9Lm",
)
_Stays = Callable[[str], bool]


class Beside:
    """Hides what stands beside the names that tell, but for values of which `stays` says so."""

    def __init__(self, names: KeyNames, stays: _Stays) -> None:
        self._names = names
        self._stays = stays

    def form(self, expression: re.Pattern[str], text: str) -> str:
        """`text` without the values that one of FORMS finds."""
        return expression.sub(self._named, text)

    def _named(self, match: re.Match[str]) -> str:
        value = match["value"].strip()
        if not self._names.is_secret(match["name"][-200:]) or not value or value.lower() in _PROSE:
            return match[0]
        if MARK.fullmatch(value) or self._stays(value):
            return match[0]
        return match[0][: match.start("value") - match.start()] + mark_of_name(match["name"])

    def assigned(self, text: str) -> str:
        """`text` without values after `name=`, `name:`, `"name": ` and their like, to the end that quotes or brackets
        give them."""
        parts: list[str] = []
        done = position = 0
        while match := _ASSIGNMENT.search(text, position):
            position = match.end()
            if not self._names.is_secret(match["name"][-200:]):
                continue
            begin, end = _extent(text, match)
            is_short = end - begin < 3 and not text[begin:end].isalnum()
            if is_short or MARK.fullmatch(text, begin, end) or self._stays(text[begin:end]):
                position = end
            else:
                parts += (text[done:begin], mark_of_name(match["name"]))
                done = position = end
        return "".join((*parts, text[done:])) if parts else text


def _extent(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Where the value after `match` begins and ends; an empty extent where there is nothing to hide."""
    start = match.end()
    if opening := _OPENING.match(text, start):
        end = _closing_quote(text, opening.end(), opening)[0]
        return (start, start) if text[opening.end() : end].lower() in _NOTHING else (opening.end(), end)
    if text[start : start + 1] in ("[", "{") and not MARK.match(text, start):
        return start, _bare_end(text, _closing_bracket(text, start))
    bare = _BARE.match(text, start)
    word = bare[0].rstrip(".!?:").lower() if bare else ""
    if word in _NOTHING or (word in _PROSE and ":" in match["between"]):
        return start, start
    if ":" in match["between"] and match["name"].lower().endswith(("cookie", "authorization")):
        return start, _header_end(text, match)
    if bare is None:
        return start, start
    following = _OPENING.match(text, bare.end()) if bare[0].endswith(("(", "[")) else None
    if following:  # Secret("…")
        return start, _bare_end(text, _closing_quote(text, following.end(), following)[1])
    if match["between"].startswith(" ") and match["between"].endswith(" ") and _CODE.match(bare[0]):
        return start, start  # a line of code: token = read(path)
    return bare.span()


def _closing_quote(text: str, begin: int, opening: re.Match[str]) -> tuple[int, int]:
    """The quote, with as many backslashes, that ends on the same line what `opening` began."""
    quote = rf"(?<!\\)\\{{{len(opening[1])}}}{'”' if opening[2] == '“' else opening[2]}"
    closing = re.compile(rf"{quote}|(?=\n)|\Z").search(text, begin)
    return closing.span() if closing else (len(text), len(text))


def _closing_bracket(text: str, start: int) -> int:
    depth, limit = 0, min(len(text), start + 4096)
    for position in range(start, limit):
        depth += (text[position] in "[{") - (text[position] in "]}")
        if depth == 0:
            return position + 1
    return limit


def _bare_end(text: str, start: int) -> int:
    bare = _BARE.match(text, start)
    return bare.end() if bare else start


def _header_end(text: str, match: re.Match[str]) -> int:
    """A header goes to the end of its line, or of the quotes around it; usual credentials are one word."""
    enclosing = _ENCLOSING.search(text, max(0, match.start() - 16), match.start())
    if enclosing:
        return _closing_quote(text, match.end(), enclosing)[0]
    credential = _SCHEME.match(text, match.end())
    line_end = text.find("\n", match.end())
    return credential.end() if credential else len(text) if line_end < 0 else line_end
