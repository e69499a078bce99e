"""What tells of a person or a machine: addresses, numbers of accounts, cards and telephones."""

from urllib.parse import unquote

from ingest.masking import numbers
from ingest.masking.look import BEFORE, END, START, Found, Look, look_of


def _is_card(found: Found) -> bool:
    return numbers.is_card(found[0])


def _is_iban(found: Found) -> bool:
    return numbers.is_iban(found[0])


def _is_phone(found: Found) -> bool:
    return numbers.is_phone(found[0])


def _is_address(found: Found) -> bool:
    return numbers.is_address(found[0])


def _normal_email(address: str) -> str:
    return unquote(address).lower()


def _email(at: str, example: str) -> Look:
    return look_of(
        "email",
        at,
        rf"(?<![\w.+-])(?!git@)(?:[\w.+-]|%2[bB])++{at}(?!\d(?:\.\d)?x\.)(?:[\w-]{{1,63}}\.){{1,10}}[^\W\d_]{{2,24}}",
        example,
        rf"(?:[a-z0-9_.+-]|[^\x00-\x7f]){at}(?:[a-z0-9_-]|[^\x00-\x7f])",
        normal=_normal_email,
    )


EMAIL = _email("@", "ann@example.com")
_ENCODED_EMAIL = _email("%40", "ann%40example.com")


def _iban_expression() -> str:
    """Of each length an expression of its own: groups of four, so that no word that follows is taken for its end."""
    forms = []
    for length, countries in numbers.IBAN_LENGTHS.items():
        groups, rest = divmod(length - 4, 4)
        end = rf"(?P=gap{length})[0-9a-zA-Z]{{{rest}}}" if rest else ""
        first = rf"(?P<gap{length}>[ \u00a0+-]|%20|)[0-9a-zA-Z]{{4}}"
        either = "|".join((*countries.split(), *countries.lower().split()))
        forms.append(rf"(?:{either})[0-9]{{2}}{first}(?:(?P=gap{length})[0-9a-zA-Z]{{4}}){{{groups - 1}}}{end}{END}")
    return rf"{START}(?:{'|'.join(forms)})"


_IBAN_COUNTRIES = "|".join(" ".join(numbers.IBAN_LENGTHS.values()).split())
_GAP = r"(?:[ +-]|%20|\xa0)?"
_IBAN = look_of(
    "iban",
    "",
    _iban_expression(),
    "DE89 3704 0044 0532 0130 00",
    rf"{BEFORE}(?:{_IBAN_COUNTRIES})[0-9]{{2}}(?:{_GAP}[0-9a-z]{{4}}){{2}}{_GAP}[0-9a-z]{{3}}",
    holds=_is_iban,
    normal=numbers.normal_iban,
)
_CARD_START = rf"(?a){START}(?<!\d\.)(?<![0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-)(?=[2-6])"
_CARD_END = rf"{END}(?!\.[0-9])"
_CARD_TRIGGER = rf"{BEFORE}(?:[456][0-9]|3[04-9]|2[2-7])(?:[ -]?[0-9]){{11}}"
_CARDS = tuple(
    look_of("card", "", _CARD_START + digits + _CARD_END, example, _CARD_TRIGGER, holds=_is_card)
    for digits, example in (
        (r"\d{13,19}", "4242424242424242"),
        (r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}", "4242 4242 4242 4242"),
        (r"\d(?:[ -]?\d){12,18}", "3782-822463-10005"),
    )
)

PEOPLE = (_ENCODED_EMAIL, _IBAN, *_CARDS)

_PHONE = look_of(
    "phone",
    "+|00|-|.|%2b",
    r"(?a)(?:(?:(?<![eE+])\+|(?<![\w.+-])(?:%2[bB]|00(?=[1-9]\d{0,2}[ ./(-])))[1-9](?:[ ./()-]{0,3}\d){7,14}"
    r"|(?<![\w.+-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[.-]\d{4})(?![\w-]|\.\d)",
    "+49 171 1234567",
    r"(?:\+|%2b|00)[1-9](?:[ ./()-]{0,3}[0-9]){7}|[2-9][0-9][0-9]\)?[ .-]?[2-9][0-9][0-9][.-][0-9]{4}",
    holds=_is_phone,
    normal=numbers.normal_phone,
)
_IPS = (
    look_of(
        "ip",
        ":",
        r"(?a)(?<![\w:.])(?=[0-9A-Fa-f:]{0,39}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:]|\.\w)",
        "2001:db8::7",
        r"::|(?:[0-9a-f]{1,4}:){5}",
        holds=_is_address,
        normal=numbers.normal_address,
    ),
    look_of(
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
