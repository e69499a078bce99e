"""Secrets in running text, where a telling name stands beside or before them without a sign of assignment.

Every expression is linear: bounded or possessive repeats, so a hostile text can't hang the writer.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from ingest.masking.escapes import LINE_ENDS
from ingest.masking.randomness import is_random, is_uuid

_Q = r"\\*+[\"']"  # a quote, in however many layers of JSON
_LINE = rf"(?:\\++[{LINE_ENDS}]|\r|\n)"


class Form(NamedTuple):
    """A `value` beside a `name`, hidden where the name tells and the value `holds`. `hints`: one of them must occur in
    the lower-case text. `example` shows it in the docs, with `Zq7Xw9Lm` or a longer word as the value."""

    hints: tuple[str, ...]
    expression: re.Pattern[str]
    example: str
    holds: Callable[[str], bool] | None = None


def _is_key(value: str) -> bool:
    return is_random(value) and not is_uuid(value)


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def _has_quote(value: str) -> bool:
    """($1, $2) holds none."""
    return "'" in value


def _form(hints: str, expression: str, example: str, holds: Callable[[str], bool] | None = None) -> Form:
    return Form(tuple(hints.split("|")), re.compile(expression), example, holds)


FORMS = (
    _form("</", r"<(?P<name>[\w.:-]++)[^<>\n]{0,200}>(?P<value>[^<]{1,4096})", "<password>Zq7Xw9Lm</password>"),
    _form(
        "value=",
        rf"<[^<>]{{0,200}}?\b(?:name|key|id)={_Q}(?P<name>[\w.:\[\]-]{{1,60}}){_Q}[^<>]{{0,200}}?\svalue={_Q}"
        r"(?P<value>[^\"'<>\\]{1,4096})",
        '<input name="password" value="Zq7Xw9Lm">',
    ),
    _form(
        "--",
        rf"(?<![\w-])(?P<name>--[\w.-]++)\s{{1,3}}(?:{_Q})?(?P<value>(?:[^\s\"'\\]|\\++(?![\"'])){{1,1024}}+)",
        "--token Zq7Xw9Lm",
    ),
    _form(
        "[|(",
        rf"[\[(]\s?b?{_Q}(?P<name>[\w.-]{{1,60}}){_Q},\s?b?{_Q}(?P<value>[^\"'\\\r\n]{{1,2048}})(?={_Q}\s?[\])])",
        '["x-api-key", "Zq7Xw9Lm"]',
    ),
    _form(  # in a row with others only as a header writes it, since fields are listed like that, too
        ",",
        rf"(?<!\\){_Q}(?P<name>(?:[\w.]{{1,30}}-[\w.-]{{1,30}}|[Aa]uthorization|[Cc]ookie)){_Q},\s?b?{_Q}"
        rf"(?P<value>[^\"'\\\r\n]{{1,2048}})(?={_Q})",
        "[ 'Host', 'api', 'X-Api-Key', 'Zq7Xw9Lm', 'Accept', '*/*' ]",
    ),
    _form(
        " is | was ",
        r"(?<![\w.-])(?P<name>[\w.-]++) (?:is|was) [\"']?(?P<value>(?=[^\s\"']{0,60}\d)[^\s\"']{6,1024})",
        "password is Zq7Xw9Lm",
    ),
    _form(
        " ",
        rf"(?<![\w.-])(?P<name>[\w-]{{1,40}})(?: |: | {_Q}|: {_Q}| \()(?P<value>[\w+/=.~-]{{16,1024}}+)",
        "webhook secret 9f2c4e8a7b1d3f5069ab does not match",
        _is_key,
    ),
    _form(
        " key| tokens| id| pass",
        rf"(?<![\w.-])(?P<name>[\w-]{{1,40}} [\w-]{{1,40}})(?: |: | {_Q}|: {_Q}| \()(?P<value>[\w+/=.~-]{{16,1024}}+)",
        "the API key 9f2c4e8a7b1d3f5069ab is not active",
        _is_key,
    ),
    _form(
        "pass|pwd",
        rf"(?i)(?<![\w.-])(?P<name>pass(?:word|wort|wd|phrase)|pwd) {_Q}(?P<value>[^\s\"'\\]{{5,256}})(?={_Q})",
        'wrong password "Zq7Xw9Lm" for user admin',
        _has_digit,
    ),
    _form(
        " / ",
        r"(?<![\w.-])(?P<name>[\w.-]{1,40})(?:: ?|=| )[^\s/:=]{1,64} / (?P<value>[^\s/]{4,256})",
        "credentials: ops / Zq7Xw9Lm",
        _has_digit,
    ),
    _form(
        " for | of ",
        r"(?<![\w.-])(?P<name>[\w-]{1,40}) (?:for|of) [^\s\"']{1,64} (?:is|was) [\"']?(?P<value>[^\s\"'\\]{6,256})",
        "the password for ann is Zq7Xw9Lm9",
        _has_digit,
    ),
    _form(
        " code |otp |pin ",
        r"(?<![\w.-])(?P<name>(?:[\w-]{1,40} code|otp|pin)) (?P<value>[0-9]{4,10})(?![\w.])",
        "recovery code 27587042",
    ),
    _form(
        " too | is wrong| is incorrect",
        rf"(?<![\w.-])(?P<name>[\w-]{{1,40}}) {_Q}(?P<value>[^\s\"'\\]{{4,256}}){_Q}"
        r" is (?:too (?:short|long|weak)|wrong|incorrect)",
        "secret 'nickel-Zq7Xw9Lm' is too short",
    ),
    _form(
        "values",
        r"(?i)\([^()]{0,200}?(?P<name>\w{0,30}(?:passw|pwd|secret|token|api_?key|private_?key|credential)\w{0,30})[^()]{0,200}\)"
        r"\s{1,3}values\s{0,3}\((?P<value>[^()\n]{1,2000})\)",
        "insert into users (name, password) values ('ann', 'Zq7Xw9Lm')",
        _has_quote,
    ),
    _form(
        "form-data",
        rf"name={_Q}(?P<name>[\w.\[\]-]{{1,60}}){_Q}(?:{_LINE}{{1,2}}[\w-]{{1,40}}: [^\r\n\\]{{1,100}})?{_LINE}{{2,4}}"
        r"(?P<value>[^\r\n\\]{1,4096})",
        'Content-Disposition: form-data; name="password"⏎⏎Zq7Xw9Lm',
    ),
    _form(
        f"\n|\\n|\\{LINE_ENDS[-1]}",
        rf"(?<![\w.-])(?P<name>[\w-]{{1,40}}):?{_LINE}{{1,2}}(?P<value>[^\s\"'\\]{{6,256}})(?=\s|\\|[\"']|$)",
        "password⏎Zq7Xw9Lm",
        _has_digit,
    ),
)
