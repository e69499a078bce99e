"""A message with all that varies replaced by placeholders, so that what is left is what it says.

Version 2's; what a template keeps is a part of the version, see `docs/grouping.md`. Every expression is linear or
bounded, and only the start of a text is looked at.
"""

import re
from functools import lru_cache

from ingest.fingerprint.documents import without_documents
from ingest.fingerprint.telling import HIDDEN, shown, with_telling_hidden
from ingest.fingerprint.vocabulary import ASSIGNED_DATA, MESSAGE_FOLLOWS, kept_name
from ingest.fingerprint.wordings import in_one_wording

MOST_LOOKED_AT = 1_000  # characters of a message
_LONGEST = 220  # characters of a template: a text that was cut elsewhere is the same text

_QUOTED = re.compile(
    r"\\?\"([^\"\\\n]{0,300})\\?\"|(?<![\w'])b?'([^'\n]{0,300})'(?!\w)|`([^`'\n]{0,300})[`']"
    r"|“([^”\n]{0,300})”|«([^»\n]{0,300})»|»([^«\n]{0,300})«|„([^“”\n]{0,300})[“”]|‘([^’\n]{0,300})’"
)
_OPEN_QUOTE = re.compile(r"(?<![\w'\"\]])[\"'`“«][^\"'`”»\n]{0,1000}\Z")

