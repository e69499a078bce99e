"""What is recognised by its looks, in any text: one entry for each form.

Every expression is linear: bounded or possessive repeats, so a hostile text can't hang the writer.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from ingest.masking import numbers
from ingest.masking.marks import MARK

Found = re.Match[str]


class Look(NamedTuple):
    """A form of a secret. What is hidden is the group `secret`, or the whole match where there is none.

    `hints`: one of them must occur in the lower-case text. `trigger`: what occurs wherever `expression` could match,
    for RE2 without regard to case. `holds`: a check of what was found. `normal`: the normal form of a value that may be
    recognised, for its keyed hash. `example` shows it in the docs.
    """

    kind: str
    hints: tuple[str, ...]
    expression: re.Pattern[str]
    trigger: str
    example: str
    holds: Callable[[Found], bool] | None = None
    normal: Callable[[str], str] | None = None


def _look(
    kind: str,
    hints: str,
    expression: str,
    example: str,
    trigger: str = "",
    holds: Callable[[Found], bool] | None = None,
    normal: Callable[[str], str] | None = None,
) -> Look:
    """`hints` are divided by `|`; without a `trigger` they are it."""
    all_hints = tuple(hints.split("|"))
    return Look(
        kind,
        all_hints,
        re.compile(expression),
        trigger or "|".join(map(re.escape, all_hints)),
        example,
        holds,
        normal,
    )


_PLAIN_WORD, _PORT = re.compile(r"[A-Z]?[a-z]{1,15}[.:]?"), re.compile(r"\d{1,5}[/?#]")


def _is_credential(found: Found) -> bool:
    """«Bearer authentication required» is prose; a credential is no plain word."""
    return _PLAIN_WORD.fullmatch(found["secret"]) is None


def _is_password(found: Found) -> bool:
    return _PORT.match(found["secret"]) is None


def _is_card(found: Found) -> bool:
    return numbers.is_card(found[0])


def _is_iban(found: Found) -> bool:
    return numbers.is_iban(found[0])


def _is_phone(found: Found) -> bool:
    return numbers.is_phone(found[0])


def _is_address(found: Found) -> bool:
    return numbers.is_address(found[0])


def _normal_email(address: str) -> str:
    return address.replace("%40", "@").lower()


_START = r"(?<![A-Za-z0-9])"
_END = r"(?![A-Za-z0-9])"
BEFORE = r"(?:^|[^A-Za-z0-9]|\\[bfnrt]|\\u[0-9a-f]{4}|%[0-9a-f]{2})"  # in JSON a line's first letter follows an n
_PEM = r"-----{} [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----"
_TEXTS = (
    _look(
        "private_key",
        "-----begin",
        rf"(?s){_PEM.format('BEGIN')}.*?(?:{_PEM.format('END')}|\Z)",
        "-----BEGIN RSA PRIVATE KEY----- …",
    ),
    _look(
        "jwt",
        "eyj",
        r"(?<![\w-])(?:[\w-]{0,20}?[_-])?(?P<secret>eyJ[\w-]{8,}+\.(?:[\w-]{4,}+|\.[\w-]++)(?:\.[\w-]++){0,3})",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3",
    ),
    _look(
        "credential",
        "bearer|basic|token ",
        rf"(?i){_START}(?:Bearer|Basic|Token) {{1,4}}(?P<secret>(?:{MARK.pattern})?[\w.~+/=-]{{8,}}+)",
        "Bearer 4c9e1a7b2d",
        holds=_is_credential,
    ),
    _look(
        "password",
        "@",
        r"(?i)(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,30}://[^\s:/@\"'?#\[\]]{0,256}"
        r":(?P<secret>(?:(?!://)[^\s/?#\"']){1,512}|(?:(?!://)[^\s\"']){1,512})@",
        "postgres://app:Zq7Xw9Lm@db/orders",
        r"://[^\s\"]*@",
        holds=_is_password,
    ),
    _look(
        "user",
        "://",
        r"://(?P<secret>[^\s:/@\"'?#\[\]]{16,256})@",
        "https://0123456789abcdef0123@host/1",
        r"://[^\s\"]*@",
    ),
    _look(
        "path",
        "hooks.slack",
        r"hooks\.slack\.com/services/(?P<secret>[\w/]{8,})",
        "https://hooks.slack.com/services/T000/B000/XXXXYYYY",
    ),
    _look(
        "path",
        "/api/webhooks/",
        r"/api/webhooks/[0-9]{8,25}/(?P<secret>[\w-]{20,})",
        "https://discord.com/api/webhooks/123456789012345678/a1B2a1B2a1B2a1B2a1B2",
    ),
)


def _key(kind: str, hints: str, expression: str, example: str, trigger: str = "") -> Look:
    return _look(kind, hints, _START + expression, example, trigger)


_KEYS = (
    _key("aws_key", "akia|asia", rf"(?:AKIA|ASIA)[0-9A-Z]{{16}}{_END}", "AKIAIOSFODNN7EXAMPLE", "a[ks]ia[0-9a-z]{16}"),
    _key("slack_token", "xox|xapp-", r"(?:xox[abeoprs]|xapp)-[\w-]{8,}", "xoxb-123456789-abcdefgh"),
    _key(
        "github_token",
        "gh|github_pat_",
        r"(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
        "ghp_abcdefghijklmnopqrst",
        "gh[opsur]_|github_pat_",
    ),
    _key("gitlab_token", "glpat-", r"glpat-[\w-]{16,}", "glpat-a1B2a1B2a1B2a1B2a1B2"),
    _key("npm_token", "npm_", r"npm_[A-Za-z0-9]{30,}", f"npm_{'a1B2' * 9}"),
    _key(
        "stripe_key",
        "k_live_|k_test_|whsec_",
        r"(?i:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{8,}",
        "sk_live_abcdefgh12345678",
    ),
    _key(
        "google_key",
        "aiza|ya29.|gocspx-|1//0",
        r"(?:AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}|1//0[\w-]{30,})",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    ),
    _look(
        "azure_key",
        "8q~",
        r"(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{31,34}(?![\w~-])",
        "abc8Q~a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2",
        "8q~[a-z0-9_~.-]{31}",
    ),
    _look(
        "azure_key",
        "+ast",
        r"(?<![\w+/])[\w+/]{76}\+ASt[\w+/]{2,6}={0,2}(?![\w+/=])",
        f"{'a1B2' * 19}+AStXyZ==",
    ),
    _key("api_key", "sk-", r"sk-[A-Za-z0-9_-]{20,}", "sk-a1B2a1B2a1B2a1B2a1B2", "sk-[a-z0-9_-]{20}"),
    _key(
        "api_key",
        "sg.",
        r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}",
        f"SG.{'a1B2' * 5}.{'c3D4' * 10}",
        r"sg\.[a-z0-9_-]{16}",
    ),
    _key("api_key", "sk", rf"SK[0-9a-f]{{32}}{_END}", f"SK{'0123456789abcdef' * 2}", "sk[0-9a-f]{32}"),
    _key(
        "api_key",
        "mh_",
        r"mh_(?:ingest|read|admin)_[A-Za-z0-9_-]{16,}",
        "mh_ingest_abcdefghijklmnopqrst",
        "mh_(?:ingest|read|admin)_",
    ),
)

_EMAIL = _look(
    "email",
    "@|%40",
    r"(?<![\w.+-])(?!git@)[\w.+-]++(?:@|%40)(?:[\w-]{1,63}\.){1,10}[^\W\d_]{2,24}",
    "ann@example.com",
    r"(?:[a-z0-9_.+-]|[^\x00-\x7f])(?:@|%40)(?:[a-z0-9_-]|[^\x00-\x7f])",
    normal=_normal_email,
)


def _iban_expression() -> str:
    """Of each length an expression of its own: groups of four, so that no word that follows is taken for its end."""
    forms = []
    for length, countries in numbers.IBAN_LENGTHS.items():
        groups, rest = divmod(length - 4, 4)
        end = rf"(?P=gap{length})[0-9a-zA-Z]{{{rest}}}" if rest else ""
        first = rf"(?P<gap{length}>[ \u00a0+-]|%20|)[0-9a-zA-Z]{{4}}"
        either = "|".join((*countries.split(), *countries.lower().split()))
        forms.append(rf"(?:{either})[0-9]{{2}}{first}(?:(?P=gap{length})[0-9a-zA-Z]{{4}}){{{groups - 1}}}{end}{_END}")
    return rf"{_START}(?:{'|'.join(forms)})"


_IBAN_COUNTRIES = "|".join(" ".join(numbers.IBAN_LENGTHS.values()).split())
_GAP = r"(?:[ +-]|%20|\xa0)?"
_IBAN = _look(
    "iban",
    "",
    _iban_expression(),
    "DE89 3704 0044 0532 0130 00",
    rf"{BEFORE}(?:{_IBAN_COUNTRIES})[0-9]{{2}}(?:{_GAP}[0-9a-z]{{4}}){{2}}{_GAP}[0-9a-z]{{3}}",
    holds=_is_iban,
    normal=numbers.normal_iban,
)
_CARD_START = rf"(?a){_START}(?<!\d\.)(?=[2-6])"
_CARD_END = rf"{_END}(?!\.[0-9])"
_CARD_TRIGGER = rf"{BEFORE}(?:[456][0-9]|3[04-9]|2[2-7])(?:[ -]?[0-9]){{11}}"
_CARDS = tuple(
    _look("card", "", _CARD_START + digits + _CARD_END, example, _CARD_TRIGGER, holds=_is_card)
    for digits, example in (
        (r"\d{13,19}", "4242424242424242"),
        (r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}", "4242 4242 4242 4242"),
        (r"\d(?:[ -]?\d){12,18}", "3782-822463-10005"),
    )
)

LOOKS = (*_TEXTS, *_KEYS)  # before the names, which would take a part of them
LATE_LOOKS = (_EMAIL, _IBAN, *_CARDS)

_PHONE = _look(
    "phone",
    "+|00|-|.|%2b",
    r"(?a)(?<![\w.+-])(?:(?:\+|%2[bB]|00(?=[1-9]\d{0,2}[ ./(-]))[1-9](?:[ ./()-]{0,3}\d){7,14}"
    r"|(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[.-]\d{4})(?![\w-]|\.\d)",
    "+49 171 1234567",
    r"(?:\+|%2b|00)[1-9](?:[ ./()-]{0,3}[0-9]){7}|[2-9][0-9][0-9]\)?[ .-]?[2-9][0-9][0-9][.-][0-9]{4}",
    holds=_is_phone,
    normal=numbers.normal_phone,
)
_IPS = (
    _look(
        "ip",
        ":",
        r"(?a)(?<![\w:.])(?=[0-9A-Fa-f:]{0,39}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:]|\.\w)",
        "2001:db8::7",
        r"::|(?:[0-9a-f]{1,4}:){5}",
        holds=_is_address,
        normal=numbers.normal_address,
    ),
    _look(
        "ip",
        ".",
        r"(?a)(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w|-[A-Za-z])",
        "203.0.113.7",
        r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        holds=_is_address,
        normal=numbers.normal_address,
    ),
)
ALSO = {"phone": (_PHONE,), "ip": _IPS}
