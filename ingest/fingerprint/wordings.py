"""One mistake that engines, and versions of them, word differently, in one wording."""

import re

_NAME = r"[\"'`]?([\w$]{1,80})[\"'`]?"
_EXCERPT = r"[^\n]{0,200}"
# What a text must hold for it, what is looked for, and how it is said.
_WORDINGS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (hint, re.compile(expression), wording)
    for hint, expression, wording in (
        # A property of nothing: V8 today and before, Firefox, Safari.
        (
            "propert",
            rf"Cannot (?:read|set) propert(?:y|ies) of (?:undefined|null) \((?:reading|setting) {_NAME}\)",
            r"nothing has no ⟨\1⟩",
        ),
        ("propert", rf"Cannot (?:read|set) property {_NAME} of (?:undefined|null)", r"nothing has no ⟨\1⟩"),
        ("propert", rf"can't access property {_NAME},? {_EXCERPT} is (?:undefined|null)", r"nothing has no ⟨\1⟩"),
        (
            "not an object",
            r"(?:undefined|null) is not an object \(evaluating [\"'`](?:[^\"'`\n]{0,200}?[.\]])?([\w$]{1,80})"
            r"[^\"'`\n.]{0,80}[\"'`]\)",
            r"nothing has no ⟨\1⟩",
        ),
        ("(In ", r"is not a function\. \(In [^\n]{1,300}\)", "is not a function"),
        ("Can't find", rf"Can't find variable: {_NAME}", r"\1 is not defined"),
        (
            "init",
            rf"Cannot access {_NAME} before initialization|can't access lexical declaration {_NAME} before init\w*",
            r"⟨\1\2⟩ before initialization",
        ),
        ("constant", r"Assignment to constant variable", "assignment to a constant"),
        ("const ", r"invalid assignment to const [^\n]{1,90}", "assignment to a constant"),
        ("readonly", r"Attempted to assign to readonly property", "assignment to a constant"),
        (
            "iterable",
            r"(?<![\w$.])(?:undefined|object null|[\w$.]{1,80}) is not iterable(?: \([^)\n]{1,120}\))?",
            "is not iterable",
        ),
        (  # what minifying called it
            " is not a ",
            r"(?<![\w$.])[A-Za-z_$][\w$]?((?:\.[\w$]{1,80}){0,6}) is not (a function|a constructor)",
            r"it\1 is not \2",
        ),
        # A text that is no JSON.
        (
            "JSON",
            rf"Unexpected (?:token|non-whitespace|string|number|end of){_EXCERPT} JSON\b(?: (?:at|input)[^\n]{{0,90}})?"
            rf"|Unexpected (?:token|end of JSON){_EXCERPT} is not valid JSON"
            r"|JSON\.parse: [^\n]{1,200}|JSON Parse error: [^\n]{1,200}",
            "not valid JSON",
        ),
        # Browsers that can't reach a server.
        (
            "dynamically",
            r"(?:Failed to fetch|error loading) dynamically imported module",
            "a chunk failed to load",
        ),
        ("module script", r"Importing a module script failed", "a chunk failed to load"),
        ("chunk", r"Loading (?:CSS )?chunk \S{1,80} failed", "a chunk failed to load"),
        ("Failed to fetch", r"Failed to fetch\b", "fetch failed"),
        ("abort", r"(?:The user aborted a request|(?:The operation was|Fetch is) aborted)\b\.?", "aborted"),
        ("NetworkError", r"NetworkError when attempting to fetch resource", "fetch failed"),
        ("Load failed", r"(?:\A|(?<=: ))Load failed\b", "fetch failed"),
        (
            "ResizeObserver",
            r"ResizeObserver loop (?:limit exceeded|completed with undelivered notifications)",
            "ResizeObserver loop",
        ),
        # Ruby, before and after 3.4.
        (
            "undefined ",
            r"undefined (?:local variable or )?method [`']([^'\n]{1,80})' for nil(?::NilClass)?",
            r"nil has no ⟨\1⟩",
        ),
        (
            "undefined ",
            r"undefined (?:local variable or )?method [`']([^'\n]{1,80})' for (?:an instance of |#<)([\w:]{1,120}?)"
            r"(?::0x\w{1,16}[^>\n]{0,300}>?|>|\b)",
            r"\2 has no ⟨\1⟩",
        ),
        ("uninitialized", r"uninitialized constant ([\w:]{1,120})", r"uninitialized constant ⟨\1⟩"),
        # PHP 7 and 8.
        (
            "Undefined ",
            r"Undefined (?:array key|index:?|offset:?) \"?([\w.-]{1,80})\"?",
            r"undefined key ⟨\1⟩",
        ),
        ("Undefined ", r"Undefined variable:? \$?(\w{1,80})", r"undefined variable ⟨\1⟩"),
        (
            "array offset",
            r"Trying to access array offset on (?:value of type )?(\w{1,20})",
            r"array offset on \1",
        ),
        ("read property", r"Attempt to read property \"(\w{1,80})\" on \w{1,20}", r"nothing has no ⟨\1⟩"),
        ("get property", r"Trying to get property '(\w{1,80})' of non-object", r"nothing has no ⟨\1⟩"),
        ("for model", r"(for model \[[^\]\n]{1,120}\]) [^\n]{1,120}", r"\1"),
        # Rust, before and after 1.73.
        (
            "panicked",
            r"panicked at '([^\n]{1,300}?)', ([^\s:]{1,200}:\d{1,7}:\d{1,7})",
            r"panicked at \2:\n\1",
        ),
        # Classes that are generated while a program runs.
        (
            "$",
            r"(?<=\w)\$\$?(?:HibernateProxy|EnhancerBy\w{1,40}|FastClassBy\w{1,40}|SpringCGLIB|Lambda|ByteBuddy"
            r"|Proxy\d|jaxb)[\w$/.]{0,80}",
            "",
        ),
        # The JVM, by versions.
        (
            "Index",
            r"Index:? -?\d{1,10}(?:,? (?:out of bounds for length|Size:?) \d{1,10}| out of bounds)",
            "index out of bounds",
        ),
        ("Connection", r"\b(Connection [a-z ]{1,40})(?: \(\1\)|: no further information)", r"\1"),
        ("expected", r"((?:expected|but was|actual|got)[: ]{1,2})<[^<>\n]{0,200}>", r"\1<value>"),
        ("Command '", r"Command '\[?'?([\w./-]{1,200})[^\n]{0,600}?' (?=returned|timed out|died)", r"Command \1 "),
        # .NET, before and after Core.
        ("Parameter name: ", r"\r?\n?Parameter name: (\w{1,80})", r" (Parameter '\1')"),
        # Go, whoever gave up first.
        ("Client.Timeout", r" ?\(Client\.Timeout[^)\n]{0,80}\)", ""),
    )
)


def in_one_wording(text: str) -> str:
    """`text` with what engines word differently said in one way."""
    for hint, expression, wording in _WORDINGS:
        if hint in text:
            text = expression.sub(wording, text)
    return text
