"""Numbers and codes that make the cause: a status, an errno, an exit code, the number of an error."""

import re

import re2

# Telling numbers are hidden from what follows as characters of a private area, and come back at the end.
_HIDE = {ord(str(digit)): chr(0xE000 + digit) for digit in range(10)}
_SHOW = {0xE000 + digit: str(digit) for digit in range(10)}
HIDDEN = re.compile("[\ue000-\ue009]")
_REASON_PHRASE = (
    r"bad (?:request|gateway)|unauthori[sz]ed|payment required|forbidden|not (?:found|acceptable|implemented|modified)"
    r"|method not|request (?:time|entity|header|uri)|proxy auth|conflict|gone|length required|precondition|payload too"
    r"|content too|uri too|unsupported media|range not|expectation|misdirected|unprocessable|locked|failed dependency"
    r"|too (?:many|early)|upgrade required|internal server|service unavailable|gateway time|http version|client error"
    r"|server error|insufficient storage|moved permanently|temporary redirect"
)
_TELLING = re.compile(
    r"\b(?:"
    r"(?:http(?:/\d(?:\.\d)?)?|(?:http[ _-]?)?status(?:[ _-]?code)?|responsecode|errno|winerror|sqlstate|signal"
    r"|(?:os|curl|socket|react|ssl|mysql|ora|gl|libcurl|system|win32|exit|grpc)[ _-]?(?:error|code|status)"
    r"|exit(?:ed)?|errorcode|(?:error|return|response|result|reply|close|exit|reason|sub)[ _-]code)"
    r"[\s:=#(\[\"']{0,3}(?:(?:with|of|was|is|code|status)[ :=]{1,2}){0,2}[#(\[]?"
    r"|error(?: #?|: (?=[45]\d\d\b))(?:code[ :]{1,2})?"
    r")-?\d{1,5}\b(?![.,]\d)"
    r"|\b(?:return(?:ed|s)|respond(?:ed|s) with|answer(?:ed|s)|replied|got|received|unexpected|failed with)"
    r"(?: an?)?[ :]{1,2}(?:(?:http|status|code|response)[ :]{1,2}){0,2}[1-5]\d\d"
    r"(?=\s*(?:\Z|[^\s\w%]|\n|(?:from|for|on|at|while|when)\b))"
    r"|(?<![\w.])[1-5]\d\d(?= (?:" + _REASON_PHRASE + r")\b)"
    r"|(?<![\w.])[245]\d\d[ -][245]\.\d{1,3}\.\d{1,3}\b"
    r"|\(\d{1,3}(?=: [a-z])",
    re.IGNORECASE,
)
_MAY_TELL = re2.compile(
    rb"(?i)(?:http|status|code|errno|error|sqlstate|signal|exit|return|respond|answer|replied|got|received|unexpected"
    rb"|failed with)[^0-9]{0,30}[0-9]|\b[1-5][0-9][0-9][ -](?:[a-z]|[245]\.)|\([0-9]{1,3}: |\b0x[8c]0[0-9a-f]{6}"
    rb"|\b[a-z]{2,6}-?[0-9]{3,6}\b|^[\[(]?[a-z0-9]{4,12}[\s:\])]|[\[(][a-z0-9]{4,12}[\s:\])]"
)
_CODE_BEFORE = re.compile(r"\b(\w+[ _-])?code[ :=#(\[\"']{1,3}(\d{1,5})\b", re.IGNORECASE)
_NOT_A_CODE = frozenset(
    "zip postal post promo coupon discount voucher area country verification bar product item".split()
)
_TELLING_NAME = re.compile(
    r"\b(?:ORA|PLS|TNS|DPI|DPY|RMAN|MSB|NETSDK|SQL|CVE|JWT)-?\d{3,6}\b"
    r"|(?:\A|[\[(]|\b(?i:error|code|SQLSTATE)[ :=\[(]{1,3})"
    r"(?=[A-Z0-9]{4,12}\b)(?=\d{0,4}[A-Z])[A-Z0-9]{0,8}\d[A-Z0-9]{0,5}(?=[\s:\])])"
    r"|SQLSTATE[ :=\[(]{1,3}[0-9A-Z]{5}\b|\b0x[8Cc]0[0-9A-Fa-f]{6}\b"
)


def hidden(text: str) -> str:
    """`text` with its digits put away, so that nothing takes them for numbers that vary."""
    return text.translate(_HIDE)


def shown(text: str) -> str:
    """`text` with the digits that were put away."""
    return text.translate(_SHOW)


def with_telling_hidden(text: str) -> str:
    """`text` with the digits of all that is telling put away."""
    if not _MAY_TELL.search(text.encode("utf-8", "replace")):
        return text
    text = _TELLING.sub(lambda match: hidden(match[0]), text)
    text = _CODE_BEFORE.sub(_hidden_code, text)
    return _TELLING_NAME.sub(lambda match: hidden(match[0]), text)


def _hidden_code(match: re.Match[str]) -> str:
    """«code 23505», but no postal code."""
    return match[0] if match[1] and match[1][:-1].lower() in _NOT_A_CODE else hidden(match[0])
