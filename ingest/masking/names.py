"""Names of keys that tell of a secret: exact and within longer names, snake_case, kebab-case and camelCase alike."""

import re
from collections.abc import Iterable
from functools import lru_cache

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ALL_WORDS = re.compile(rf"{_WORDS.pattern}|[^\W\d_A-Za-z]+")  # for names that somebody has configured
_MOST_SCANNED = 200

LONG_WORDS = (
    "password passwd passphrase passcode secret authorization cookie credential token bearer sessid passwort kennwort"
    " contrasena senha wachtwoord motdepasse"
).split()
SHORT_WORDS = frozenset("pwd sid ssn cvv cvc pin otp jwt dsn".split())
_SECRET_WORDS = SHORT_WORDS.union(LONG_WORDS)
LAST_WORDS = frozenset(("auth", "session", "sig"))  # alone, or after other words: basic_auth, but no session_count
_ENDINGS = (*LONG_WORDS, "apikey", "secretkey", "accesskey", "privatekey", "sessionid", "creditcard", "cardnumber")
PAIRS = {  # a word, and those of which one must stand before it to make it telling
    "key": "api private access secret signing encryption auth account session ssh master license shared hmac service"
    " storage deploy webhook ingest admin subscription role functions",
    "id": "session",
    "code": "mfa otp pin totp sms auth verification security recovery",
    "number": "card",
    "account": "bank",
    "card": "credit debit",
    "string": "connection",
    "pass": "db database user smtp mail redis mysql ftp proxy become sudo sftp ssh ldap root admin bind keystore login",
    "tokens": "access refresh auth api id bearer session",
    "signature": "amz",
}
_SECRET_PAIRS = frozenset((first, second) for second, firsts in PAIRS.items() for first in firsts.split())
# Telling where the value is random: {"code": "4xQz…"}, but not {"code": "ECONNRESET"}.
DOUBTFUL_WORDS = frozenset("signature hmac policy code state verifier challenge".split())
# After a telling word these say that it is about a secret and none itself: token_count, password_reset_required.
INNOCENT_AFTER = frozenset(
    "count used usage limit max min total remaining type length size index required policy expire expired expiry"
    " expiration ttl at error exception valid invalid missing not found name kind statu status reset hint changed"
    " created updated age url uri endpoint file path enabled exist version arn timeout duration".split()
)
INNOCENT_BEFORE = frozenset(("max", "min", "total", "num", "no"))

_BEFORE = r"(?:^|[^A-Za-z]|\\[bfnrt]|\\u[0-9a-f]{4}|%[0-9a-f]{2})"  # in JSON a line's first letter follows an n
_CAPITALISED = [f"{word[0].upper()}(?i:{word[1:]})" for word in sorted(SHORT_WORDS | LAST_WORDS)]  # userPin
_NO_BREAK, _NO_DIGIT = r"[^\s\"'\\=,;:&]", r"[^0-9\s\"'\\=,;:&]"
_TRIGGER = "|".join(
    (
        *LONG_WORDS,
        *(rf"(?:{'|'.join(firsts.split())})s?[^A-Za-z0-9]*{second}" for second, firsts in PAIRS.items()),
        rf"{_BEFORE}(?:{'|'.join(sorted(SHORT_WORDS | LAST_WORDS | {'pass'}))})s?(?-i:[^a-z]|$)",
        rf"(?-i:(?:{'|'.join(_CAPITALISED)})s?(?:[^a-z]|$))",
        "signature|hmac",
        r"(?:policy|code|state|verifier|challenge)(?:[^A-Za-z0-9]|%[0-9a-f]{2}){1,12}"
        rf"(?:{_NO_DIGIT}{{0,8}}[0-9]{_NO_BREAK}{{7}}|{_NO_DIGIT}{{8,200}}[0-9])",  # 16 characters, one a digit
    )
)


class KeyNames:
    """Which names are telling. `more` are as telling as ours, however they are spelled; `allowed` are not, as they
    stand."""

    def __init__(self, more: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        given = filter(None, map(joined, more))
        self._more = frozenset(name.removesuffix("s") if len(name) > 3 else name for name in given)
        self._longest = max(map(len, self._more), default=0) + 1
        self._allowed = frozenset(map(joined, allowed))
        self.is_secret = lru_cache(maxsize=8192)(self._is_secret)  # asked for each key of each event
        self.may_be_secret = lru_cache(maxsize=8192)(_may_be_secret)
        self.trigger = "|".join((_TRIGGER, *map(_spelled, sorted(self._more))))

    def _is_secret(self, name: str) -> bool:
        """Whether a value under this key is hidden."""
        name = name[-_MOST_SCANNED:]
        if self._allowed and joined(name) in self._allowed:
            return False
        if self._more and self._is_one_of_more(name):
            return True
        if name.lower() in _SECRET_WORDS or name.lower() == "pass":
            return True
        words = [_singular(word.lower()) for word in _WORDS.findall(name)]
        for position in range(len(words) - 1, -1, -1):
            if _tells(words, position):
                return _is_about_a_secret(words, position, position + 1)
        return False

    def _is_one_of_more(self, name: str) -> bool:
        """Whether some words of `name`, one after the other, are a configured one, however that is divided."""
        words = [word.lower() for word in _ALL_WORDS.findall(name)]
        for begin in range(len(words)):
            run = ""
            for end in range(begin, len(words)):
                run += words[end]
                if len(run) > self._longest:
                    break
                if run in self._more or run.removesuffix("s") in self._more:
                    return _is_about_a_secret([_singular(word) for word in words], begin, end + 1)
        return False


def _may_be_secret(name: str) -> bool:
    """Whether a value under this key is hidden if it is random."""
    words = [word for word in _WORDS.findall(name[-_MOST_SCANNED:]) if word.isalpha()]
    return bool(words) and words[-1].lower() in DOUBTFUL_WORDS


def joined(name: str) -> str:
    """The words of a name as one, by which two spellings are alike: `X-Api-Key` is `xapikey`."""
    return "".join(_ALL_WORDS.findall(name)).lower()


def _spelled(name: str) -> str:
    """For the first look: the letters of a configured name with anything between them that is none."""
    return r"[^A-Za-z0-9]*".join(map(re.escape, name))


def _is_about_a_secret(words: list[str], begin: int, end: int) -> bool:
    return INNOCENT_AFTER.isdisjoint(words[end:]) and INNOCENT_BEFORE.isdisjoint(words[:begin])


def _tells(words: list[str], position: int) -> bool:
    word = words[position]
    if word in _SECRET_WORDS or word.endswith(_ENDINGS) or (word in LAST_WORDS and position == len(words) - 1):
        return True
    return position > 0 and (words[position - 1], word) in _SECRET_PAIRS


def _singular(word: str) -> str:
    """`tokens` stays: they are what language models count."""
    return word[:-1] if len(word) > 3 and word[-1] == "s" and not word.endswith(("ss", "tokens")) else word
