"""What varies in a message, by its look: times, addresses, hosts, ids, paths, numbers.

Most of it stands within one word, and words repeat: what becomes of a word is remembered.
"""

import re
from functools import lru_cache

import re2

# Times: more than one word.
_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
_TIME = re.compile(
    rf"\b\d{{4}}[-/]\d\d[-/]\d\d(?:[T ]{_CLOCK})?(?: ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)\b)?"
    rf"|\b{_DAY}{_MONTH} {{1,2}}\d{{1,2}},?(?: \d{{4}},?)?(?: {_CLOCK})?(?: \d{{4}}\b)?(?: (?:UTC|GMT|[+-]\d{{4}}))?"
    rf"|\b{_DAY}\d{{1,2}}[ /-]{_MONTH}[ /-]\d{{2,4}}(?:[ :]{_CLOCK})?(?: ?(?:UTC|GMT|[+-]\d{{4}}))?"
    r"|\b(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:January|February|March|April|May|June|July|August|September"
    r"|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\.? \d{4})\b|\b\d{8}T\d{4,6}Z?\b"
    rf"|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}}(?:,? {_CLOCK})?\b"
    r"|(?<![\w.:])\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:UTC|GMT|AM|PM|Z)\b)?(?![:\w])"
    r"|\bP(?:\d{1,4}D)?T(?:\d{1,9}(?:\.\d{1,9})?[HMS]){1,3}\b"
)
_MAY_HAVE_TIME = re2.compile(
    rb"\d:\d\d|\d{4}[-/]\d\d[-/]\d\d|\d[./]\d{1,2}[./]\d{4}|day\b|\d[ /-][A-Z][a-z]{2}|\d[HMS]\b|\d{8}T\d{4}"
    rb"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? {1,2}\d"
)
_LOG_PREFIX = re.compile(r"\A<time> \S{1,80} (?=[\w./-]{1,60}(?:\[\d{1,9}\])?: )")

