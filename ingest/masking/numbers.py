"""Numbers that people have: of cards, of accounts, of telephones, of machines. Each is told from others by a check."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_ISSUER = re.compile(r"[456]|3[04-9]|2[2-7]")
_CARD_LENGTHS = {"4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19), "3": (14, 15, 16), "2": (16,)}
_SEPARATORS = re.compile(r"%20|%2[dD]|[^0-9A-Za-z]")
IBAN_LENGTHS = {  # countries by the length of their IBANs, as the registry of ISO 13616 has them
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_LEAST_DIGITS = 8  # of an account: words between them are none
_NOWHERE = (IPv4Address(0), IPv4Address(2**32 - 1), IPv6Address(0))


def is_card(number: str) -> bool:
    """Whether it is a card's: issuer, length and check digit (Luhn)."""
    digits = _bare(number)
    if not _ISSUER.match(digits) or len(digits) not in _CARD_LENGTHS[digits[0]] or len(set(digits)) == 1:
        return False
    return sum(map(int, digits[-1::-2] + "".join(str(2 * int(digit)) for digit in digits[-2::-2]))) % 10 == 0


def is_iban(number: str) -> bool:
    """Whether country, length and check digits (mod 97) are those of an IBAN."""
    plain = normal_iban(number)
    if plain[:2] not in IBAN_LENGTHS.get(len(plain), "").split() or not plain.isascii():
        return False
    if sum(map(str.isdigit, plain[4:])) < _LEAST_DIGITS:
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def normal_iban(number: str) -> str:
    """One form for all ways to write it."""
    return _bare(number).upper()


def is_phone(number: str) -> bool:
    """Whether it has as many digits as telephone numbers have, and not one alone."""
    digits = normal_phone(number)
    return 8 <= len(digits) <= 15 and len(set(digits)) > 1


def normal_phone(number: str) -> str:
    """One form for all ways to write it: digits alone, from the country's on."""
    plain = number.replace("(0)", "").removeprefix("%2B").removeprefix("%2b")
    return _bare(plain).removeprefix("00")


def is_address(number: str) -> bool:
    """Whether it is the address of a machine: IPv4 or IPv6, but none that means the machine itself, or nobody."""
    address = _address(number)
    return address is not None and not address.is_loopback and address not in _NOWHERE


def normal_address(number: str) -> str:
    """One form for all ways to write it; an IPv4 address within IPv6 is the former."""
    return str(_address(number) or number)


def _address(number: str) -> IPv4Address | IPv6Address | None:
    try:
        if ":" not in number:
            return IPv4Address(number)
        address = IPv6Address(number)
    except AddressValueError:
        return None
    return address.ipv4_mapped or address


def _bare(number: str) -> str:
    return _SEPARATORS.sub("", number)
