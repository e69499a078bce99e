"""What words around a quoted text say of it: the name of a part of the program, or somebody's data."""

import re

# «column "x"»: which one it is makes the cause.
NAMES = frozenset(
    """action adapter aggregate algorithm alias annotation api argument arguments assembly attribute backend bean
    binding block branch bucket cache cast channel claim class clusterrole codec collation collection column command
    component config configmap configuration connection constant constraint controller conversion cookie crd
    credential cronjob daemonset database db decorator dependency deployment descriptor dialect directive driver
    element encoding endpoint engine entity enum event exchange export exports extension feature field filter flag
    format function gem getter global graph group guard handler header helper hook identifier import index ingress
    integration intent interface key keyword lib library listener machine macro member method middleware migration
    mixin mode model module mutation namespace node object operation operator option output package param parameter
    partial partition permission phase pipe pipeline placeholder plugin policy port pragma prefix procedure profile
    prop properties property protocol provider publication pvc query queue reducer reference relation relationship
    report require required resolve resolver resource role root route routine rule savepoint schedule schema scope
    script secret section selector sequence server service serviceaccount setter setting settings signal slot stage
    statefulset step storage store strategy stream struct subscription suffix symbol table tablespace tag task
    template timezone topic trait transformer transition translation trigger type undeclared union unit variable
    variant vhost view volume webhook widget worker workflow""".split()
)
# «user "x"»: one cause, many of them.
VALUES = frozenset(
    """account address amount application array author base batch bic boolean bytes callback card char character
    city code country csv cursor customer data date datetime decimal device directory document email entry file
    filename firstname float folder guid hash host hostname iban id image int integer ip item json label lastname
    line link literal login message money number numeric object order password path payload person phone pod portal
    price product recipient request row run sender serial session sku statement string substring surname tenant text
    thread time timestamp title token uri url user username uuid value values version word year zip""".split()
)
# «tenant=acme», «user: anna».
ASSIGNED_DATA = frozenset(
    """account address client correlation customer duration elapsed email file filename guid host hostname id input
    instance invoice ip job key latency nr number order payload person phone pod product recipient req request
    sender session sku span subject tenant token took trace user username uuid worker""".split()
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
_NOTHING_AFTER = re.compile(
    r"[\s:]{1,2}(?:(?:is|was|are) not (?:an? )?(?:registered|installed|available|supported|found|recogni[sz]ed|known"
    r"|a member)|does not exist|not found|could not be found)\b"
)
# «Reverse for 'x' not found»: what is looked for by its name.
_LOOKED_FOR = re.compile(
    r"\b(?:reverse|handler|provider|converter|constructor|definition|mapping|factory|serializer|validator|formatter"
    r"|resolver|route|template|method|implementation|binding|service|function|module|component) for\Z",
    re.IGNORECASE,
)
_TYPES = frozenset("int str float NoneType list dict tuple bool bytes set complex Decimal object function type".split())
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


def _is_named_after(after: str) -> bool:
    following = NEXT_WORD.match(after)
    return (following is not None and following[1].lower() in NAMED_AFTER) or _TELLS_AFTER.match(after) is not None


def _is_expected(noun: str, after: str) -> bool:
    """Whether a plain word is one that the program asked for: «bean with name 'x'», «'x' is not registered»."""
    return noun in ("name", "named", "with") or _NOTHING_AFTER.match(after) is not None


def kept_name(text: str, before: str, after: str) -> str:
    """The name of a part of the program that stands in quotes between `before` and `after`, marked as one; empty where
    it is data."""
    word = LAST_WORD.search(before)
    noun = word[2].lower() if word else ""
    if noun in ("name", "named") and word and word[1]:
        noun = word[1].lower()  # «cannot import name 'x'», «user name 'kim'»
    name = text.strip()
    if before.endswith("["):  # a["key"]
        is_name = PLAIN_NAME.fullmatch(name) is not None
    elif noun in VALUES or noun.removesuffix("s") in VALUES:
        is_name = False
    elif noun in NAMES or noun.removesuffix("s") in NAMES:
        name = name.partition(", ")[0]  # «assembly 'A, Version=1.0, Culture=neutral'»
        is_name = LOOSE_NAME.fullmatch(name) is not None and not _DATA_FILE.search(name)
    elif _is_named_after(after) or _LOOKED_FOR.search(before.rstrip()):
        is_name = LOOSE_NAME.fullmatch(name) is not None
    elif not before.strip() and not after.strip():  # «KeyError: 'customer'»
        is_name = PLAIN_NAME.fullmatch(name) is not None
    else:
        is_name = is_code_name(name) or name in _TYPES
        is_name = is_name or (PLAIN_NAME.fullmatch(name) is not None and _is_expected(noun, after))
    return f"⟨{name}⟩" if is_name else ""
