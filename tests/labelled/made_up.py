"""Made-up values that look as secrets really do: format, alphabet, length and check digits of each kind are right.

Each is a function of a seeded generator, so a set is the same in every run, and no value stands in a file.
"""

import base64
import json
from collections.abc import Callable
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

ALPHANUMERIC = ascii_letters + digits
HEX = "0123456789abcdef"
WORDS = (
    "amber anchor basalt birch cobalt copper falcon granite harbor indigo juniper lantern maple nickel orchid".split()
)
FIRST = "anna bert carla dmitri elena farid grace hugo ines jonas keiko lars mina noor otto priya".split()
LAST = "smith garcia lehmann ivanova okafor tanaka dubois rossi jensen novak moreau silva".split()
HOSTS = "example.com example.org mail.example.net customers.example.co.uk example.io firma-beispiel.example.de".split()
PUNCTUATION = "!#$%&*+-=?@^_~"
IBANS = {"DE": 18, "GB": "LLLL14", "FR": 23, "NL": "LLLL10", "CH": 17, "AT": 16, "ES": 20, "NO": 11, "PL": 24}
CARDS = {"4": 16, "51": 16, "55": 16, "2221": 16, "34": 15, "37": 15, "6011": 16, "36": 14}


def some(random: Random, alphabet: str, length: int) -> str:
    """`length` characters of an alphabet, at least one of them a digit and one a letter where it has both."""
    while True:
        text = "".join(random.choices(alphabet, k=length))
        if length < 4 or not alphabet.isalnum() or alphabet.isalpha() or alphabet.isdigit():
            return text
        if any(letter.isdigit() for letter in text) and any(letter.isalpha() for letter in text):
            return text


def url_safe(random: Random, length: int) -> str:
    return random.choice(ALPHANUMERIC) + some(random, ALPHANUMERIC + "-_", length - 2) + random.choice(ALPHANUMERIC)


def base64_of(random: Random, octets: int) -> str:
    return base64.b64encode(random.randbytes(octets)).decode()