_MASKED = re.compile(r"\[masked(?::[\w.-]{1,40}){0,3}\]|\[filtered\]", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>`)\],]{1,1000}", re.IGNORECASE)
_TIME = re.compile(
    r"\b\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)\b)?"
    r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
    r" {1,2}\d{1,2},?(?: \d{4},?)?(?: \d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?: \d{4}\b)?(?: (?:UTC|GMT|[+-]\d{4}))?"
    r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?\d{1,2}[ /-](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r"[a-z]{0,6}[ /-]\d{2,4}(?:[ :]\d\d:\d\d(?::\d\d)?)?(?: ?(?:UTC|GMT|[+-]\d{4}))?"
    r"|\b(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:January|February|March|April|May|June|July|August|September"
    r"|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\.? \d{4})\b|\b\d{8}T\d{4,6}Z?\b"
    r"|\b\d{1,2}[./]\d{1,2}[./]\d{4}(?:,? \d\d:\d\d(?::\d\d)?)?\b"
    r"|(?<![\w.:])\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:UTC|GMT|AM|PM|Z)\b)?(?![:\w])"
    r"|\bP(?:\d{1,4}D)?T(?:\d{1,9}(?:\.\d{1,9})?[HMS]){1,3}\b"
)
_GO_PREFIX = re.compile(r"\A[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{1,9} +\d{1,9} ")
_LOG_PREFIX = re.compile(r"\A<time> \S{1,80} (?=[\w./-]{1,60}(?:\[\d{1,9}\])?: )")
_ADDRESS = re.compile(
    r"/?(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2}\b)?(?::\d{1,5}\b)?"
    r"|\[?(?<![\w:])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|::1)(?:(?=\])|:\d{2,5}\b|(?![\w:]))"
    r"(?:\]:\d{1,5})?|\[?::ffff:(?:\d{1,3}\.){3}\d{1,3}(?:\]:\d{1,5})?"
    r"|\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"(?<![\w.@/-])(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.){1,10}"
    r"(?:com|net|org|edu|gov|info|biz|io|ai|dev|cloud|app|tech|xyz|internal|intern|local|localdomain|lan|corp|home|svc"
    r"|example|invalid|test|localhost|eu|de|at|ch|fr|nl|uk|us|ca|au|se|pl|es|jp|cn|br|be|dk|fi|cz)"
    r"(?::\d{1,5})?(?![\w(-]|\.\w)|\blocalhost(?::\d{1,5})?\b"
)
_UUID = r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Fa-f])"
_POD = r"(?<=[a-z0-9]-)(?:[0-9a-f]{6,10}-[a-z0-9]{5}|(?=[a-z]{0,4}\d)[bcdfghjklmnpqrstvwxz2456789]{5})(?![A-Za-z0-9-])"
_HEX = (
    r"(?<=-)(?=[a-f]{0,5}\d)(?=\d{0,5}[a-f])[0-9a-f]{4,6}(?![A-Za-z0-9-])|"
    r"\b0x[0-9A-Fa-f]{1,32}\b|(?<=@)[0-9a-f]{4,8}\b"
    r"|(?<![A-Za-z0-9])(?=[a-f]{0,63}\d)(?=\d{0,63}[a-f])[0-9a-f]{7,64}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[A-F]{0,63}\d)(?=\d{0,63}[A-F])[0-9A-F]{12,64}(?![A-Za-z0-9])"
)
_BUSINESS = r"(?<![\w-])(?!(?:UTF|ISO|SHA|AES|RFC|TLS|SSL|HTTP|IPV?|CP|MD|ORA)-)[A-Z]{1,5}-\d[\dA-Z-]{0,30}\b|(?<![\w])[A-Z]{1,5}\d{4,30}\b"
_LABELLED = (
    r"(?i:(?<==)(?<=[\"'⟩>]=)[\w.-]{1,200}|(?<=requestid: )|(?<=request id: )|(?<=request-id: )|(?<=hostid: )|(?<=host id: )|(?<=traceid=)"
    r"|(?<=trace_id=)|(?<=span_id=)|(?<=session=)|(?<=nonce=))[\w+/=.-]{4,200}"
)
_RANDOM = r"\bamq\.(?:ctag|gen)-[\w-]{10,60}|\bdata:[\w/+.-]{1,60};base64,[\w+/=]{1,1000}"
_IDS = re.compile("|".join((_RANDOM, _UUID, _LABELLED, _POD, _HEX, _BUSINESS)))
_MIXED = re.compile(r"(?<![A-Za-z0-9+/=])(?=[A-Za-z+/]{0,60}\d)[A-Za-z0-9+/]{6,200}={0,2}(?![A-Za-z0-9+/=])")
_TOKEN = re.compile(
    r"(?<![\w-])(?=[A-Za-z_-]{0,40}\d)(?=[a-z\d_-]{0,40}[A-Z])(?=[A-Z\d_-]{0,40}[a-z])[\w-]{16,64}(?![\w-])"
)
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])([a-z]{2,8}_)(?=[a-z0-9]{0,64}[A-Z])(?=[A-Z0-9]{0,64}[a-z])[A-Za-z0-9]{10,64}(?![A-Za-z0-9_])"
)
_CHANGES = re.compile(r"[A-Za-z]\d|\d[A-Za-z]")
_PATH = re.compile(
    r"(?<![\w.<>:/\\-])(?:~|[A-Za-z]:)?(?:[/\\]{1,2}[\w.@+~%$=-]{1,128}){2,32}[/\\]?(?:\?[^\s\"'<>)]{0,300})?"
)
_RELATIVE = re.compile(r"(?<![\w./<>:@\\-])(?:[\w.@=+-]{1,100}/){1,16}[\w.@=+-]{1,100}\.[A-Za-z0-9]{1,8}\b(?![\w/(])")
_CODE_FILE = re.compile(
    r"[\w.@+-]{1,128}\.(?:py|[cm]?[jt]s|[jt]sx|rb|go|rs|java|kt|scala|php|cs|fs|sh|sql|pl|exs?|erb|html?|vue|svelte"
    r"|service|conf|cfg|ini|toml|ya?ml|env|jar|dll|so|exe|properties)\Z",
    re.IGNORECASE,
)
_DATA_FILE = re.compile(
    r"(?<![\w./-])[\w./-]{1,200}\.(?:csv|tsv|pdf|xlsx?|docx?|png|jpe?g|gif|webp|zip|gz|log|tmp|txt|parquet|eml)\b", re.I
)
_UNIT = (
    r"(?: ?(?:ns|µs|μs|us|ms|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?|[KMGTkmgt]i?[Bb]|[KMGT]i|bytes?|percent|EUR|USD|GBP|CHF)"
    r"(?![A-Za-z])|[smhdBkKMGT](?![A-Za-z])|(?:st|nd|rd|th)(?![A-Za-z])|[eE][+-]?\d{1,4}(?![A-Za-z])| ?[%€$£])?"
)
_NUMBER = re.compile(
    r"(?<![A-Za-z\d])(?:\d{1,9}(?:\.\d{1,9})?(?:ms|ns|us|µs|[hms])){2,6}(?![A-Za-z\d])"
    r"|\+\d{1,3}[ \d()/-]{6,20}\d\b|\d+\.\d+\.\d+[-+](?:alpha|beta|rc|snapshot|pre|build|dev|final|release)[\w.+-]{0,60}"
    r"|[€$£]?(?:(?<![\w)\]])[-+])?\d+(?:[.,'’\u00a0\u202f]\d+)*" + _UNIT
)
_SAME_AGAIN = re.compile(r"(\(?<(?:n|value|address|path)>\)?)(?:\s?(?:[,;/|x×:-]|and|und|or|->)?\s?\1)+")
_PLACE = r"(?:\$<n>|%s|\?|%\([\w<>]{1,80}\)s|:\w{1,80})"
_PARAMETERS = re.compile(rf"{_PLACE}(?:, ?{_PLACE})+|\(<n>,\)")
_ASSIGNED_DATA = re.compile(
    r"\b((?:[A-Za-z]{1,20}[_. -])?(?P<noun>[A-Za-z]{2,20}?)(?:[_. -]?(?:id|uuid|name|key|number|no)s?)?(?:=|: ))"
    r"(?P<data>[\w.@+/-]{1,200})(?=[\s,;)\]}&]|\Z)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"(?:\)=|\bkey value is )\([^()\n]{0,300}\)|\b(?:Failing row contains) \([^\n]*")
_PLURAL = re.compile(r"(?<![A-Za-z])([a-z]{2,}[a-rt-z])(?:(ie)s|e?s|\(s\))(?![A-Za-z])")
_FORMS = re.compile(r"\b(?:were|are|have|do)\b")
_ONE_FORM = {"were": "was", "are": "is", "have": "has", "do": "does"}
_CUT_OFF = re.compile(r"\S{0,80}(?:…|\.\.\.|\[(?:cut|truncated)[^\]]{0,40}\]|<truncated>)\s*\Z", re.IGNORECASE)


@lru_cache(maxsize=4096)
def template(message: str) -> str:
    """What stays the same of a message's first 1,000 characters, in at most 220 characters."""
    text = in_one_wording(without_documents(_CUT_OFF.sub("", message[:MOST_LOOKED_AT])))
    has_digit = any(map(text.__contains__, "0123456789"))
    if has_digit:
        text = with_telling_hidden(_GO_PREFIX.sub("<time> ", text))
    if "(" in text:
        text = _ASSIGNED.sub(")=(<value>)", text)
    text = _OPEN_QUOTE.sub("<value>", _QUOTED.sub(_quoted, text))
    if "_" in text:
        text = _PREFIXED.sub(r"\1<n>", text)
    if "[" in text:
        text = _MASKED.sub("<masked>", text)
    if "@" in text:
        text = _EMAIL.sub("<email>", text)
    if "://" in text:
        text = _URL.sub("<url>", text)
    if "=" in text or ": " in text:
        text = _ASSIGNED_DATA.sub(_data, text)
    if "/" in text:
        text = _RELATIVE.sub(_path, text)
    if has_digit:
        text = _LOG_PREFIX.sub("<time> ", _TIME.sub("<time>", text))
    if "." in text or ":" in text or "localhost" in text:
        text = _HOST.sub("<host>", text)
    if has_digit:
        text = _ADDRESS.sub("<address>", text)
    if "/" in text or "\\" in text:
        text = _PATH.sub(_path, text)
    text = _DATA_FILE.sub("<path>", text)
    if has_digit:
        text = _IDS.sub("<n>", text)
        text = _MIXED.sub(_mixed, _TOKEN.sub(_mixed, text))
        text = _NUMBER.sub("<n>", text)
    return _finished(text)


def _finished(text: str) -> str:
    text = _PARAMETERS.sub("?", _SAME_AGAIN.sub(r"\1", text))
    if "<n>" in text:
        text = _PLURAL.sub(r"\1", text)
        text = _FORMS.sub(lambda match: _ONE_FORM[match[0]], text)
    text = " ".join(text.split())[:_LONGEST]
    return shown(text).strip(" .:;,!…")


def _quoted(match: re.Match[str]) -> str:
    inner = next((group for group in match.groups() if group is not None), "")
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - 40) : start]
    if MESSAGE_FOLLOWS.search(before) and " " in inner:
        return inner
    if HIDDEN.search(inner) and " " in inner:
        return inner
    return kept_name(inner, before, text[end : end + 30]) or "<value>"


def _path(match: re.Match[str]) -> str:
    """A file of the program is telling, where it lies and what else is read isn't."""
    base = re.split(r"[/\\]", match[0].rstrip("/\\"))[-1]
    return f"<path>/{base}" if _CODE_FILE.fullmatch(base) else "<path>"


def _data(match: re.Match[str]) -> str:
    """«tenant=acme», «Key: shoes»: who or what it happened to."""
    noun = match["noun"].lower()
    if noun in ASSIGNED_DATA and not HIDDEN.search(match["data"]):
        return f"{match[1]}<value>"
    return match[0]


def _mixed(match: re.Match[str]) -> str:
    """Letters and digits in turns are an id; «utf8», «x86» and «sha256» are not."""
    text = match[0]
    changes = len(_CHANGES.findall(text))
    if text.count("/") > 3 or (changes < 2 and "=" not in text):
        return text
    return "<n>" if changes > 2 or len(text) > 7 or text.isupper() else text