# Words.
_WORD = re.compile(r"(?<![^\s\"'(){},;<>⟨⟩])[^\s\"'(){},;<>⟨⟩\d.@/\\]*+[\d.@/\\][^\s\"'(){},;<>⟨⟩]*")
_EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_ADDRESS = re.compile(
    r"/?(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2}\b)?(?::\d{1,5}\b)?"
    r"|\[?(?<![\w:])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}|::1)"
    r"(?:(?=\])|:\d{2,5}\b|(?![\w:]))(?:\]:\d{1,5})?"
    r"|\[?::ffff:(?:\d{1,3}\.){3}\d{1,3}(?:\]:\d{1,5})?|\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"(?<![\w.@/-])(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.){1,10}"
    r"(?:com|net|org|edu|gov|info|biz|io|ai|dev|cloud|app|tech|xyz|internal|intern|local|localdomain|lan|corp|home|svc"
    r"|example|invalid|test|localhost|eu|de|at|ch|fr|nl|uk|us|ca|au|se|pl|es|jp|cn|br|be|dk|fi|cz)"
    r"(?::\d{1,5})?(?![\w(-]|\.\w)"
)
_LOCALHOST = re.compile(r"\blocalhost(?::\d{1,5})?\b")
_UUID = r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Fa-f])"
_POD = r"(?<=[a-z0-9]-)(?:[0-9a-f]{6,10}-[a-z0-9]{5}|(?=[a-z]{0,4}\d)[bcdfghjklmnpqrstvwxz2456789]{5})(?![A-Za-z0-9-])"
_HEX = (
    r"(?<=-)(?=[a-f]{0,5}\d)(?=\d{0,5}[a-f])[0-9a-f]{4,6}(?![A-Za-z0-9-])"
    r"|\b0x[0-9A-Fa-f]{1,32}\b|(?<=@)[0-9a-f]{4,8}\b"
    r"|(?<![A-Za-z0-9])(?=[a-f]{0,63}\d)(?=\d{0,63}[a-f])[0-9a-f]{7,64}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[A-F]{0,63}\d)(?=\d{0,63}[A-F])[0-9A-F]{12,64}(?![A-Za-z0-9])"
)
_BUSINESS = (
    r"(?<![\w-])(?!(?:UTF|ISO|SHA|AES|RFC|TLS|SSL|HTTP|IPV?|CP|MD|ORA)-)[A-Z]{1,5}-\d[\dA-Z-]{0,30}\b"
    r"|(?<!\w)[A-Z]{1,5}\d{4,30}\b"
)
_GIVEN = r"(?<=\A=)[\w.-]{1,200}\Z"  # «'id'=A-17»
_IDS = re.compile("|".join((_UUID, _GIVEN, _POD, _HEX, _BUSINESS)))
_TOKEN = re.compile(
    r"(?<![\w-])(?=[A-Za-z_-]{0,40}\d)(?=[a-z\d_-]{0,40}[A-Z])(?=[A-Z\d_-]{0,40}[a-z])[\w-]{16,64}(?![\w-])"
    r"|(?<![A-Za-z0-9+/=])(?=[A-Za-z+/]{0,60}\d)[A-Za-z0-9+/]{6,200}={0,2}(?![A-Za-z0-9+/=])"
)
_CHANGES = re.compile(r"[A-Za-z]\d|\d[A-Za-z]")
_PATH = re.compile(r"(?<![\w.<>:/\\-])(?:~|[A-Za-z]:)?(?:[/\\]{1,2}[\w.@+~%$=-]{1,128}){2,32}[/\\]?(?:\?.{0,300})?")
_RELATIVE = re.compile(r"(?<![\w./<>:@\\-])(?:[\w.@=+-]{1,100}/){1,16}[\w.@=+-]{1,100}\.[A-Za-z0-9]{1,8}\b(?![\w/(])")
_CODE_FILE = re.compile(
    r"\.(?:py|[cm]?[jt]s|[jt]sx|rb|go|rs|java|kt|scala|php|cs|fs|sh|sql|pl|exs?|erb|html?|vue|svelte"
    r"|service|conf|cfg|ini|toml|ya?ml|env|jar|dll|so|exe|properties)\Z",
    re.IGNORECASE,
)
_DATA_FILE = re.compile(
    r"(?<![\w./-])[\w./-]{1,200}\.(?:csv|tsv|pdf|xlsx?|docx?|png|jpe?g|gif|webp|zip|gz|log|tmp|txt|parquet|eml)\b", re.I
)
_LABELLED = re.compile(
    r"\b((?:request|host|trace|span|correlation|session|amz|operation|activity)[ _-]?id[:=] ?|nonce=|traceparent=)"
    r"[\w+/=.-]{4,200}",
    re.IGNORECASE,
)
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])([a-z]{2,8}_)(?=[a-z0-9]{0,64}[A-Z])(?=[A-Z0-9]{0,64}[a-z])[A-Za-z0-9]{10,64}(?![A-Za-z0-9_])"
)
_PHONE = re.compile(r"\+\d{1,3}[ \d()/-]{6,20}\d\b")
_OF_SOMEBODY = re.compile(
    r"\b(for|of|by|from|as) (tenant|user|customer|account|owner|login|client|merchant|organi[sz]ation|team) "
    r"(?!(?:id|name|data|input|context|account|with|in|is|was|has|not|and|or|to|on|at|the|who|that|without|could)\b)"
    r"[\w.-]{1,80}"
)
_NAMED_HOST = re.compile(
    r"\b((?:host|server|node|instance|worker|broker|machine|replica|shard|pod|on)[ =]|on (?:host|server|node) )"
    r"[a-z0-9]{1,40}(?:-[a-z0-9]{1,40}){1,8}\b(?![.\w<-])"
)
_REGION = re.compile(
    r"\b(?:us|eu|ap|sa|ca|me|af|il|cn|europe|asia|australia|southamerica|northamerica|africa)-(?:gov-)?"
    r"(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-?\d[a-z]?(?:-[a-z])?\b"
)
_FIELDS = re.compile(r"(?<![^\s\"'])[^\s;|\"']{0,80}(?:[;|][^\s;|\"']{0,80}){2,40}(?![^\s\"'])")
_TAG = re.compile(r"\bamq\.(?:ctag|gen)-[\w-]{10,60}")

