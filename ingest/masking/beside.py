"""Values beside a telling name: `password=…`, `"token": "…"`, `<secret>…</secret>`, a header's line and their like.

Every expression is linear: bounded or possessive repeats, so a hostile text can't hang the writer.
"""

import re
from collections.abc import Callable

from ingest.masking.marks import MARK, mark_of_name
from ingest.masking.names import KeyNames
from ingest.masking.randomness import has_random
from ingest.masking.spoken import Form

_ASSIGNMENT = re.compile(
    r"""(?:(?<![\w.$-])(?!(?<=\\)[nrt]|(?<=%)[0-9A-Fa-f]{2})|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))(?<!\[masked:)(?P<name>[\w.$-]++)"""
    r"""(?P<between>(?:\\*+["'`”]|%22|%27)?(?:\]|%5[Dd])?\s{0,3}(?:=>|(?<=\s)->(?=\s)|:=|={1,3}|:(?!:)|%3[AaDd]|＝|：)\s{0,3})"""
)
_OPENING = re.compile(r"[bBuUrRfF]?(\\*+)([\"'`“])")
_ENCLOSING = re.compile(r"(?<!\\)(\\*+)([\"'`])\Z")
_BARE = re.compile(
    rf"""(?:{MARK.pattern}|[^\s"'`&<>,;)}}\]\\]|[,;](?=[^\s"'`\\&<>,;)}}\]])(?![\w.\[\]-]{{1,40}}[=:])"""
    r"""|[)}\]](?=[^\s"'`&<>,;.:)}\]\\])|\\++(?!["'`]|[nr][\w.-]{1,60}\s{0,3}[=:]))++"""
)
_CODE = re.compile(r"[A-Za-z_][\w.]{0,80}[(\[]")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|ApiKey|Key)[ \t]{1,4}\S+", re.IGNORECASE)
_NOTHING = frozenset(("null", "none", "nil", "true", "false", "undefined", "nan"))
# What follows a colon in prose: «token: missing», «password: must be longer».
_PROSE = _NOTHING | frozenset(
    """required missing invalid expired malformed must should not no too is was are has cannot can can't could couldn't
    does doesn't failed disabled enabled unknown unset empty or and for the a an of authentication authorization header
    closed opened given rejected revoked unsupported mismatch incorrect wrong denied unauthorized forbidden field
    string str number int integer bool boolean object any bytes optional this value unexpected expected needs got takes
    verification include same-origin omit""".split()
)
_STANDS_FOR = re.compile(  # of a secret that another has taken out, or that is still to come
    r"[*•●]{2,64}|[\[<({]{1,2}(?i:redacted|filtered|hidden|removed|scrubbed|masked|secret|sanitized)[\])>}]{1,2}"
    r"|\$\{[A-Za-z_][\w.:-]{0,60}\}?|\{\{[^{}\n]{1,80}\}\}|%\([a-z_]{1,40}\)s|%[sd]"
)
_TYPED = re.compile(r"string\(\d{1,9}\) |\[\]\w{1,20}(?=\{)")  # as PHP and Go write what a value is
_EXPRESSION = re.compile(
    r"(?:self|this|cls|process\.env|os\.environ|os\.getenv|request|req|res|config|settings|env|args|options|ctx|params|props)"
    r"(?:\.[A-Za-z_]|\[)|await [A-Za-z_]"
)
_SAME_SITE = re.compile(r"SameSite=(?:None|Lax|Strict)\b[^;\n]*(?:\n|\Z)")
_ARN = re.compile(r"arn:[\w:-]{1,100}:\Z")
_PROBE = 300
_ENCLOSED = 600  # characters before a header's name: its quote, in nine layers of JSON
_BLANK = re.compile(r":\s+\Z")
_FILE = re.compile(r"\.(?:java|kt|scala|py|rb|php|go|rs|[cm]?[jt]sx?|vue|swift|cs|cpp|c|h|exs?|sql)\Z")
ASSIGNED = ("=", ":", "->", "%3", "＝", "：")  # one of them stands in every assignment
ASSIGNED_EXAMPLES = (  # one for each form, for the docs; a test proves that each is masked
    "password=Zq7Xw9Lm",
    "GET /a?page=2&api_key=Zq7Xw9Lm",
    "user%5Bpassword%5D=Zq7Xw9Lm",
    '{"client_secret": "Zq7Xw9Lm"}',
    r"{\"token\": \"Zq7Xw9Lm\"}",
    "'secret' => 'Zq7Xw9Lm'",
    "Server=db;Password=Zq7Xw9Lm;",
    "Cookie: sid=Zq7Xw9Lm; theme=dark",
    "curl -H 'Authorization: Zq7Xw9Lm'",
    'array(2) { ["password"]=> string(8) "Zq7Xw9Lm" }',
    'http.Header{"X-Api-Key":[]string{"Zq7Xw9Lm"}}',
    "password -> Zq7Xw9Lm, user -> ann",
    "X-Signature: t=1700000000,v1=9f2c4e8a7b1d3f5069ab",
    "/login?code=9f2C4e8a7B1d3f5069ab",
)
_Stays = Callable[[str], bool]


