"""A message with all that varies replaced by placeholders, so that what is left is what it says.

Version 2's; what a template keeps is a part of the version, see `docs/grouping.md`. Every expression is linear or
bounded, and only the start of a text is looked at.
"""

import re
from functools import lru_cache

import re2

from ingest.fingerprint.documents import without_documents
from ingest.fingerprint.telling import HIDDEN, shown, with_telling_hidden
from ingest.fingerprint.varying import without_varying
from ingest.fingerprint.vocabulary import ASSIGNED_DATA, MESSAGE_FOLLOWS, kept_name
from ingest.fingerprint.wordings import in_one_wording

MOST_LOOKED_AT = 1_000  # characters of a message
_LONGEST, _LONGEST_ESSENCE = 400, 160  # a text that was cut elsewhere is the same text

_QUOTED = re.compile(
    r"\\?\"([^\"\\\n]{0,300})\\?\"|(?<![\w'])b?'([^'\n]{0,300})'(?!\w)|`([^`'\n]{0,300})[`']"
    r"|“([^”\n]{0,300})”|«([^»\n]{0,300})»|»([^«\n]{0,300})«|„([^“”\n]{0,300})[“”]|‘([^’\n]{0,300})’"
)
_OPEN_QUOTE = re.compile(r"(?<![\w'\"\]])[\"'`“«][^\"'`”»\n]{0,1000}\Z")
_MASKED = re.compile(r"\[(?:masked(?::[\w.-]{1,40}){0,3}|filtered)\]", re.IGNORECASE)
_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>`)\],]{1,1000}")
_DATA_URL = re.compile(r"\bdata:[\w/+.-]{1,60};base64,[\w+/=]{1,1000}")
_GO_PREFIX = re.compile(r"\A[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{1,9} +\d{1,9} ")
_PLACE = r"(?:\$<n>|%s|\?|%\([\w<>]{1,80}\)s|:\w{1,80})"
_PARAMETERS = re.compile(rf"{_PLACE}(?:, ?{_PLACE})+|\(<n>,\)")
_ASSIGNED_DATA = re.compile(
    r"\b((?:[A-Za-z]{1,20}[_. -])?(?P<noun>[A-Za-z]{2,20}?)(?:[_. -]?(?:id|uuid|name|key|number|no)s?)?(?:=|: ))"
    r"(?P<data>[\w.@+/-]{1,200})(?=[\s,;)\]}&]|\Z)",
    re.IGNORECASE,
)
_MAY_BE_DATA = re2.compile(rf"(?i)(?:{'|'.join(sorted(ASSIGNED_DATA))})[a-z_. -]{{0,6}}(?:=|: )".encode())
_OF_A_ROW = re.compile(r"(?:\)=|\bkey value is )\([^()\n]{0,300}\)|\bFailing row contains \([^\n]*")
_SAME_AGAIN = re.compile(r"(\(?<(?:n|value|address|path|host)>\)?)(?:\s?(?:[,;/|x×:-]|and|und|or|->)?\s?\1)+")
_PLURAL = re.compile(
    r"ies(?<=[a-z]{3}ies)\b|es\b(?:(?<=[xz]es)|(?<=[cs]hes)|(?<=sses))|s(?<=[a-z]{2}[a-rt-z]s)\b|\(s\)"
)
_FORMS = re.compile(r"\b(?:were|are|have|do)\b")
_ONE_FORM = {"were": "was", "are": "is", "have": "has", "do": "does"}


_PLACEHOLDER = re.compile(r"<(?:n|value|time|url|host|address|path|email|masked|html)>")
_BETWEEN = re.compile(r"[^\w⟨⟩*#$]+")


def essence(message: str) -> str:
    """The words of a message's template, without the places of what varies: whether there was one, and of which make,
    varies too."""
    return _BETWEEN.sub(" ", _PLACEHOLDER.sub(" ", template(message)))[:_LONGEST_ESSENCE].strip()


@lru_cache(maxsize=4096)
def template(message: str) -> str:
    """What stays the same of a message's first 1,000 characters, in at most 400 characters."""
    text = in_one_wording(without_documents(message[:MOST_LOOKED_AT]))
    lines = dict.fromkeys(map(_line, filter(None, map(str.strip, text.split("\n")))))  # each once
    return shown(" ".join(filter(None, lines)))[:_LONGEST].strip()


def _line(text: str) -> str:
    if any(map(text.__contains__, "0123456789")):
        text = with_telling_hidden(_GO_PREFIX.sub("<time> ", text))
    if ")=(" in text or "row contains (" in text or "value is (" in text:
        text = _OF_A_ROW.sub(")=(<value>)", text)
    if any(map(text.__contains__, "\"'`“«»„‘")):
        text = _OPEN_QUOTE.sub("<value>", _QUOTED.sub(_quoted, text))
    if "[" in text:
        text = _MASKED.sub("<masked>", text)
    if "://" in text:
        text = _URL.sub("<url>", text)
    if ";base64," in text:
        text = _DATA_URL.sub("<value>", text)
    if ("=" in text or ": " in text) and _MAY_BE_DATA.search(text.encode("utf-8", "replace")):
        text = _ASSIGNED_DATA.sub(_data, text)
    return _finished(without_varying(text))


def _finished(text: str) -> str:
    if "<" in text:
        text = _SAME_AGAIN.sub(r"\1", text)
    if any(map(text.__contains__, ("?, ", "s, ", ", :", "?,?", "<n>, $", "(<n>,)"))):
        text = _PARAMETERS.sub("?", text)
    if "<n>" in text:
        text = _PLURAL.sub(lambda match: "y" if match[0] == "ies" else "", text)
        text = _FORMS.sub(lambda match: _ONE_FORM[match[0]], text)
    return " ".join(text.split()).strip(" .:;,!…")


def _quoted(match: re.Match[str]) -> str:
    inner = match[match.lastindex or 0]
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - 40) : start]
    if " " in inner and (HIDDEN.search(inner) or MESSAGE_FOLLOWS.search(before)):
        return inner
    return kept_name(inner, before, text[end : end + 30]) or "<value>"


def _data(match: re.Match[str]) -> str:
    """«tenant=acme», «Key: shoes»: who or what it happened to."""
    noun = match["noun"].lower()
    if noun in ASSIGNED_DATA and not HIDDEN.search(match["data"]):
        return f"{match[1]}<value>"
    return match[0]