# Numbers, with their units.
_UNIT = (
    r"(?: ?(?:ns|µs|μs|us|ms|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?|[KMGTkmgt]i?[Bb]|[KMGT]i|bytes?"
    r"|percent|EUR|USD|GBP|CHF)(?![A-Za-z])|(?:[smhdBkKMGT]|st|nd|rd|th|[eE][+-]?\d{1,4})(?![A-Za-z])| ?[%€$£])?"
)
_NUMBER = re.compile(
    r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|ns|us|µs|[hms])){2,6}(?![A-Za-z\d])"
    r"|\d+\.\d+\.\d+[-+](?:alpha|beta|rc|snapshot|pre|build|dev|final|release)[\w.+-]{0,60}"
    rf"|\d+(?:[.,'’\u00a0\u202f]\d+)*{_UNIT}"
)
_SIGNED = re.compile(r"(?:(?<![\w)\]>])[-+]|[€$£])[-+]?<n>")


def without_varying(text: str) -> str:
    """`text` with placeholders for what varies by its look."""
    if "id" in text or "ID" in text or "=" in text:
        text = _LABELLED.sub(r"\1<n>", text)
    if "_" in text:
        text = _PREFIXED.sub(r"\1<n>", text)
    if "amq." in text:
        text = _TAG.sub("<n>", text)
    if "+" in text:
        text = _PHONE.sub("<n>", text)
    if "/" in text:
        text = _RELATIVE.sub(_path, text)
    text = _OF_SOMEBODY.sub(r"\1 \2 <value>", text)
    if "-" in text:
        text = _REGION.sub("<host>", text)
    if ";" in text or "|" in text:
        text = _FIELDS.sub("<value>", text)
    if _MAY_HAVE_TIME.search(text.encode("utf-8", "replace")):
        text = _LOG_PREFIX.sub("<time> ", _TIME.sub("<time>", text))
    text = _WORD.sub(_word_of, text)
    if "-" in text:
        text = _NAMED_HOST.sub(r"\1<host>", text)
    if "localhost" in text:
        text = _LOCALHOST.sub("<host>", text)
    text = _NUMBER.sub("<n>", text)
    return _SIGNED.sub("<n>", text) if "<n>" in text else text


def _word_of(match: re.Match[str]) -> str:
    word = match[0]
    return _word(word) if len(word) <= 200 else _word.__wrapped__(word)


@lru_cache(maxsize=8192)
def _word(word: str) -> str:
    """What becomes of one word that has a digit, a dot, an @ or a slash in it."""
    if word.strip(".:-[]#").isdecimal():
        return word
    if "@" in word:
        word = _EMAIL.sub("<email>", word)
    if 0 <= word.find(".") < len(word) - 1:
        word = _DATA_FILE.sub("<path>", _HOST.sub("<host>", word))
    has_digit = any(map(word.__contains__, "0123456789"))
    if has_digit and (":" in word or "." in word or word.count("-") == 5):
        word = _ADDRESS.sub("<address>", word)
    if "/" in word or "\\" in word:
        word = _PATH.sub(_path, word)
    if not has_digit or len(word) < 3:
        return word
    word = _IDS.sub("<n>", word)
    return _TOKEN.sub(_token, word) if len(word) > 5 else word


def _path(match: re.Match[str]) -> str:
    """A file of the program is telling; where it lies, and what else is read, isn't."""
    base = re.split(r"[/\\]", match[0].rstrip("/\\"))[-1]
    return f"<path>/{base}" if _CODE_FILE.search(base) else "<path>"


def _token(match: re.Match[str]) -> str:
    """Letters and digits in turns are an id; «utf8», «x86» and «sha256» are not."""
    text = match[0]
    changes = len(_CHANGES.findall(text))
    if text.count("/") > 3 or (changes < 2 and "=" not in text):
        return text
    return "<n>" if changes > 2 or len(text) > 7 or text.isupper() else text
