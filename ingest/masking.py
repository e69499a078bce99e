"""Secrets out, before anything is stored: by the name of a key, and by their looks in any text.

Every expression here is linear: bounded or possessive repeats, so a hostile text can't hang the API. What is hidden
leaves a mark that names its kind, such as `[masked:email]`. Masking a masked text changes nothing.

One look (`_TRIGGER`) spares texts that can't hold a secret. It must match wherever a rule below could: a test checks.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from ingest.models import JsonObject

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_LONG_WORDS = "password passwd passphrase passcode secret authorization cookie credential token bearer sessid".split()
_SHORT_WORDS = frozenset("pwd sid ssn cvv cvc pin otp jwt dsn".split())
_SECRET_WORDS = _SHORT_WORDS.union(_LONG_WORDS)
_SECRET_LAST = frozenset(("auth", "session", "sig"))  # alone, or after other words: basic_auth, but no session_count
_ENDINGS = (*_LONG_WORDS, "apikey", "secretkey", "accesskey", "privatekey", "sessionid", "creditcard", "cardnumber")
_PAIRS = {  # a word, and those of which one must stand before it to make it telling
    "key": "api private access secret signing encryption auth account session ssh master license shared hmac service"
    " storage deploy webhook ingest admin",
    "id": "session",
    "number": "card",
    "account": "bank",
    "card": "credit debit",
    "string": "connection",
    "pass": "db database user smtp mail redis mysql ftp proxy",
    "tokens": "access refresh auth api id bearer session",
    "signature": "amz",
}
_SECRET_PAIRS = frozenset((first, second) for second, firsts in _PAIRS.items() for first in firsts.split())
# After a telling word these say that it is about a secret and none itself: token_count, password_reset_required.
_INNOCENT_AFTER = frozenset(
    "count used usage limit max min total remaining type length size index required policy expire expired expiry"
    " expiration ttl at error exception valid invalid missing not found name kind statu status reset hint changed"
    " created updated age url uri endpoint file path enabled exist version arn timeout duration".split()
)
_INNOCENT_BEFORE = frozenset(("max", "min", "total", "num", "no"))


@lru_cache(maxsize=8192)
def is_secret_key(name: str) -> bool:
    """Whether a value under this key is hidden; snake_case, kebab-case, camelCase and upper case alike."""
    if name.lower() in _SECRET_WORDS or name.lower() == "pass":
        return True
    words = [_singular(word.lower()) for word in _WORDS.findall(name[-200:])]
    for position in range(len(words) - 1, -1, -1):
        if _tells(words, position):
            return _INNOCENT_AFTER.isdisjoint(words[position + 1 :]) and _INNOCENT_BEFORE.isdisjoint(words[:position])
    return False


def _tells(words: list[str], position: int) -> bool:
    word = words[position]
    if word in _SECRET_WORDS or word.endswith(_ENDINGS) or (word in _SECRET_LAST and position == len(words) - 1):
        return True
    return position > 0 and (words[position - 1], word) in _SECRET_PAIRS


def _singular(word: str) -> str:
    """`tokens` stays: they are what language models count."""
    return word[:-1] if len(word) > 3 and word[-1] == "s" and not word.endswith(("ss", "tokens")) else word


@lru_cache(maxsize=1024)
def _mark(name: str) -> str:
    kind = "_".join(word.lower() for word in _WORDS.findall(name[-200:]) if word.isalpha())[:40] or "secret"
    return f"[masked:{kind}]"


_MARK = re.compile(r"\[masked:[a-z0-9_]{1,40}\]")
_ASSIGNMENT = re.compile(
    r"""(?:(?<![\w.$-])(?!(?<=\\)[nrt]|(?<=%)[0-9A-Fa-f]{2})|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))(?<!\[masked:)(?P<name>[\w.$-]++)"""
    r"""(?P<between>(?:\\{0,15}["'`”]|%22|%27)?(?:\]|%5[Dd])?\s{0,3}(?:=>|:=|={1,3}|:|%3[AaDd]|＝|：)\s{0,3})"""
)
_OPENING = re.compile(r"[bBuUrRfF]?(\\{0,15})([\"'`“])")
_ENCLOSING = re.compile(r"(\\{0,15})([\"'`])\Z")
_BARE = re.compile(
    r"""(?:\[masked:[a-z0-9_]{1,40}\]|[^\s"'`&<>,;)}\]\\]|[,;](?=[^\s"'`\\&<>,;)}\]])(?![\w.\[\]-]{1,40}[=:])"""
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


def _mask_assignments(text: str) -> str:
    """Values after `name=`, `name:`, `"name": ` and their like, to the end that quotes or brackets give them."""
    parts: list[str] = []
    done = position = 0
    while match := _ASSIGNMENT.search(text, position):
        position = match.end()
        if not is_secret_key(match["name"][-200:]):
            continue
        begin, end = _extent(text, match)
        if (end - begin < 3 and not text[begin:end].isalnum()) or _MARK.fullmatch(text, begin, end):
            position = end
        else:
            parts += (text[done:begin], _mark(match["name"]))
            done = position = end
    return "".join((*parts, text[done:])) if parts else text


def _extent(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Where the value after `match` begins and ends; an empty extent where there is nothing to hide."""
    start = match.end()
    if opening := _OPENING.match(text, start):
        end = _closing_quote(text, opening.end(), opening)[0]
        return (start, start) if text[opening.end() : end].lower() in _NOTHING else (opening.end(), end)
    if text[start : start + 1] in ("[", "{") and not _MARK.match(text, start):
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


def _named(match: re.Match[str]) -> str:
    """A value in another form beside its name, where the name is telling."""
    value = match["value"].strip()
    if not is_secret_key(match["name"][-200:]) or not value or value.lower() in _PROSE or _MARK.fullmatch(value):
        return match[0]
    return match[0][: match.start("value") - match.start()] + _mark(match["name"])


class _Rule(NamedTuple):
    """`hints`: one of them must occur in the lower-case text. `trigger`: a narrower form of them, for RE2."""

    hints: tuple[str, ...]
    hide: Callable[[str], str]
    trigger: str


def _looks(hints: str, expression: str, replacement: str | Callable[[re.Match[str]], str], trigger: str = "") -> _Rule:
    compiled = re.compile(expression)
    all_hints = tuple(hints.split("|"))
    narrow = trigger or "|".join(map(re.escape, all_hints))
    return _Rule(all_hints, lambda text: compiled.sub(replacement, text), narrow)


_PLAIN_WORD, _PORT = re.compile(r"[A-Z]?[a-z]{1,15}[.:]?"), re.compile(r"\d{1,5}[/?#]")


def _credential(match: re.Match[str]) -> str:
    """«Bearer authentication required» is prose; a credential is no plain word."""
    return match[0] if _PLAIN_WORD.fullmatch(match[3]) else f"{match[1]}{match[2]}[masked:credential]"


def _address(match: re.Match[str]) -> str:
    password = match[2]
    return match[0] if _MARK.fullmatch(password) or _PORT.match(password) else f"{match[1]}:[masked:password]@"


_ISSUER = re.compile(r"[456]|3[04-9]|2[2-7]")
_CARD_LENGTHS = {"4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19), "3": (14, 15, 16), "2": (16,)}


def _is_card(digits: str) -> bool:
    if not _ISSUER.match(digits) or len(digits) not in _CARD_LENGTHS[digits[0]] or len(set(digits)) == 1:
        return False
    return sum(map(int, digits[-1::-2] + "".join(str(2 * int(digit)) for digit in digits[-2::-2]))) % 10 == 0


def _card(match: re.Match[str]) -> str:
    return "[masked:card]" if _is_card(match[0].replace(" ", "").replace("-", "")) else match[0]


_START = r"(?<![A-Za-z0-9])"
_END = r"(?![A-Za-z0-9])"
_CARD_START = rf"(?a){_START}(?<!\d\.)(?=[2-6])"
_CARD_END = rf"{_END}(?!\.[0-9])"
_BEFORE = r"(?:^|[^A-Za-z0-9]|\\[bfnrt]|\\u[0-9a-f]{4}|%[0-9a-f]{2})"  # in JSON a line's first letter follows an n
_BEFORE_WORD = _BEFORE.replace("Za-z0-9", "Za-z", 1)
_CARD_DIGITS = (r"\d{13,19}", r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}", r"\d(?:[ -]?\d){12,18}")
_CARD_TRIGGER = rf"{_BEFORE}(?:[456][0-9]|3[04-9]|2[2-7])(?:[ -]?[0-9]){{11}}"
_CAPITALISED = [f"{word[0].upper()}(?i:{word[1:]})" for word in sorted(_SHORT_WORDS | _SECRET_LAST)]  # userPin
_BY_NAME = "|".join(
    (
        *_LONG_WORDS,
        *(rf"(?:{'|'.join(firsts.split())})s?[^A-Za-z0-9]*{second}" for second, firsts in _PAIRS.items()),
        rf"{_BEFORE_WORD}(?:{'|'.join(sorted(_SHORT_WORDS | _SECRET_LAST | {'pass'}))})s?(?-i:[^a-z]|$)",
        rf"(?-i:(?:{'|'.join(_CAPITALISED)})s?(?:[^a-z]|$))",
    )
)
_KEY_LOOKS = (  # kind, hints, expression, a narrower trigger where the hints are too common
    ("aws_key", "akia|asia", rf"(?:AKIA|ASIA)[0-9A-Z]{{16}}{_END}", "a[ks]ia[0-9a-z]{16}"),
    ("slack_token", "xox|xapp-", r"(?:xox[abeoprs]|xapp)-[\w-]{8,}", ""),
    ("github_token", "gh|github_pat_", r"(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,})", "gh[opsur]_|github_pat_"),
    ("gitlab_token", "glpat-", r"glpat-[\w-]{16,}", ""),
    ("npm_token", "npm_", r"npm_[A-Za-z0-9]{30,}", ""),
    ("stripe_key", "k_live_|k_test_|whsec_", r"(?i:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{8,}", ""),
    ("google_key", "aiza|ya29.|gocspx-", r"(?:AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,})", ""),
    ("api_key", "sk-", r"sk-[A-Za-z0-9_-]{20,}", "sk-[a-z0-9_-]{20}"),
    ("api_key", "sg.", r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}", r"sg\.[a-z0-9_-]{16}"),
    ("api_key", "sk", rf"SK[0-9a-f]{{32}}{_END}", "sk[0-9a-f]{32}"),
    ("api_key", "mh_", r"mh_(?:ingest|read|admin)_[A-Za-z0-9_-]{16,}", "mh_(?:ingest|read|admin)_"),
)
_PEM = r"-----{} [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----"
_Q = r"\\{0,7}[\"']"
_BESIDE_NAMES = (  # <password>…</password>, --password …, ["password", "…"], password is …
    ("</", r"<(?P<name>[\w.:-]++)[^<>\n]{0,200}>(?P<value>[^<]{1,4096})"),
    ("--", r"(?<![\w-])(?P<name>--[\w.-]++)\s{1,3}[\"']?(?P<value>[^\s\"']{1,1024})"),
    ("[|(", rf"[\[(]\s?b?{_Q}(?P<name>[\w.-]{{1,60}}){_Q},\s?b?{_Q}(?P<value>[^\"'\\\r\n]{{1,2048}})(?={_Q}\s?[\])])"),
    (" is | was ", r"(?<![\w.-])(?P<name>[\w.-]++) (?:is|was) [\"']?(?P<value>(?=[^\s\"']{0,60}\d)[^\s\"']{6,1024})"),
)

_RULES = (
    _looks("-----begin", rf"(?s){_PEM.format('BEGIN')}.*?(?:{_PEM.format('END')}|\Z)", "[masked:private_key]"),
    _looks("eyj", r"(?<![\w-])((?:[\w-]{0,20}?[_-])?)eyJ[\w-]{8,}+\.[\w-]{4,}+(?:\.[\w-]*+)?", r"\1[masked:jwt]"),
    _looks(
        "bearer|basic|token ",
        rf"(?i){_START}(Bearer|Basic|Token)( {{1,4}})((?:{_MARK.pattern})?[\w.~+/=-]{{8,}}+)",
        _credential,
    ),
    _looks(
        "@",
        r"(?i)(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{1,30}://[^\s:/@\"'?#\[\]]{0,256})"
        r":((?:(?!://)[^\s/?#\"']){1,512}|(?:(?!://)[^\s\"']){1,512})@",
        _address,
        r"://[^\s\"]*@",
    ),
    _looks("://", r"://[^\s:/@\"'?#\[\]]{16,256}@", "://[masked:user]@", r"://[^\s\"]*@"),
    _looks("hooks.slack", r"hooks\.slack\.com/services/[\w/]{8,}", "hooks.slack.com/services/[masked:path]"),
    _looks("/api/webhooks/", r"(/api/webhooks/[0-9]{8,25})/[\w-]{20,}", r"\1/[masked:path]"),
    *(_looks(hints, _START + look, f"[masked:{kind}]", trigger) for kind, hints, look, trigger in _KEY_LOOKS),
    *(_looks(hints, look, _named, _BY_NAME) for hints, look in _BESIDE_NAMES),
    _Rule(("=", ":", "%3", "＝", "："), _mask_assignments, _BY_NAME),
    _looks(
        "@|%40",
        r"(?<![\w.+-])(?!git@)[\w.+-]++(?:@|%40)(?:[\w-]{1,63}\.){1,10}[^\W\d_]{2,24}",
        "[masked:email]",
        r"(?:[a-z0-9_.+-]|[^\x00-\x7f])(?:@|%40)(?:[a-z0-9_-]|[^\x00-\x7f])",
    ),
    *(_looks("", _CARD_START + digits + _CARD_END, _card, _CARD_TRIGGER) for digits in _CARD_DIGITS),
)
_TRIGGER = re2.compile(f"(?i){'|'.join(dict.fromkeys(rule.trigger for rule in _RULES))}".encode())


def needs_walk(document: bytes) -> bool:
    """Whether a JSON document (or a plain text) may hold a secret. May answer True without need, never False."""
    return _TRIGGER.search(document) is not None


_known_innocent: set[str] = set()  # errors repeat their files, functions and tags; a secret is never kept here


def mask_text(text: str) -> str:
    """`text` with every secret that is recognised replaced by a mark."""
    if len(text) < 5 or text in _known_innocent:
        return text
    if not needs_walk(text.encode("utf-8", "replace")):
        if len(text) <= 120:
            if len(_known_innocent) >= 8192:
                _known_innocent.clear()
            _known_innocent.add(text)
        return text
    for _ in range(4):  # what is hidden can lay another secret bare; nearly always the first pass is enough
        before, lowered = text, text.lower()
        for hints, hide, _trigger in _RULES:
            if any(map(lowered.__contains__, hints)):
                text = hide(text)
        if text == before:
            break
    return text


MAX_DEPTH = 40
CUT = "[cut]"
_HEADER_NAMES = ("name", "key", "header", "field", "Name", "Key")
_HEADER_VALUES = ("value", "values", "Value", "Values")


def mask_value(value: Any, depth: int = 0) -> Any:
    """A copy of a JSON value without secrets, NUL characters and lone surrogates; deeper than 40 levels is cut."""
    if isinstance(value, str):
        return mask_text(clean(value))
    if isinstance(value, dict):
        return _mask_object(value, depth) if depth < MAX_DEPTH else CUT
    if isinstance(value, list | tuple):
        return _mask_list(list(value), depth) if depth < MAX_DEPTH else CUT
    return _mask_number(value) if isinstance(value, int | float) else value


def _mask_number(value: float) -> Any:
    if -(10**12) < value < 10**12:
        return value
    if isinstance(value, int) and value.bit_length() > 1024:
        return CUT  # Python refuses to write much longer ones
    whole = isinstance(value, int) or value.is_integer()
    return "[masked:card]" if whole and _is_card(str(abs(int(value)))) else value


def _mask_object(value: JsonObject, depth: int) -> dict[str, Any]:
    masked: dict[str, Any] = {}
    hidden, mark = _header_of(value)
    for key, item in value.items():
        name, is_secret = _key(key) if len(key) <= 200 else (mask_text(clean(key)), is_secret_key(key[-200:]))
        while name in masked:  # two names that look the same once they are masked
            name = f"{name} {len(masked)}"
        if key in hidden:
            masked[name] = mark
        elif not is_secret or item is None or isinstance(item, bool):
            flat = isinstance(item, list) and name.lower().endswith("headers")
            masked[name] = mask_value(_hide_flat(item) if flat else item, depth + 1)
        elif isinstance(item, str) and (not item or _MARK.fullmatch(item)):
            masked[name] = item
        else:
            masked[name] = _mark(key)
    return masked


@lru_cache(maxsize=8192)
def _key(key: str) -> tuple[str, bool]:
    return mask_text(clean(key)), is_secret_key(key)


def _header_of(value: JsonObject) -> tuple[tuple[str, ...], str]:
    """{"name": "authorization", "value": …} is as telling as {"authorization": …}: what to hide, and its mark."""
    values = tuple(key for key in _HEADER_VALUES if key in value)
    names = [value[key] for key in _HEADER_NAMES if isinstance(value.get(key), str)] if values else []
    telling = next((name for name in names if is_secret_key(name)), None)
    return (values, _mark(telling)) if telling else ((), "")


def _hide_flat(items: list[Any]) -> list[Any]:
    """Headers as Node keeps them: name, value, name, value."""
    hidden = list(items)
    for position in range(0, len(items) - 1, 2):
        if isinstance(items[position], str) and isinstance(items[position + 1], str) and is_secret_key(items[position]):
            hidden[position + 1] = _mark(items[position])
    return hidden


def _mask_list(items: list[Any], depth: int) -> list[Any]:
    if 2 <= len(items) <= 3 and isinstance(items[0], str) and isinstance(items[1], str) and is_secret_key(items[0]):
        items = [items[0], _mark(items[0]), *items[2:]]  # a header as a pair
    return [mask_value(item, depth + 1) for item in items]


def clean(text: str) -> str:
    """`text` as Postgres and UTF-8 can hold it."""
    if "\x00" in text:
        text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
