"""Secrets out, before anything is stored: by the name of a key, and by their looks in any text.

Every expression here is linear: bounded repeats, no nested quantifiers, so a hostile text can't hang the writer.
What is hidden leaves a mark that names its kind, such as `[masked:email]`. Masking a masked text changes nothing.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import re2

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_SECRET_WORDS = frozenset(
    "password passwd pwd passphrase passcode secret secrets authorization cookie cookies credential credentials token"
    " apikey privatekey accesskey secretkey sessionid sid ssn cvv cvc pin otp jwt dsn".split()
)
_SECRET_PAIRS = frozenset(
    {
        ("api", "key"),
        ("private", "key"),
        ("access", "key"),
        ("secret", "key"),
        ("signing", "key"),
        ("encryption", "key"),
        ("auth", "key"),
        ("account", "key"),
        ("session", "id"),
        ("session", "key"),
        ("session", "token"),
        ("access", "tokens"),
        ("refresh", "tokens"),
        ("card", "number"),
        ("bank", "account"),
        ("x", "auth"),
    }
)
# Beside these words a telling one is about secrets and none itself: token_count, password_reset_required.
_INNOCENT_WORDS = frozenset(
    "count counts used usage limit limits total max min remaining type types length size index required policy expires"
    " expired expiry expiration ttl at error errors valid invalid missing name kind status reset hint changed created"
    " updated age url uri endpoint".split()
)


@lru_cache(maxsize=8192)
def is_secret_key(name: str) -> bool:
    """Whether a value under this key is hidden; snake_case, kebab-case, camelCase and upper case alike."""
    words = [word.lower() for word in _WORDS.findall(name[:200])]
    if not words or (len(words) > 1 and not _INNOCENT_WORDS.isdisjoint(words)):
        return False
    if not _SECRET_WORDS.isdisjoint(words) or "".join(words) in _SECRET_WORDS:
        return True
    return any(pair in _SECRET_PAIRS for pair in pairwise(words))


class _Rule(NamedTuple):
    """`hints` are what must occur (in lower case) before the expression is tried."""

    hints: tuple[str, ...]
    expression: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    is_card = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1
    return "[masked:card]" if is_card else match[0]


def _named(match: re.Match[str]) -> str:
    """A value after a telling name, unless the name is an innocent one or the value is masked or no value."""
    value = match["value"]
    if not is_secret_key(match["name"]) or value.startswith("[masked:") or value in _NO_VALUES:
        return match[0]
    return f"{match['name']}{match['between']}[masked:{_kind(match['name'])}]"


_NO_VALUES = frozenset(
    ("null", "none", "None", "true", "false", "undefined", "required", "missing", "invalid", "expired")
)
_TELLING = tuple(
    "passw passphrase passcode pwd secret token key credential cookie session jwt ssn cvv cvc pin otp sid dsn".split()
)

_RULES = (
    _Rule(
        ("-----begin",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        "[masked:private_key]",
    ),
    _Rule(("eyj",), re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), "[masked:jwt]"),
    _Rule(
        ("bearer", "basic", "token "),
        re.compile(r"\b(Bearer|Basic|Token)( {1,4})(?!\[masked)[\w.~+/=-]{8,}", re.IGNORECASE),
        r"\1\2[masked:credential]",
    ),
    _Rule(
        ("cookie:", "authorization:"),
        re.compile(
            r"\b((?:set-)?cookie|(?:proxy-)?authorization)(: {0,4})(?!\[masked)[^\r\n\"']{1,4096}", re.IGNORECASE
        ),
        r"\1\2[masked:header]",
    ),
    _Rule(
        ("://",),
        re.compile(r"\b([a-z][a-z0-9+.-]{1,30}://[^\s:/@\"'?#]{0,256}):(?!\[masked)[^\s/@\"']{1,512}@", re.IGNORECASE),
        r"\1:[masked:password]@",
    ),
    _Rule(("akia", "asia"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "[masked:aws_key]"),
    _Rule(("xox",), re.compile(r"\bxox[abeprs]-[\w-]{8,}"), "[masked:slack_token]"),
    _Rule(
        ("hooks.slack",), re.compile(r"hooks\.slack\.com/services/[\w/]{8,}"), "hooks.slack.com/services/[masked:path]"
    ),
    _Rule(
        ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
        re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"),
        "[masked:github_token]",
    ),
    _Rule(
        ("sk_", "rk_", "pk_", "whsec_"),
        re.compile(r"\b(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{8,}"),
        "[masked:stripe_key]",
    ),
    _Rule(("aiza",), re.compile(r"\bAIza[\w-]{30,}"), "[masked:google_key]"),
    _Rule(("sk-",), re.compile(r"\bsk-[\w-]{20,}"), "[masked:api_key]"),
    _Rule(("mh_",), re.compile(r"\bmh_(?:ingest|read|admin)_[\w-]{16,}"), "[masked:api_key]"),
    _Rule(
        _TELLING,
        re.compile(
            r"(?P<name>\b[A-Za-z][\w-]{0,60})(?P<between>\\?[\"']?\]?\s{0,3}(?:=>|=|:)\s{0,3}\\?[\"']?)"
            r"(?P<value>[^\s\"'&,;<>\\)}\]]{1,1024}\]?)"
        ),
        _named,
    ),
    _Rule(
        ("@",),
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?![\w-])"),
        "[masked:email]",
    ),
    _Rule((), re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)"), _card),
)


@lru_cache(maxsize=1024)
def _kind(name: str) -> str:
    return "_".join(word.lower() for word in _WORDS.findall(name))[:40] or "secret"


def mask_text(text: str) -> str:
    """`text` with every secret that is recognised replaced by a mark."""
    lowered = text.lower()
    for hints, expression, replacement in _RULES:
        if not hints or any(hint in lowered for hint in hints):
            text = expression.sub(replacement, text)
    return text


# Where none of these occurs in a whole document, there is nothing to mask: a cheap look that spares the walk.
_TOO_COMMON = {"key", "pin", "://", "sid"}
_TRIGGERS = (
    *sorted({hint for rule in _RULES for hint in rule.hints} - _TOO_COMMON),
    *("_key", "-key", "apikey", "skey", "ekey", "tkey", "gkey", "nkey", '"pin', "_pin", "pin=", "pin:", '"sid'),
    *("_sid", "sid=", "auth", "card", "account"),
)
_TRIGGER = re2.compile(f"(?i){'|'.join(map(re.escape, _TRIGGERS))}|[0-9](?:[ -]?[0-9]){{12}}".encode())


def needs_walk(document: bytes) -> bool:
    """Whether a JSON document may hold a secret. May answer True without need, never False against it."""
    return _TRIGGER.search(document) is not None


MAX_DEPTH = 40
CUT = "[cut]"


def mask_value(value: Any, depth: int = 0) -> Any:
    """A copy of a JSON value without secrets, NUL characters and lone surrogates; deeper than 40 levels is cut."""
    if isinstance(value, str):
        return mask_text(clean(value))
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return CUT
        return {mask_text(clean(key)): _mask_entry(key, item, depth) for key, item in _entries(value)}
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            return CUT
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str) and is_secret_key(value[0]):
            return [clean(value[0]), _mark(value[0])]  # a header as a pair
        return [mask_value(item, depth + 1) for item in value]
    return value


def _entries(value: dict[Any, Any]) -> list[tuple[str, Any]]:
    """The items, where {"name": "authorization", "value": …} is as telling as {"authorization": …}."""
    name = value.get("name", value.get("key"))
    if isinstance(name, str) and "value" in value and is_secret_key(name):
        value = value | {"value": _mark(name)}
    return [(str(key), item) for key, item in value.items()]


def _mask_entry(key: str, item: Any, depth: int) -> Any:
    if item is None or isinstance(item, bool) or not is_secret_key(key):
        return mask_value(item, depth + 1)
    if isinstance(item, str) and (not item or item.startswith("[masked:")):
        return item
    return _mark(key)


def _mark(key: str) -> str:
    return f"[masked:{_kind(key)}]"


def clean(text: str) -> str:
    """`text` as Postgres and UTF-8 can hold it."""
    if "\x00" in text:
        text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text