class Beside:
    """Hides what stands beside the names that tell, but for values of which `stays` says so."""

    def __init__(self, names: KeyNames, stays: _Stays) -> None:
        self._names = names
        self._stays = stays

    def spoken(self, form: Form, text: str) -> str:
        """`text` without the values that `form` finds."""
        parts: list[str] = []
        done = position = 0
        while match := form.expression.search(text, position):
            begin, end = match.span("value")
            if self._is_said(form, match["name"], match["value"].strip()):
                parts += (text[done:begin], mark_of_name(match["name"]))
                done = position = end
            else:
                position = begin  # what looked like a value may be a name
        return "".join((*parts, text[done:])) if parts else text

    def _is_said(self, form: Form, name: str, value: str) -> bool:
        if not self._names.is_secret(name[-200:]) or value.lower() in _PROSE or not self._is_value(value):
            return False
        return form.holds is None or form.holds(value)

    def _is_value(self, value: str) -> bool:
        """Whether there is something to hide."""
        return not (not value or MARK.fullmatch(value) or _STANDS_FOR.fullmatch(value) or self._stays(value))

    def assigned(self, text: str) -> str:
        """`text` without values after `name=`, `name:`, `"name": ` and their like, to the end that quotes or brackets
        give them."""
        parts: list[str] = []
        done = position = 0
        while match := _ASSIGNMENT.search(text, position):
            position = match.end()
            name = match["name"][-200:]
            is_secret = self._names.is_secret(name)
            if not is_secret and not (self._names.may_be_secret(name) and _begins_random(text, position)):
                continue
            if _is_place(text, match):
                continue
            begin, end = _extent(text, match)
            value = text[begin:end]
            if not is_secret and not has_random(value):
                continue
            is_short = end - begin < 3 and not value.isalnum()
            if is_short or not self._is_value(value):
                position = end
            else:
                parts += (text[done:begin], mark_of_name(match["name"]))
                done = position = end
        return "".join((*parts, text[done:])) if parts else text


def _is_code(text: str, match: re.Match[str]) -> bool:
    """Whether what follows says where the secret comes from: token = request.headers["x"], self.token = token."""
    start = match.end()
    if _EXPRESSION.match(text, start) or _SAME_SITE.match(text, start):
        return True
    last = match["name"].rpartition(".")[2]
    is_itself = match["between"] == " = " and text.startswith(last, start)
    return is_itself and not text[start + len(last) : start + len(last) + 1].isalnum()


def _begins_random(text: str, position: int) -> bool:
    """Whether it is worth to look for the end of a value that counts only if it is random."""
    return has_random(text[position : position + _PROBE])


def _is_place(text: str, match: re.Match[str]) -> bool:
    """Whether it is a line of a file, TokenService.java:118, or the address of a secret, arn:aws:…:secret:name."""
    if _ARN.search(text, max(0, match.start() - 110), match.start()):
        return True
    return (
        match["between"] == ":" and text[match.end() : match.end() + 1].isdigit() and bool(_FILE.search(match["name"]))
    )


def _extent(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Where the value after `match` begins and ends; an empty extent where there is nothing to hide."""
    start = match.end()
    if typed := _TYPED.match(text, start):
        start = typed.end()
    if opening := _OPENING.match(text, start):
        end = _closing_quote(text, opening.end(), opening)[0]
        return (start, start) if text[opening.end() : end].lower() in _NOTHING else (opening.end(), end)
    if text[start : start + 1] in ("[", "{") and not MARK.match(text, start):
        return start, _bare_end(text, _closing_bracket(text, start))
    bare = _BARE.match(text, start)
    word = bare[0].rstrip(".!?:").lower() if bare else ""
    if word.isdigit() and len(word) < 3:
        return start, start  # «secrets: 0» counts them
    if _is_code(text, match):
        return start, start
    if word in _NOTHING or (word in _PROSE and ":" in match["between"]):
        return start, start
    if "->" in match["between"] and word.isalpha():
        return start, start  # def tokens() -> list
    if ":" in match["between"] and match["name"].lower().endswith(("cookie", "authorization", "signature")):
        return start, _header_end(text, match)
    if bare is None:
        return start, start
    following = _OPENING.match(text, bare.end()) if bare[0].endswith(("(", "[")) else None
    if following:  # Secret("…")
        return start, _bare_end(text, _closing_quote(text, following.end(), following)[1])
    if match["between"].startswith(" ") and match["between"].endswith(" ") and _CODE.match(bare[0]):
        return start, start  # a line of code: token = read(path)
    return start, _past_ampersands(text, bare.end()) if _BLANK.search(match["between"]) else bare.end()


def _past_ampersands(text: str, end: int) -> int:
    """In «password: a&b» no next field begins at the ampersand."""
    while text[end : end + 1] == "&" and (bare := _BARE.match(text, end + 1)):
        end = bare.end()
    return end


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
    enclosing = _ENCLOSING.search(text, max(0, match.start() - _ENCLOSED), match.start())
    if enclosing:
        return _closing_quote(text, match.end(), enclosing)[0]
    credential = _SCHEME.match(text, match.end())
    line_end = text.find("\n", match.end())
    return credential.end() if credential else len(text) if line_end < 0 else line_end
