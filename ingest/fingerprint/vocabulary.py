"""What words around a quoted text say of it: the name of a part of the program, or somebody's data."""

import re

# «column "x"»: which one it is makes the cause.
NAMES = frozenset(
    """alias annotation api argument arguments assembly attribute bean bucket cast channel class codec collection
    column command component config configuration constant constraint controller cookie database db decorator
    dependency descriptor directive element endpoint entity enum event exchange extension feature
    field flag format function global graph handler header helper hook index interface key keyword
    label lib library machine macro member method middleware migration mixin mode model module
    mutation namespace node operation operator option package parameter param partition permission pipeline plugin
    policy port pragma prefix procedure profile prop properties property provider query queue reducer
    reference relation relationship report required resolver resource role root route routine rule savepoint schema
    scope script secret section selector sequence server service setting setter settings signal slot step storage
    store stream subscription suffix symbol table tag task template timezone topic trait transformer transition
    translation trigger type undeclared union unit variable variant vhost view volume widget worker workflow struct
    getter import""".split()
)
# «user "x"»: one cause, many of them.
VALUES = frozenset(
    """account address amount application array author base batch bic boolean bytes callback card char character city
    code country csv customer data date datetime decimal device directory document email entry file filename firstname
    float folder guid hash host hostname iban id image input int integer ip item json label lastname line link
    literal login message money number numeric object order password path payload person phone pod price product
    recipient request row run sender serial session sku statement cursor portal string substring surname tenant
    thread text time timestamp title token url uri user username uuid value values version word year zip""".split()
)
# «tenant=acme», «user: anna».
ASSIGNED_DATA = frozenset(
    """account address customer user username tenant order invoice email file filename sku host hostname ip client
    instance worker pod phone product recipient sender session subject person payload token trace span request req
    correlation id uuid guid number nr key input job took duration elapsed latency""".split()
)
# After it: «'x' property», «'x' object has no attribute».
NAMED_AFTER = frozenset(
    """argument attribute class codec column constraint field flag function header index key keyword method module
    object option package parameter property queue relation table template topic variable view""".split()
)
# A quoted text after one of these is a message of its own, not a value.
MESSAGE_FOLLOWS = re.compile(
    r"\b(?:error|err|reason|message|msg|cause|detail|desc|description|because|failed|exception|stderr|"
    r"client error|server error)[ :=(]{1,3}\Z",
    re.IGNORECASE,
)
LAST_WORD = re.compile(r"(?:([A-Za-z]+) )?([A-Za-z]+)[\s:=(\[,]{0,3}\Z")
NEXT_WORD = re.compile(r"[\s:]{1,2}([A-Za-z]+)")
_TELLS_AFTER = re.compile(
    r"[\s:]{1,2}(?:is|was|are) (?:an? )?(?:required|missing|undefined|not defined|not set|unknown|unexpected"
    r"|not allowed)\b"
)
# A name as programs have it, not a word: with an inner underscore or hump, all in capitals, or with dots.
CODE_NAME = re.compile(
    r"_{0,2}[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+_{0,2}|[a-z]+[0-9]?(?:[A-Z][a-z0-9]*)+|[A-Z]{4,}"
    r"|(?:[A-Z][a-z0-9]+){2,}|_+[a-z]\w*"
)
PLAIN_NAME = re.compile(r"[a-z][a-z_]*[a-z0-9]?|[A-Z][A-Z0-9_]{3,}|[a-z]+(?:[A-Z][a-z]*)+")
LOOSE_NAME = re.compile(r"[\w@$*./:+\\#<>-]{1,160}")
_DATA_FILE = re.compile(
    r"\.(?:csv|tsv|pdf|xlsx?|docx?|png|jpe?g|gif|webp|zip|gz|tar|log|tmp|txt|parquet|eml)\Z", re.IGNORECASE
)
_LONG_NUMBER = re.compile(r"\d{3}")


def is_code_name(text: str) -> bool:
    """Whether `text` looks like a name in a program, and not like a value that somebody entered."""
    return CODE_NAME.fullmatch(text) is not None and not _LONG_NUMBER.search(text) and not _DATA_FILE.search(text)


def kept_name(text: str, before: str, after: str) -> str:
    """The name of a part of the program that stands in quotes between `before` and `after`, marked as one; empty where
    it is data."""
    word = LAST_WORD.search(before)
    noun = word[2].lower() if word else ""
    if noun in ("name", "named") and word and word[1]:
        noun = word[1].lower()  # «cannot import name 'x'», «user name 'kim'»
    following = NEXT_WORD.match(after)
    name = text.strip()
    if before.endswith("["):  # a["key"]
        is_name = PLAIN_NAME.fullmatch(name) is not None
    elif noun in VALUES or noun.removesuffix("s") in VALUES:
        is_name = False
    elif noun in NAMES or noun.removesuffix("s") in NAMES:
        name = name.partition(", ")[0]  # «assembly 'A, Version=1.0, Culture=neutral'»
        is_name = LOOSE_NAME.fullmatch(name) is not None and not _DATA_FILE.search(name)
    elif (following and following[1].lower() in NAMED_AFTER) or _TELLS_AFTER.match(after):
        is_name = LOOSE_NAME.fullmatch(name) is not None
    elif not before.strip() and not after.strip():  # «KeyError: 'customer'»
        is_name = PLAIN_NAME.fullmatch(name) is not None
    else:
        is_name = is_code_name(name)
    return f"⟨{name}⟩" if is_name else ""