def _segment(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def jwt(random: Random, algorithm: str = "HS256", signature: int = 32) -> str:
    claims: dict[str, object] = {
        "iss": "https://auth.example.com/",
        "sub": f"user-{random.randrange(10**8)}",
        "exp": 1_800_000_000 + random.randrange(10**7),
        "jti": some(random, HEX, 32),
    }
    signed = base64.urlsafe_b64encode(random.randbytes(signature)).decode().rstrip("=")
    return f"{_segment({'alg': algorithm, 'typ': 'JWT'})}.{_segment(claims)}.{signed}"


def jwe(random: Random) -> str:
    parts = (base64.urlsafe_b64encode(random.randbytes(size)).decode().rstrip("=") for size in (256, 12, 180, 16))
    return ".".join([_segment({"alg": "RSA-OAEP", "enc": "A256GCM"}), *parts])


def pem(random: Random, label: str, octets: int, start: bytes = b"") -> str:
    body = base64.b64encode(start + random.randbytes(octets - len(start))).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def password(random: Random) -> str:
    """As a person or a generator of passwords makes them: all classes of characters."""
    text = some(random, ascii_letters, 9) + some(random, digits, 3) + some(random, PUNCTUATION, 2)
    return random.choice(ascii_letters) + "".join(random.sample(text, len(text))) + random.choice(ALPHANUMERIC)


def simple_password(random: Random) -> str:
    return random.choice(WORDS).capitalize() + some(random, digits, 4) + random.choice(WORDS)


def passphrase(random: Random) -> str:
    return "-".join(random.sample(WORDS, 4))


def basic(random: Random) -> str:
    return base64.b64encode(f"{random.choice(FIRST)}:{password(random)}".encode()).decode()


def email(random: Random) -> str:
    first, last, host = random.choice(FIRST), random.choice(LAST), random.choice(HOSTS)
    number = random.randrange(1000, 9999)
    shapes = (
        f"{first}.{last}{number}@{host}",
        f"{first[0]}{last}{number}@{host}",
        f"{first}+alerts{number}@{host}",
        f"{last}_{number}@{host}",
    )
    return random.choice(shapes)


def with_check_digit(number: str) -> str:
    """The number and its Luhn digit."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number))]
    return number + str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


def card(random: Random) -> str:
    start = random.choice(list(CARDS))
    return with_check_digit(start + some(random, digits, CARDS[start] - len(start) - 1))


def grouped_card(random: Random, separator: str) -> str:
    number = card(random)
    sizes = (4, 6, 5) if len(number) == 15 else (4, 6, 4) if len(number) == 14 else (4, 4, 4, 4)
    groups, at = [], 0
    for size in sizes:
        groups.append(number[at : at + size])
        at += size
    return separator.join(groups)


def iban(random: Random) -> str:
    country = random.choice(list(IBANS))
    shape = IBANS[country]
    if isinstance(shape, int):
        account = some(random, digits, shape)
    else:
        account = some(random, ascii_uppercase, 4) + some(random, digits, int(shape[4:]))
    number = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{account}"


def grouped_iban(random: Random) -> str:
    number = iban(random)
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def azure_secret(random: Random) -> str:
    return f"{some(random, ALPHANUMERIC, 3)}8Q~{some(random, ALPHANUMERIC + '_-.~', 33)}{random.choice(ALPHANUMERIC)}"


def _slack_bot(random: Random) -> str:
    return f"xoxb-{some(random, digits, 12)}-{some(random, digits, 13)}-{some(random, ALPHANUMERIC, 24)}"


def _slack_user(random: Random) -> str:
    numbers = "-".join(some(random, digits, 12) for _ in range(3))
    return f"xoxp-{numbers}-{some(random, HEX, 32)}"


def _openai(random: Random) -> str:
    return "sk-" + some(random, ALPHANUMERIC, 20) + "T3Blbk" + "FJ" + some(random, ALPHANUMERIC, 20)


KINDS: dict[str, Callable[[Random], str]] = {
    "aws_id": lambda random: random.choice(("AK" + "IA", "AS" + "IA")) + some(random, ascii_uppercase + "234567", 16),
    "aws_secret": lambda random: base64_of(random, 30),
    "gcp": lambda random: "AI" + "za" + url_safe(random, 35),
    "google_oauth": lambda random: "ya" + "29." + url_safe(random, 140),
    "google_client": lambda random: "GOC" + "SPX-" + url_safe(random, 28),
    "azure_key": lambda random: base64_of(random, 64),
    "azure_secret": azure_secret,
    "slack_bot": _slack_bot,
    "slack_user": _slack_user,
    "slack_app": lambda random: (
        "xa" + f"pp-1-A0{some(random, ascii_uppercase + digits, 9)}-{some(random, digits, 13)}-{some(random, HEX, 64)}"
    ),
    "slack_hook": lambda random: (
        f"T0{some(random, ascii_uppercase + digits, 8)}/"
        f"B0{some(random, ascii_uppercase + digits, 9)}/{some(random, ALPHANUMERIC, 24)}"
    ),
    "github": lambda random: random.choice(("ghp", "gho", "ghu", "ghs")) + "_" + some(random, ALPHANUMERIC, 36),
    "github_pat": lambda random: (
        "github" + "_pat_" + some(random, ALPHANUMERIC, 22) + "_" + some(random, ALPHANUMERIC, 59)
    ),
    "gitlab": lambda random: "gl" + "pat-" + url_safe(random, 20),
    "npm": lambda random: "np" + "m_" + some(random, ALPHANUMERIC, 36),
    "pypi": lambda random: "py" + "pi-AgEIcHlwaS5vcmc" + url_safe(random, 150),
    "stripe": lambda random: random.choice(("sk", "rk")) + "_live_" + some(random, ALPHANUMERIC, 24),
    "stripe_long": lambda random: "sk" + "_live_51" + some(random, ALPHANUMERIC, 97),
    "stripe_hook": lambda random: "wh" + "sec_" + some(random, ALPHANUMERIC, 32),
    "twilio": lambda random: "SK" + some(random, HEX, 32),
    "sendgrid": lambda random: "SG" + "." + url_safe(random, 22) + "." + url_safe(random, 43),
    "openai": _openai,
    "openai_project": lambda random: "sk-" + "proj-" + url_safe(random, 74) + "T3Blbk" + "FJ" + url_safe(random, 74),
    "mailgun": lambda random: "key-" + some(random, HEX, 32),
    "digitalocean": lambda random: "dop" + "_v1_" + some(random, HEX, 64),
    "shopify": lambda random: "shp" + "at_" + some(random, HEX, 32),
    "telegram": lambda random: some(random, digits, 10) + ":AA" + url_safe(random, 33),
    "huggingface": lambda random: "hf" + "_" + some(random, ascii_letters, 34),
    "vault": lambda random: "hv" + "s." + url_safe(random, 95),
    "docker": lambda random: "dckr" + "_pat_" + url_safe(random, 27),
    "supabase": lambda random: "sb" + "_secret_" + url_safe(random, 31),
    "hex32": lambda random: some(random, HEX, 32),
    "hex40": lambda random: some(random, HEX, 40),
    "hex64": lambda random: some(random, HEX, 64),
    "base64": lambda random: base64_of(random, 33),
    "base64_padded": lambda random: base64_of(random, 32),
    "opaque": lambda random: url_safe(random, 43),
    "short": lambda random: some(random, ALPHANUMERIC, 16),
    "uuid": lambda random: "-".join(some(random, HEX, size) for size in (8, 4, 4, 4, 12)),
    "session": lambda random: some(random, ascii_lowercase + digits, 26),
    "jwt": jwt,
    "jwt_rsa": lambda random: jwt(random, "RS256", 256),
    "jwe": jwe,
    "basic": basic,
    "password": password,
    "simple_password": simple_password,
    "passphrase": passphrase,
    "pin": lambda random: some(random, digits, 8),
    "email": email,
    "card": card,
    "card_spaced": lambda random: grouped_card(random, " "),
    "card_dashed": lambda random: grouped_card(random, "-"),
    "iban": iban,
    "iban_spaced": grouped_iban,
    "rsa_key": lambda random: pem(
        random, "RSA PRIVATE " + "KEY", 1190, b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01"
    ),
    "ec_key": lambda random: pem(random, "EC PRIVATE " + "KEY", 121, b"\x30\x77\x02\x01\x01\x04\x20"),
    "pkcs8_key": lambda random: pem(random, "PRIVATE " + "KEY", 1216, b"\x30\x82\x04\xbc\x02\x01\x00\x30\x0d\x06\x09"),
    "encrypted_key": lambda random: pem(random, "ENCRYPTED PRIVATE " + "KEY", 1300, b"\x30\x82\x05\x0e\x30\x40"),
    "ssh_key": lambda random: pem(random, "OPENSSH PRIVATE " + "KEY", 400, b"openssh-key-v1\0"),
}
